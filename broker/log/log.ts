/**
 * One log: a broker's part of a partition. Append, wait until it is as durable as promised, read.
 *
 * A batch is **visible** only when it and all before it are as durable as promised; `end` is the first offset that is not
 * visible yet, `next` the first that is not issued yet.
 */

import type { LogHead } from '#wire/frames'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import type { Disk } from '../disk/disk.ts'
import { CommitQueue, type CommitMode } from './commit.ts'
import { frameBatch, framedBytesMax, type BatchMeta } from './framing.ts'
import { outcomeOf, pend, refuse, type Pending } from './pending.ts'
import { Producers, type WrittenBatch } from './producers.ts'
import { Holes, type Hole, type Loss } from './holes.ts'
import { recover, type Recovered } from './recovery.ts'
import type { Records } from './records.ts'
import { Reservation } from './reservation.ts'
import type { ChunkRing } from './ring.ts'
import { Segments, type SegmentFigures } from './segments.ts'
import { Tail } from './tail.ts'
import type { Appended, Durability, LogOptions, NotWritten, Numbered, StoredBatch } from './types.ts'
import { folderName } from './types.ts'
import { ownMemory, type ReadMemory } from './windows.ts'

const modes: Readonly<Record<Durability, CommitMode>> = { fsync: 'sync', disk: 'write', memory: 'lazy' }

const noFields: ReadonlyMap<string, string> = new Map()

export class Log {
  readonly topic: string
  readonly broker: Ordinal
  readonly partition: Partition
  readonly logId: string
  readonly #options: LogOptions
  readonly #segments: Segments
  readonly #queue: CommitQueue<Pending>
  readonly #ring: ChunkRing
  readonly #tail = new Tail()
  readonly #producers: Producers
  readonly #reservation: Reservation
  readonly #holes: Holes
  readonly #report: (problem: string) => void
  /** Copied when it changes: of ten thousand logs most have the one of their topic. */
  #listeners: readonly (() => void)[] = []
  /** Appended and not visible. */
  #pending: Pending[] = []
  #next: Offset
  #end: Offset
  #lastAppendMs: number
  /** A `memory` log waits for its reservation. */
  #reserving: Promise<void> | undefined
  /** Visible records of a `memory` log that are in no file. */
  #unwritten = 0
  /** Why the last write behind failed; `undefined` when it did not. */
  #behind: NotWritten | undefined
  #closed = false

  /** Opens the log in a folder, or makes it. Reads what an unclean stop left. */
  static async open(
    disk: Disk,
    folder: string,
    head: Omit<LogHead, 'firstOffset'>,
    options: LogOptions,
    ring: ChunkRing,
    report: (problem: string) => void,
  ): Promise<Log> {
    const producers = new Producers()
    const holeReason = options.durability === 'fsync' ? 'damaged' : 'unclean_stop'
    const recovered = await recover(disk, folder, head, producers, holeReason, report)
    // Also where the durability is `fsync` now: it may have been another when the files were written.
    const reservation = await Reservation.open(disk, folder, recovered.names, options.reserveRecords)
    const segments = new Segments(disk, folder, recovered, options.segmentBytesMax, producers, report)
    const log = new Log(segments, recovered, options, ring, producers, reservation, report)
    const { leftOff } = reservation
    if (leftOff !== undefined && leftOff > log.#next) {
      report(
        `${folderName(log)} was not closed: offsets go on at ${leftOff}, so that none is given twice ` +
          `(${log.#next} to ${leftOff - 1} hold no record)`,
      )
      log.moveUp(leftOff)
    }
    return log
  }

