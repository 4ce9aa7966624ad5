/**
 * One log: a broker's part of a partition. Append, wait until it is durable, read.
 *
 * A batch is **visible** only when it and all before it are as durable as the log promises; `end` is the first offset that
 * is not visible yet, `next` the first that is not issued yet.
 */

import type { LogHead } from '#wire/frames'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { CommitQueue } from './commit.ts'
import { isDiskFull, type Disk } from '../disk/disk.ts'
import { frameBatch, framedBytesMax, type BatchMeta } from './framing.ts'
import { Producers, type WrittenBatch } from './producers.ts'
import type { Records } from './records.ts'
import { Segments } from './segments.ts'
import { ChunkPool, Tail } from './tail.ts'

/** When an append is acknowledged: after `fdatasync` (survives power loss) or after `write` (survives a killed process). */
export type Durability = 'fsync' | 'disk'

/** What a log is given. */
export interface LogOptions {
  readonly durability: Durability
  /** A segment that has grown beyond this is closed, and a new one begun. */
  readonly segmentBytesMax: number
}

/** What happened to an append that was not accepted. */
export type NotWritten = 'disk_full' | 'not_writable'

/** An append that was accepted. */
export interface Appended {
  readonly first: Offset
  readonly count: number
  /** Whether the same producer had written it before. */
  readonly duplicate: boolean
  /** Resolves when it is durable, or when it could not be written and leaves no trace. Never rejects. */
  readonly done: Promise<'durable' | NotWritten>
}

/** A numbered batch of a producer. */
export interface Numbered {
  readonly producer: string
  readonly sequence: number
}

/** A batch as it stands in the log. */
export interface StoredBatch {
  readonly first: Offset
  readonly next: Offset
  /** The header line and the events. */
  readonly view: Buffer
}

interface Pending {
  readonly first: Offset
  readonly next: Offset
  readonly bytes: number
  readonly appendMs: number
  readonly numbered: Numbered | undefined
  readonly done: Promise<'durable' | NotWritten>
  readonly resolve: (outcome: 'durable' | NotWritten) => void
}

const noFields: ReadonlyMap<string, string> = new Map()

export class Log {
  readonly topic: string
  readonly broker: Ordinal
  readonly partition: Partition
  readonly logId: string
  readonly #segments: Segments
  readonly #queue: CommitQueue<Pending>
  readonly #pool: ChunkPool
  readonly #tail = new Tail()
  readonly #producers: Producers
  readonly #listeners = new Set<() => void>()
  #pending: Pending[] = []
  #next: Offset
  #end: Offset
  #lastAppendMs: number

  /** Opens the log in a folder, or makes it. Reads all of its segments. */
  static async open(
    disk: Disk,
    folder: string,
    head: Omit<LogHead, 'firstOffset'>,
    options: LogOptions,
    pool: ChunkPool,
    report: (problem: string) => void,
  ): Promise<Log> {
    const producers = new Producers()
    const segments = await Segments.open(disk, folder, head, options.segmentBytesMax, producers, report)
    return new Log(segments, options, pool, producers, report)
  }

