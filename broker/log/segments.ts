/**
 * The segment files of one log: written, read by offset and by time, rolled by size, dropped when they are not needed.
 *
 * `<folder>/<first offset, 20 digits>.log`. The last one is the active one; the others are sealed and do not change any more.
 * A clean stop seals the active one too; the next append cuts the trailer off again.
 */

import type { LogHead } from '#wire/frames'
import type { Offset } from '#wire/ids'

import { writeFully, type Disk, type DiskFile } from '../disk/disk.ts'
import { SyncFailed, syncOnce } from './commit.ts'
import type { FoundBatch } from './framing.ts'
import type { StoredBatch } from './types.ts'
import type { Producers } from './producers.ts'
import { SegmentReads } from './reading.ts'
import type { Recovered, Segment } from './recovery.ts'
import { formatSegmentHead, SparseIndex } from './segment.ts'
import { formatTrailer } from './trailer.ts'
import type { ReadMemory } from './windows.ts'

/** A file of a log, as retention and the tools see it. */
export type SegmentFigures = Readonly<Pick<Segment, 'first' | 'next' | 'records' | 'bytes' | 'lastMs' | 'sealed'>>

/** What is noted of a batch that stands in the active segment. */
export interface PlacedBatch {
  readonly first: Offset
  readonly next: Offset
  readonly appendMs: number
  readonly bytes: number
}

export class Segments {
  readonly #disk: Disk
  readonly #folder: string
  readonly #head: Omit<LogHead, 'firstOffset'>
  readonly #segmentBytesMax: number
  readonly #producers: Pick<Producers, 'states'>
  #segments: Segment[]
  readonly #reads: SegmentReads
  #activeFile: DiskFile | undefined
  #next: Offset

  /** @param producers what a file keeps of them when it is begun or sealed: the state of what is committed */
  constructor(
    disk: Disk,
    folder: string,
    recovered: Recovered,
    segmentBytesMax: number,
    producers: Pick<Producers, 'states'>,
    report: (problem: string) => void,
  ) {
    this.#disk = disk
    this.#folder = folder
    this.#head = recovered.head
    this.#segments = recovered.segments.slice()
    this.#next = recovered.next
    this.#segmentBytesMax = segmentBytesMax
    this.#producers = producers
    this.#reads = new SegmentReads(disk, report)
  }

  get first(): Offset {
    return this.#segments[0]?.first ?? this.#next
  }

  /** The offset after the last record that is in a file; more once {@link moveUp} was called. */
  get next(): Offset {
    return this.#next
  }

