/**
 * Faults that are planted to see that the simulation finds them: a promise of the engine, or of the disk below it, broken
 * from outside. Each stands for a mistake that somebody could make in earnest.
 */

import { syncBuiltinESMExports } from 'node:module'
import zlib from 'node:zlib'

import { deadSuffix, type Offset } from '#wire/ids'

import { StreamReads } from '../ahead.ts'
import type { Disk, DiskFile } from '../disk/disk.ts'
import { Journal } from '../groups/journal.ts'
import { LogProgress } from '../groups/progress.ts'
import { frameBatch, framedBytesMax, type BatchMeta } from '../log/framing.ts'
import { Log } from '../log/log.ts'
import type { StoredBatch } from '../log/types.ts'
import { SimulatedSink } from './sink.ts'

/** What a history is about: anything, or above all groups. */
export type Focus = 'all' | 'groups'

export interface Break {
  /** What goes wrong. */
  readonly what: string
  /** Of what a history has to be to show it. */
  readonly focus?: Focus
  /** Stands between the engine and the disk. */
  disk?(disk: Disk): Disk
  /** Stands between a log and its writers and plain readers. */
  log?(log: Log): Log
  /** Changes something of the process; what it returns changes it back. */
  install?(): () => void
}

export const breaks: Readonly<Record<string, Break>> = {
  recovery: {
    what: 'batches are trusted without their checksum, so that recovery keeps what a crash tore',
    install() {
      const real = zlib.crc32
      const patch = (crc32: typeof real): void => {
        zlib.crc32 = crc32
        syncBuiltinESMExports()
      }
      patch(() => 0)
      return () => patch(real)
    },
  },
  'lost-sync': {
    what: 'fdatasync says yes and does nothing',
    disk: (disk) => withFiles(disk, () => ({ sync: async () => {} })),
  },
  'lost-names': {
    what: 'the names of new files are not synced',
    disk: (disk) => ({ ...calls(disk), syncFolder: async () => {} }),
  },
  rewind: {
    what: 'what a failed write left is not cut off again',
    disk: (disk) =>
      withFiles(disk, (file) => ({
        // Emptying a file is something else than cutting it.
        truncate: async (bytes) => (bytes === 0 ? file.truncate(0) : undefined),
      })),
  },
  'early-ack': {
    what: 'an append is answered before it is written',
    log: (log) =>
      around(log, {
        append: (...given) => {
          const appended = log.append(...given)
          if (typeof appended === 'string' || 'expected' in appended) return appended
          return { ...appended, done: Promise.resolve('durable') }
        },
      }),
  },
  journal: {
    what: 'an acknowledgement is answered before the journal of the group has it',
    focus: 'groups',
    install: () => replaced(Journal.prototype, 'note', () => Promise.resolve('durable' as const)),
  },
  'lost-lease': {
    what: 'what a consumer had in flight does not come again when it is gone',
    focus: 'groups',
    install: () => replaced(LogProgress.prototype, 'lose', () => {}),
  },
  'lost-piece': {
    what: 'a piece that a stream has written does not come',
    focus: 'groups',
    install() {
      const real = SimulatedSink.prototype.write
      let pieces = 0
      return replaced(SimulatedSink.prototype, 'write', function (this: SimulatedSink, bytes: Uint8Array) {
        return ++pieces % 50 === 0 ? true : real.call(this, bytes)
      })
    },
  },
  'one-too-many': {
    what: 'an acknowledgement up to an offset takes the next one too',
    focus: 'groups',
    install() {
      const real = LogProgress.prototype.acknowledgeUpTo
      return replaced(LogProgress.prototype, 'acknowledgeUpTo', function (this: LogProgress, offset: Offset) {
        const next = (offset + 1) as Offset
        return real.call(this, this.isInFlight(next) ? next : offset)
      })
    },
  },
  'no-letter': {
    what: 'a record is given up, and its dead letter is not written',
    focus: 'groups',
    install() {
      const real = Log.prototype.append
      return replaced(Log.prototype, 'append', function (this: Log, ...given: Parameters<typeof real>) {
        if (!this.topic.endsWith(deadSuffix)) return real.apply(this, given)
        const appended = { first: this.end, count: given[0].count, duplicate: false }
        return { ...appended, done: Promise.resolve('durable' as const) }
      })
    },
  },
  tail: {
    what: 'a reader in memory begins one record late',
    log: (log) =>
      around(log, {
        read: (from, bytesMax) => {
          const batches = log.read(from, bytesMax)
          return Array.isArray(batches) ? log.read((from + 1) as Offset, bytesMax) : batches
        },
      }),
  },
  window: {
    what: 'a window over the files is lent again while a socket still refers to it',
    install() {
      const real = StreamReads.prototype.delivered
      return replaced(StreamReads.prototype, 'delivered', function (this: StreamReads) {
        real.call(this)
        this.release()
      })
    },
  },
  'early-visible': {
    what: 'readers see a batch before it is durable',
    log: (log) => earlyVisible(log),
  },
}

/** Puts another method in the place of one, and returns what puts it back. */
function replaced<T extends object, K extends keyof T>(prototype: T, name: K, method: T[K]): () => void {
  const real = prototype[name]
  prototype[name] = method
  return () => {
    prototype[name] = real
  }
}

/** The log with some of its members changed. */
function around(log: Log, changed: Partial<Pick<Log, 'append' | 'read' | 'end'>>): Log {
  return new Proxy(log, {
    get(target, name) {
      if (name in changed) return Reflect.get(changed, name) as unknown
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

function earlyVisible(log: Log): Log {
  const early: StoredBatch[] = []
  return around(log, {
    get end() {
      return Math.max(log.end, early.at(-1)?.next ?? 0) as Offset
    },
    append: (records, numbered, nowMs) => {
      const copy = { ...records, lines: records.lines.slice() }
      const appended = log.append(records, numbered, nowMs)
      if (typeof appended === 'string' || 'expected' in appended || appended.duplicate) return appended
      const { first, count } = appended
      const meta: BatchMeta = { firstOffset: first, appendMs: nowMs, ...unnumbered }
      const view = Buffer.alloc(framedBytesMax(copy, meta))
      const end = frameBatch(copy, meta, log, view, 0)
      early.push({ first, next: (first + count) as Offset, view: view.subarray(0, end), chunk: undefined })
      return appended
    },
    read: (from, bytesMax) => {
      if (from < log.end) return log.read(from, bytesMax)
      return early.filter((batch) => batch.next > from).slice(0, 1)
    },
  })
}

const unnumbered = { producer: undefined, sequence: undefined, fields: new Map<string, string>() }

/** The calls of a disk as an object whose parts can be replaced. */
function calls(disk: Disk): Disk {
  return {
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    open: (path) => disk.open(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
    space: (folder) => disk.space(folder),
  }
}

function withFiles(disk: Disk, changed: (file: DiskFile) => Partial<DiskFile>): Disk {
  return {
    ...calls(disk),
    open: async (path) => {
      const file = await disk.open(path)
      return {
        size: () => file.size(),
        read: (into, position) => file.read(into, position),
        write: (views, position) => file.write(views, position),
        sync: () => file.sync(),
        truncate: (bytes) => file.truncate(bytes),
        close: () => file.close(),
        ...changed(file),
      }
    },
  }
}