  private constructor(
    segments: Segments,
    options: LogOptions,
    pool: ChunkPool,
    producers: Producers,
    report: (problem: string) => void,
  ) {
    this.topic = segments.head.topic
    this.broker = segments.head.broker
    this.partition = segments.head.partition
    this.logId = segments.head.logId
    this.#segments = segments
    this.#pool = pool
    this.#producers = producers
    this.#next = segments.next
    this.#end = segments.next
    this.#lastAppendMs = segments.lastAppendMs
    this.#queue = new CommitQueue<Pending>(
      {
        place: () => segments.place(),
        committed: (entries, end) => this.#committed(entries, end),
        failed: (entries, error) => this.#failed(entries, error),
        broken: (error) => report(`${folderName(this)} cannot be written any more: ${error.message}`),
      },
      options.durability === 'fsync',
    )
  }

  /** The offset of the oldest record that is kept. */
  get first(): Offset {
    return this.#segments.first
  }

  /** The first offset that is not visible yet. */
  get end(): Offset {
    return this.#end
  }

  /** What the log takes on disk. */
  get bytes(): number {
    return this.#segments.bytes
  }

  /** Whether appends are taken. Once not, only a restart helps. */
  get writable(): boolean {
    return this.#queue.broken === undefined
  }

  /**
   * Appends one batch. It stands in memory when this returns, before anything is awaited: the records may be reused then.
   *
   * @param nowMs the wall clock, ms since 1970
   * @returns the append; what is expected, for a numbered batch that overlaps what was written; or why nothing is taken
   */
  append(
    records: Records,
    numbered: Numbered | undefined,
    nowMs: number,
    fields: ReadonlyMap<string, string> = noFields,
  ): Appended | { readonly expected: number } | NotWritten {
    if (!this.writable) return 'not_writable'
    if (numbered !== undefined) {
      const verdict = this.#producers.judge(numbered.producer, numbered.sequence, records.count)
      if (verdict.kind === 'overlap') return { expected: verdict.expected }
      if (verdict.kind === 'duplicate') return this.#again(verdict.written, records.count)
    }
    const first = this.#next
    const appendMs = Math.max(this.#lastAppendMs, nowMs)
    const meta: BatchMeta = {
      firstOffset: first,
      appendMs,
      producer: numbered?.producer,
      sequence: numbered?.sequence,
      fields,
    }
    const room = this.#pool.room(framedBytesMax(records, meta))
    const view = this.#pool.take(room, frameBatch(records, meta, this, room.target, room.at))
    const next = (first + records.count) as Offset
    this.#tail.add({ first, next, view, chunk: room.chunk })
    if (numbered !== undefined) {
      this.#producers.appended(numbered.producer, { sequence: numbered.sequence, first, count: records.count })
    }
    this.#next = next
    this.#lastAppendMs = appendMs
    const { promise: done, resolve } = Promise.withResolvers<'durable' | NotWritten>()
    const pending: Pending = { first, next, bytes: view.length, appendMs, numbered, done, resolve }
    this.#pending.push(pending)
    this.#queue.push(view, pending)
    return { first, count: records.count, duplicate: false, done }
  }

  /**
   * Reads visible batches from memory or, for a reader that lags, from the files.
   *
   * The first batch may begin before `from` (when `from` is in its middle) or after it (when records are lost).
   *
   * @param bytesMax stop after the batch that reaches this
   * @returns at least one batch; none when `from` is at the end
   */
  read(from: Offset, bytesMax: number): readonly StoredBatch[] | Promise<readonly StoredBatch[]> {
    if (from >= this.#end) return []
    const batches: StoredBatch[] = []
    let bytes = 0
    let at = from
    while (at < this.#end && bytes < bytesMax) {
      const batch = this.#tail.find(at)
      if (batch === undefined) break
      batches.push(batch)
      bytes += batch.view.length
      at = batch.next
    }
    return batches.length > 0 ? batches : this.#segments.read(from, this.#end, bytesMax)
  }

  /** The offset of the first record appended at or after a time, or the end. */
  offsetAt(timeMs: number): Promise<Offset> {
    return this.#segments.offsetAt(timeMs, this.#end)
  }

  /** Calls back each time that more is visible. Returns what ends it. */
  onVisible(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Waits for what is being written and closes the files. Nothing may be appended any more. */
  async close(): Promise<void> {
    await this.#queue.idle()
    await this.#segments.close()
  }

  #again(written: WrittenBatch | undefined, count: number): Appended {
    const first = written?.first ?? this.#end
    const pending = this.#pending.find((entry) => entry.first === written?.first)
    const done = pending?.done ?? Promise.resolve('durable' as const)
    return { first, count: written === undefined ? 0 : count, duplicate: true, done }
  }

  #committed(entries: readonly Pending[], end: number): void {
    let position = end
    for (const entry of entries) position -= entry.bytes
    for (const entry of entries) {
      this.#segments.noteBatch(entry.first, entry.appendMs, position)
      position += entry.bytes
      if (entry.numbered !== undefined) {
        this.#producers.committed(entry.numbered.producer, entry.numbered.sequence, entry.next - entry.first)
      }
    }
    this.#segments.grown(end, (entries.at(-1) as Pending).next)
    this.#pending.splice(0, entries.length)
    this.#end = (entries.at(-1) as Pending).next
    for (const entry of entries) entry.resolve('durable')
    for (const listener of this.#listeners) listener()
  }

  #failed(entries: readonly Pending[], error: Error): void {
    this.#next = this.#end
    this.#pending = []
    this.#tail.rewind(this.#end)
    this.#producers.rewind(this.#end)
    const outcome = isDiskFull(error) ? 'disk_full' : 'not_writable'
    for (const entry of entries) entry.resolve(outcome)
  }
}

/** How people find a log: `telemetry/partition-3`. */
export function folderName(log: { readonly topic: string; readonly partition: Partition }): string {
  return `${log.topic}/partition-${log.partition}`
}