  get bytes(): number {
    let sum = 0
    for (const segment of this.#segments) sum += segment.bytes
    return sum
  }

  /** How many records the files hold. */
  get records(): number {
    let sum = 0
    for (const segment of this.#segments) sum += segment.records
    return sum
  }

  get all(): readonly SegmentFigures[] {
    return this.#segments
  }

  /** The next record gets at least this offset; a new segment begins there. */
  moveUp(next: Offset): void {
    this.#next = Math.max(this.#next, next) as Offset
  }

  /** Where the next write goes: the end of the active segment, or a new one when that is full. */
  async place(): Promise<{ readonly file: DiskFile; readonly position: number }> {
    let active = this.#segments.at(-1)
    const isFull = active !== undefined && active.batches > 0 && active.bytes >= this.#segmentBytesMax
    if (active === undefined || isFull || active.next !== this.#next) active = await this.#begin()
    this.#activeFile ??= await this.#disk.open(active.path)
    if (active.sealed) await this.#unseal(active, this.#activeFile)
    return { file: this.#activeFile, position: active.bytes }
  }

  /** Notes what was written at the place, in order. */
  written(batches: readonly PlacedBatch[]): void {
    const active = this.#segments.at(-1) as Segment
    const index = active.index as SparseIndex
    for (const { first, next, appendMs, bytes } of batches) {
      index.add(first, appendMs, active.bytes)
      if (active.batches === 0) active.firstMs = appendMs
      active.lastMs = appendMs
      active.next = next
      active.records += next - first
      active.batches++
      active.bytes += bytes
    }
    this.#next = active.next
  }

  /** Seals the active segment and begins the next one, so that it can be dropped. Not while a write is under way. */
  async roll(): Promise<void> {
    const active = this.#segments.at(-1)
    if (active !== undefined && active.batches > 0) await this.#begin()
  }

  /**
   * Removes the segments whose records are all before an offset, but for the last one.
   *
   * @returns how many records went
   */
  async dropBefore(offset: Offset): Promise<number> {
    let records = 0
    while (this.#segments.length > 1 && (this.#segments[1] as Segment).first <= offset) {
      const [dropped] = this.#segments.splice(0, 1) as [Segment]
      records += dropped.records
      dropped.dropped = true
      await this.#reads.leave(dropped)
      await this.#disk.remove(dropped.path)
      // One by one: a crash must not leave a hole between older and newer files.
      await this.#disk.syncFolder(this.#folder)
    }
    return records
  }

  /**
   * Batches from the files, from the one that holds `from` (or the next one there is) up to `end`.
   *
   * @param bytesMax stop after the batch that reaches this
   * @param memory what the batches may be views of; else they have memory of their own
   */
  async read(from: Offset, end: Offset, bytesMax: number, memory?: ReadMemory): Promise<readonly StoredBatch[]> {
    // Looked up by its offset each time: segments may be dropped while another is read.
    for (let at = from; ;) {
      const segment = this.#segmentFrom(at)
      if (segment === undefined) return []
      const { next } = segment
      const position = (await this.#reads.indexOf(segment)).positionOf(from) ?? segment.start
      const isFirst = ({ head }: FoundBatch): boolean => head.firstOffset + head.count > from
      const batches = await this.#reads.batchesOf(segment, { position, end, bytesMax, isFirst, memory })
      if (batches.length > 0) return batches
      at = next
    }
  }

  /** When the record at an offset was appended, in ms since 1970, or a batch close before it; `undefined` when it is in no file. */
  appendedMs(offset: Offset): number | undefined {
    const segment = this.#segmentFrom(offset)
    if (segment === undefined || segment.batches === 0) return undefined
    return segment.index?.timeOf(offset) ?? segment.firstMs
  }

  /** The first record appended at or after a time, among those before `end`. */
  async offsetAt(timeMs: number, end: Offset): Promise<Offset> {
    for (const segment of this.#segments.filter(({ lastMs }) => lastMs >= timeMs)) {
      const position = (await this.#reads.indexOf(segment)).positionBefore(timeMs) ?? segment.start
      const isFirst = ({ head }: FoundBatch): boolean => head.appendMs >= timeMs
      const wanted = { position, end, bytesMax: 1, isFirst, memory: undefined }
      const [batch] = await this.#reads.batchesOf(segment, wanted)
      if (batch !== undefined) return batch.first
    }
    return end
  }

  /** Seals the active segment, so that the next start need not read it. */
  async close(): Promise<void> {
    try {
      // An offset that was moved up to and not used yet is kept as the name of a file.
      if ((this.#segments.at(-1)?.next ?? 0) !== this.#next) await this.#begin()
      const active = this.#segments.at(-1)
      if (active !== undefined && !active.sealed) {
        this.#activeFile ??= await this.#disk.open(active.path)
        await this.#seal(active, this.#activeFile)
      }
    } finally {
      await this.abandon()
    }
  }

  /** Closes the files as they are. */
  async abandon(): Promise<void> {
    await this.#reads.close()
    await this.#leaveActive()
  }

  async #leaveActive(): Promise<void> {
    const file = this.#activeFile
    this.#activeFile = undefined
    await file?.close()
  }

  /** The segment that holds an offset, or the next one that holds any behind it. */
  #segmentFrom(offset: Offset): Segment | undefined {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#segments[middle] as Segment).first <= offset) low = middle
      else high = middle - 1
    }
    const segment = this.#segments[low]
    return segment !== undefined && segment.next <= offset ? this.#segments[low + 1] : segment
  }

  /** Seals the active segment, if there is one, and begins the next. */
  async #begin(): Promise<Segment> {
    const active = this.#segments.at(-1)
    if (active !== undefined && !active.sealed) {
      this.#activeFile ??= await this.#disk.open(active.path)
      await this.#seal(active, this.#activeFile)
    }
    await this.#leaveActive()
    const first = this.#next
    const path = `${this.#folder}/${String(first).padStart(20, '0')}.log`
    const lines = formatSegmentHead({ ...this.#head, firstOffset: first }, this.#producers.states)
    const file = await this.#disk.open(path)
    try {
      await file.truncate(0)
      await writeFully(file, [lines], 0)
      await syncOnce(file)
      await this.#disk.syncFolder(this.#folder)
    } catch (error) {
      await file.close()
      // Or the last segment grows past the offset that this one begins at. Where it stays, the next start passes it over.
      if (!(error instanceof SyncFailed)) await this.#disk.remove(path).catch(() => {})
      throw error
    }
    this.#activeFile = file
    const segment: Segment = {
      path,
      first,
      next: first,
      records: 0,
      batches: 0,
      firstMs: 0,
      lastMs: 0,
      start: lines.length,
      bytes: lines.length,
      sealed: false,
      dropped: false,
      index: new SparseIndex(),
    }
    this.#segments = this.#segments.concat(segment)
    return segment
  }

  /** A sealed segment is synced whatever the durability, so that only the active one can lose its end. */
  async #seal(active: Segment, file: DiskFile): Promise<void> {
    const { first, next, records, batches, firstMs, lastMs, bytes, index } = active
    const trailer = formatTrailer({
      first,
      next,
      records,
      batches,
      bytes,
      firstMs,
      lastMs,
      index: index?.rows ?? [],
      producers: this.#producers.states,
    })
    // Before there is a trailer: one that stands behind pages which failed to be synced would have them believed.
    await syncOnce(file)
    try {
      await writeFully(file, [trailer], bytes)
    } catch (error) {
      await file.truncate(bytes)
      throw error
    }
    await syncOnce(file)
    active.sealed = true
  }

  async #unseal(active: Segment, file: DiskFile): Promise<void> {
    await this.#reads.indexOf(active)
    await file.truncate(active.bytes)
    active.sealed = false
  }
}
