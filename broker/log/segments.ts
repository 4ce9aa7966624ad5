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
import type { Recovered, Segment } from './recovery.ts'
import { formatSegmentHead, nextGoodBatch, SparseIndex, WindowReader } from './segment.ts'
import { formatTrailer, readTrailer } from './trailer.ts'

/** A file of a log, as retention and the tools see it. */
export type SegmentFigures = Readonly<Pick<Segment, 'first' | 'next' | 'records' | 'bytes' | 'lastMs' | 'sealed'>>

/** What is noted of a batch that stands in the active segment. */
export interface PlacedBatch {
  readonly first: Offset
  readonly next: Offset
  readonly appendMs: number
  readonly bytes: number
}

/** What is read behind the bytes that are asked for: the end of a usual batch, so that there need be no second read for it. */
const windowSpareBytes = 64 * 1024

/** A file that is open to be read. */
interface ReadFile {
  readonly segment: Segment
  readonly file: Promise<DiskFile>
  /** Reads that are under way. */
  users: number
}

export class Segments {
  readonly #disk: Disk
  readonly #folder: string
  readonly #head: Omit<LogHead, 'firstOffset'>
  readonly #segmentBytesMax: number
  readonly #producers: Pick<Producers, 'states'>
  readonly #report: (problem: string) => void
  #segments: Segment[]
  /** Reads that are under way, and where. */
  readonly #reads = new Map<Promise<unknown>, Segment>()
  /** The file that was read last. */
  #readFile: ReadFile | undefined
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
    this.#report = report
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
      const reads = [...this.#reads].filter(([, segment]) => segment === dropped)
      await Promise.allSettled(reads.map(([read]) => read))
      // Or the disk would not be free of it.
      if (this.#readFile?.segment === dropped) await this.#forgetReadFile()
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
   */
  async read(from: Offset, end: Offset, bytesMax: number): Promise<readonly StoredBatch[]> {
    // Looked up by its offset each time: segments may be dropped while another is read.
    for (let at = from; ;) {
      const segment = this.#segmentFrom(at)
      if (segment === undefined) return []
      const { next } = segment
      const position = (await this.#indexOf(segment)).positionOf(from) ?? segment.start
      const batches = await this.#readSegment(segment, position, end, bytesMax, (batch) => {
        return batch.head.firstOffset + batch.head.count > from
      })
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
      const position = (await this.#indexOf(segment)).positionBefore(timeMs) ?? segment.start
      const [batch] = await this.#readSegment(segment, position, end, 1, (found) => found.head.appendMs >= timeMs)
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
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads.keys())
    await this.#forgetReadFile()
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

  async #indexOf(segment: Segment): Promise<SparseIndex> {
    if (segment.index !== undefined) return segment.index
    const trailer = await this.#reading(segment, async (file) => readTrailer(file, await file.size()))
    // Without one it has gone bad since the start: the segment is read from its beginning.
    return (segment.index ??= SparseIndex.of(trailer?.index ?? []))
  }

  /** Reads in a file, which a stop and a removal wait for; `undefined` where it is removed already. */
  async #reading<T>(segment: Segment, read: (file: DiskFile) => Promise<T>): Promise<T | undefined> {
    if (segment.dropped) return undefined
    const run = this.#withFile(segment, read)
    this.#reads.set(run, segment)
    return run.finally(() => this.#reads.delete(run))
  }

  /**
   * The file stays open for the next read, until one of another file begins: who lags reads on where it was, and what the kernel
   * has read ahead on a descriptor it forgets with it. With the smaller windows, 1.16 to 1.4 times the records of before
   * (`npm run bench -- broker consume-disk`, in turns).
   */
  async #withFile<T>(segment: Segment, read: (file: DiskFile) => Promise<T>): Promise<T> {
    let own = this.#readFile
    if (own?.segment !== segment) {
      const before = own
      own = this.#readFile = { segment, file: this.#disk.open(segment.path), users: 0 }
      if (before?.users === 0) void closeOf(before)
    }
    own.users++
    try {
      return await read(await own.file)
    } catch (error) {
      // It may be the file: the next read opens it anew.
      if (this.#readFile === own) this.#readFile = undefined
      throw error
    } finally {
      own.users--
      if (own.users === 0 && this.#readFile !== own) await closeOf(own)
    }
  }

  /** No read is under way. */
  async #forgetReadFile(): Promise<void> {
    const own = this.#readFile
    this.#readFile = undefined
    if (own?.users === 0) await closeOf(own)
  }

  async #readSegment(
    segment: Segment,
    from: number,
    end: Offset,
    bytesMax: number,
    wanted: (batch: FoundBatch) => boolean,
  ): Promise<StoredBatch[]> {
    const read = await this.#reading(segment, async (file) => {
      const batches: StoredBatch[] = []
      const size = segment.bytes
      const reader = new WindowReader(file, Math.min(size - from, bytesMax + windowSpareBytes))
      let bytes = 0
      let next: number = segment.first
      let position = from
      while (position < size && bytes < bytesMax) {
        const batch = await reader.batchAt(position, size)
        if (batch === 'bad') {
          this.#report(`${segment.path} is damaged at byte ${position}`)
          position = (await nextGoodBatch(reader, position, next, size))?.position ?? size
          continue
        }
        next = batch.head.firstOffset + batch.head.count
        if (next > end) break
        if (wanted(batch) || batches.length > 0) {
          // A copy: the window is used again for the next batch.
          const view = Buffer.from(reader.bytes.subarray(batch.at, batch.end))
          batches.push({ first: batch.head.firstOffset, next: next as Offset, view, chunk: undefined })
          bytes += view.length
        }
        position += batch.end - batch.at
      }
      return batches
    })
    return read ?? []
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
    await this.#indexOf(active)
    await file.truncate(active.bytes)
    active.sealed = false
  }
}

/** Nothing was written by it, so that nothing is lost where it cannot be closed; and what was not opened need not be. */
async function closeOf({ file }: ReadFile): Promise<void> {
  await file.then((opened) => opened.close()).catch(() => {})
}