  private constructor(
    segments: Segments,
    recovered: Recovered,
    options: LogOptions,
    ring: ChunkRing,
    producers: Producers,
    reservation: Reservation,
    report: (problem: string) => void,
  ) {
    const { head } = recovered
    this.topic = head.topic
    this.broker = head.broker
    this.partition = head.partition
    this.logId = head.logId
    this.#options = options
    this.#segments = segments
    this.#ring = ring
    this.#producers = producers
    this.#reservation = reservation
    this.#holes = new Holes(recovered.holes)
    this.#report = report
    this.#next = this.#end = recovered.next
    this.#lastAppendMs = recovered.lastAppendMs
    this.#queue = new CommitQueue<Pending>(
      {
        place: (entries) => this.#place(entries),
        committed: (entries) => this.#committed(entries),
        failed: (entries, error) => this.#failed(entries, error),
        broken: (error) => {
          report(`${folderName(this)} cannot be written any more: ${error.message}`)
          options.onBroken?.(error)
        },
      },
      modes[options.durability],
      options.turn,
    )
    ring.join(this, options.durability === 'memory')
  }

  /** The offset of the oldest record that is kept. */
  get first(): Offset {
    return this.#segments.first
  }

  /** The first offset that is not visible yet. */
  get end(): Offset {
    return this.#end
  }

  /** How many records are visible: fewer than `end - first` where there are holes. */
  get records(): number {
    return this.#segments.records + this.#unwritten
  }

  /** Offsets that hold no record, in order: what is known of them. */
  get holes(): readonly Hole[] {
    return this.#holes.all
  }

  /** What the log takes on disk. */
  get bytes(): number {
    return this.#segments.bytes
  }

  /** The files, oldest first. */
  get segments(): readonly SegmentFigures[] {
    return this.#segments.all
  }

  /** Whether appends are taken. Once not, only a restart helps. */
  get writable(): boolean {
    return !this.#closed && this.#queue.broken === undefined
  }

  /** Why records of a `memory` log wait for a disk that does not take them; `undefined` when they do not. */
  get behind(): NotWritten | undefined {
    return this.#behind
  }

  /** Why a read has found no record from one offset to another (exclusive): a piece a reason, in order. */
  lostBetween(from: Offset, to: Offset): Loss[] {
    return this.#holes.between(this.first, from, to)
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
    if (this.#unwritten >= this.#options.queueRecordsMax) {
      this.#queue.flush()
      if (this.#behind !== undefined) return this.#behind
    }
    const [first, appendMs] = [this.#next, Math.max(this.#lastAppendMs, nowMs)]
    const { producer, sequence } = numbered ?? { producer: undefined, sequence: undefined }
    const meta: BatchMeta = { firstOffset: first, appendMs, producer, sequence, fields }
    const room = this.#ring.room(framedBytesMax(records, meta))
    if (room === undefined) return 'memory_full'
    const { chunk, at } = room
    const end = frameBatch(records, meta, this, room.target, at)
    this.#ring.take(room, end)
    this.#tail.add(first, records.count, chunk, at, end)
    const next = (first + records.count) as Offset
    if (numbered !== undefined) {
      this.#producers.appended(numbered.producer, { sequence: numbered.sequence, first, count: records.count })
    }
    this.#next = next
    this.#lastAppendMs = appendMs
    const view = chunk.bytes.subarray(at, end)
    const pending = pend({ first, next, view, bytes: end - at, chunk, appendMs, numbered })
    this.#pending.push(pending)
    if (this.#options.durability === 'memory') this.#admit()
    else this.#queue.push(pending.view, pending)
    return { first, count: records.count, duplicate: false, done: pending.done }
  }

  /**
   * Reads visible batches from memory or, for a reader that lags, from the files.
   *
   * The first batch may begin before `from` (when `from` is in its middle) or after it (when records are lost).
   *
   * @param bytesMax stop after the batch that reaches this
   * @param fill says into which memory the files are read; without it, what is read has memory of its own
   * @returns at least one batch; none when `from` is at the end, or when nothing is left before it
   */
  read(from: Offset, bytesMax: number, fill = ownMemory): readonly StoredBatch[] | Promise<readonly StoredBatch[]> {
    if (from >= this.#end) return []
    const batches: StoredBatch[] = []
    let [at, bytes] = [from, 0]
    while (at < this.#end && bytes < bytesMax) {
      const batch = this.#tail.find(at)
      if (batch === undefined) break
      batches.push(batch)
      bytes += batch.view.length
      at = batch.next
    }
    if (batches.length > 0) return batches
    return fill(this.#ring.windows, (most, memory) => this.#readFiles(from, most ?? bytesMax, memory))
  }

  /** The offset of the first record appended at or after a time, or the end. */
  offsetAt(timeMs: number): Promise<Offset> {
    return this.#segments.offsetAt(timeMs, this.#end)
  }

  /** When the record at an offset was appended, in ms since 1970, or somewhat before; `undefined` when no file has it. */
  appendedMs(offset: Offset): number | undefined {
    return this.#segments.appendedMs(offset)
  }

  /** Calls back each time that more is visible. Returns what ends it. */
  onVisible(listener: () => void): () => void {
    this.#listeners = this.#listeners.concat(listener)
    return () => (this.#listeners = this.#listeners.filter((each) => each !== listener))
  }

  /** The next record gets at least this offset. To be called before the first append. */
  moveUp(offset: Offset): void {
    if (offset <= this.#next) return
    this.#holes.push({ from: this.#next, to: offset, reason: 'unclean_stop' })
    this.#segments.moveUp(offset)
    this.#next = this.#end = offset
  }

  /** Begins a new segment, so that all that is in files now can be dropped. */
  roll(): Promise<void> {
    return this.#queue.between(() => this.#segments.roll())
  }

  /**
   * Removes the segments whose records are all before an offset; never the one that is written.
   *
   * @returns how many records went
   */
  async dropBefore(offset: Offset): Promise<number> {
    const records = await this.#segments.dropBefore(offset)
    this.#holes.dropBefore(this.first)
    return records
  }

  /** {@link ChunkRing} needs the memory of these batches soon. */
  spill(serial: number): void {
    const oldest = this.#queue.oldest
    if (oldest !== undefined && oldest.chunk.serial <= serial) this.#queue.flush()
  }

  /** Writes what is not written, seals the files and closes them. Nothing may be appended any more. */
  async close(): Promise<void> {
    if (!this.#closed) this.#ring.leave(this)
    this.#closed = true
    while (this.#reserving !== undefined) await this.#reserving
    await this.#queue.idle()
    this.#queue.flush()
    await this.#queue.idle()
    if (this.#unwritten > 0) {
      this.#report(
        `${folderName(this)}: ${this.#unwritten} acknowledged records of a memory topic are lost: ${this.#behind}`,
      )
    }
    if (this.#queue.broken !== undefined || this.#unwritten > 0) return this.#segments.abandon()
    await this.#segments.close()
    await this.#reservation.remove()
  }

  #again(written: WrittenBatch | undefined, count: number): Appended {
    const first = written?.first ?? this.#end
    const pending = this.#pending.find((entry) => entry.first === written?.first)
    const done = pending?.done ?? Promise.resolve('durable' as const)
    return { first, count: written === undefined ? 0 : count, duplicate: true, done }
  }

  async #readFiles(from: Offset, bytesMax: number, memory?: ReadMemory): Promise<readonly StoredBatch[]> {
    for (;;) {
      const { next: written } = this.#segments
      const batches = await this.#segments.read(from, this.#end, bytesMax, memory)
      if (batches.length > 0) return batches
      // Behind the files, over a hole or damage, there may be batches that were in memory alone.
      const at = Math.max(from, written)
      const batch = at < this.#end ? this.#tail.find(at as Offset) : undefined
      // A copy: by the time that a promise is heard the ring may have come round.
      if (batch !== undefined) return [{ ...batch, view: Buffer.from(batch.view), chunk: undefined }]
      if (this.#segments.next === written) return []
    }
  }

  async #place(entries: readonly Pending[]) {
    if (this.#options.durability !== 'fsync') await this.#reservation.cover((entries.at(-1) as Pending).next)
    return this.#segments.place()
  }

  /** Makes the pending batches of a `memory` log visible, as far as its reservation goes. */
  #admit(): void {
    let admitted = 0
    for (const pending of this.#pending) {
      if (!this.#reservation.covers(pending.next)) break
      admitted++
      this.#unwritten += pending.next - pending.first
      this.#queue.push(pending.view, pending)
    }
    this.#show(this.#pending.splice(0, admitted))
    if (this.#unwritten > this.#options.queueRecordsMax) this.#queue.flush()
    const waiting = this.#pending.at(-1)
    if (waiting === undefined || this.#reserving !== undefined) return
    this.#reserving = this.#reservation.cover(waiting.next).then(
      () => {
        this.#reserving = undefined
        return this.#admit()
      },
      (error: Error) => {
        this.#reserving = undefined
        this.#rewind(this.#pending, error)
      },
    )
  }

  /** Entries are in the file, and synced where that is promised. */
  #committed(entries: readonly Pending[]): void {
    this.#segments.written(entries)
    for (const entry of entries) entry.chunk.unwritten--
    if (this.#options.durability === 'memory') {
      this.#behind = undefined
      for (const { first, next } of entries) this.#unwritten -= next - first
      return
    }
    this.#pending = this.#pending.slice(entries.length)
    this.#show(entries)
  }

  #show(entries: readonly Pending[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    for (const { numbered, first, next } of entries) {
      if (numbered !== undefined) this.#producers.committed(numbered.producer, numbered.sequence, next - first)
    }
    this.#end = last.next
    for (const entry of entries) entry.resolve('durable')
    for (const listener of this.#listeners) listener()
  }

  #failed(entries: readonly Pending[], error: Error): void {
    if (this.#options.durability !== 'memory') {
      this.#rewind(entries, error)
      return
    }
    if (this.#behind === undefined) {
      this.#report(
        `${folderName(this)} keeps ${this.#unwritten} records in memory that cannot be written: ${error.message}`,
      )
    }
    this.#behind = outcomeOf(error)
  }

  /** Takes back what was not shown to anyone: its offsets are issued again. */
  #rewind(entries: readonly Pending[], error: Error): void {
    this.#next = this.#end
    this.#pending = []
    this.#tail.rewind(this.#end)
    this.#producers.rewind(this.#end)
    refuse(entries, error)
  }
}
