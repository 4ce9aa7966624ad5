/**
 * The segment files of one log: opened and recovered, read by offset and by time, rolled by size.
 *
 * `<folder>/<first offset, 20 digits>.log`, appended. The last one is the active one; the others do not change any more.
 */

import { formatLogHead, type LogHead } from '#wire/frames'
import type { Offset } from '#wire/ids'

import { writeFully, type Disk, type DiskFile } from '../disk/disk.ts'
import type { FoundBatch } from './framing.ts'
import type { StoredBatch } from './log.ts'
import type { Producers } from './producers.ts'
import { ForeignSegment, nextGoodBatch, scanSegment, SparseIndex, WindowReader } from './segment.ts'

interface Segment {
  readonly path: string
  readonly first: Offset
  readonly index: SparseIndex
  /** Where the batches begin, behind the head line. */
  readonly start: number
  /** The end of what is committed. */
  bytes: number
}

export class Segments {
  readonly head: Omit<LogHead, 'firstOffset'>
  readonly #disk: Disk
  readonly #folder: string
  readonly #segmentBytesMax: number
  readonly #report: (problem: string) => void
  readonly #segments: Segment[] = []
  #activeFile: DiskFile | undefined
  /** The offset after the last record found at open, and then the first of a segment that is yet to be made. */
  next = 0 as Offset
  lastAppendMs = 0

  /**
   * Opens the files of a log and finds what is whole in them.
   *
   * @param producers is told of each batch
   * @param report is told, in one line each, of damage and of torn tails
   * @throws ForeignSegment when a file is of another version, another log or another broker
   */
  static async open(
    disk: Disk,
    folder: string,
    head: Omit<LogHead, 'firstOffset'>,
    segmentBytesMax: number,
    producers: Producers,
    report: (problem: string) => void,
  ): Promise<Segments> {
    await disk.makeFolder(folder)
    const names = (await disk.list(folder)).filter((name) => /^\d{20}\.log$/.test(name))
    const segments = new Segments(disk, folder, head, segmentBytesMax, report)
    for (const [at, name] of names.entries()) await segments.#recover(name, at === names.length - 1, producers)
    return segments
  }

  private constructor(
    disk: Disk,
    folder: string,
    head: Omit<LogHead, 'firstOffset'>,
    segmentBytesMax: number,
    report: (problem: string) => void,
  ) {
    this.#disk = disk
    this.#folder = folder
    this.head = head
    this.#segmentBytesMax = segmentBytesMax
    this.#report = report
  }

  get first(): Offset {
    return this.#segments[0]?.first ?? this.next
  }

  get bytes(): number {
    let sum = 0
    for (const segment of this.#segments) sum += segment.bytes
    return sum
  }

  /** Where the next write goes: the end of the active segment, or a new one when that is full. */
  async place(): Promise<{ readonly file: DiskFile; readonly position: number }> {
    let active = this.#segments.at(-1)
    if (active === undefined || active.bytes >= this.#segmentBytesMax) active = await this.#roll()
    this.#activeFile ??= await this.#disk.open(active.path)
    return { file: this.#activeFile, position: active.bytes }
  }

  /** Notes where a batch of the active segment stands. */
  noteBatch(first: Offset, appendMs: number, position: number): void {
    this.#active.index.add(first, appendMs, position)
  }

  /** The active segment is committed up to here; `next` is the offset that follows. */
  grown(bytes: number, next: Offset): void {
    this.#active.bytes = bytes
    this.next = next
  }

  /** Batches from the files, from the one that holds `from` (or the next one there is) up to `end`. */
  async read(from: Offset, end: Offset, bytesMax: number): Promise<readonly StoredBatch[]> {
    for (let at = this.#segmentAt(from); at < this.#segments.length; at++) {
      const segment = this.#segments[at] as Segment
      const position = segment.index.positionOf(from) ?? segment.start
      const batches = await this.#readSegment(segment, position, end, bytesMax, (batch) => {
        return batch.head.firstOffset + batch.head.count > from
      })
      if (batches.length > 0) return batches
    }
    return []
  }

  /** The first record appended at or after a time, among those before `end`. */
  async offsetAt(timeMs: number, end: Offset): Promise<Offset> {
    for (const segment of this.#segments) {
      const position = segment.index.positionBefore(timeMs) ?? segment.start
      const [batch] = await this.#readSegment(segment, position, end, 1, (found) => found.head.appendMs >= timeMs)
      if (batch !== undefined) return batch.first
    }
    return end
  }

  async close(): Promise<void> {
    await this.#activeFile?.close()
    this.#activeFile = undefined
  }

  get #active(): Segment {
    return this.#segments.at(-1) as Segment
  }

  /** The index of the segment that holds an offset, or of the first one. */
  #segmentAt(offset: Offset): number {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#segments[middle] as Segment).first <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  async #readSegment(
    segment: Segment,
    from: number,
    end: Offset,
    bytesMax: number,
    wanted: (batch: FoundBatch) => boolean,
  ): Promise<StoredBatch[]> {
    const file = await this.#disk.open(segment.path)
    const batches: StoredBatch[] = []
    try {
      const size = segment.bytes
      const reader = new WindowReader(file, size - from)
      let bytes = 0
      let next: number = segment.first
      let position = from
      while (position < size && bytes < bytesMax) {
        const batch = await reader.batchAt(position, size)
        if (batch === 'bad') {
          this.#report(`${segment.path} is damaged at byte ${position}`)
          position = (await nextGoodBatch(reader, position, next, size)) ?? size
          continue
        }
        next = batch.head.firstOffset + batch.head.count
        if (next > end) break
        if (wanted(batch) || batches.length > 0) {
          // A copy: the window is used again for the next batch.
          const view = Buffer.from(reader.bytes.subarray(batch.at, batch.end))
          batches.push({ first: batch.head.firstOffset, next: next as Offset, view })
          bytes += view.length
        }
        position += batch.end - batch.at
      }
    } finally {
      await file.close()
    }
    return batches
  }

  async #roll(): Promise<Segment> {
    // A closed segment is synced whatever the durability, so that only the active one can lose its end.
    await this.#activeFile?.sync()
    await this.#activeFile?.close()
    this.#activeFile = undefined
    const first = this.next
    const path = `${this.#folder}/${String(first).padStart(20, '0')}.log`
    const file = await this.#disk.open(path)
    const line = Buffer.from(formatLogHead({ ...this.head, firstOffset: first }), 'latin1')
    try {
      await file.truncate(0)
      await writeFully(file, [line], 0)
      await file.sync()
      await this.#disk.syncFolder(this.#folder)
    } catch (error) {
      await file.close()
      throw error
    }
    this.#activeFile = file
    const segment: Segment = { path, first, index: new SparseIndex(), start: line.length, bytes: line.length }
    this.#segments.push(segment)
    return segment
  }

  async #recover(name: string, last: boolean, producers: Producers): Promise<void> {
    const path = `${this.#folder}/${name}`
    const index = new SparseIndex()
    const file = await this.#disk.open(path)
    try {
      let lastAppendMs = this.lastAppendMs
      const firstOffset = Number(name.slice(0, 20)) as Offset
      const scanned = await scanSegment(path, file, { ...this.head, firstOffset }, ({ head }, _bytes, position) => {
        index.add(head.firstOffset, head.appendMs, position)
        lastAppendMs = Math.max(lastAppendMs, head.appendMs)
        if (head.producer === undefined || head.sequence === undefined) return
        const written = { sequence: head.sequence, first: head.firstOffset, count: head.count }
        producers.appended(head.producer, written)
        producers.committed(head.producer, head.sequence, head.count)
      })
      if (scanned === undefined) {
        await this.#setAside(path, firstOffset, last)
        return
      }
      this.#check(path, scanned.head)
      for (const { from, to } of scanned.damaged) {
        this.#report(
          `${path} is damaged from byte ${from} to ${to}: the records there are lost, those behind are served`,
        )
      }
      if (scanned.end < scanned.bytes) await this.#cutTail(path, file, scanned.end, scanned.bytes, last)
      this.lastAppendMs = lastAppendMs
      this.next = scanned.next
      const start = formatLogHead(scanned.head).length
      this.#segments.push({ path, first: scanned.head.firstOffset, index, start, bytes: scanned.end })
    } finally {
      await file.close()
    }
  }

  #check(path: string, found: LogHead): void {
    const { topic, broker, partition } = this.head
    if (found.topic !== topic || found.broker !== broker || found.partition !== partition) {
      throw new ForeignSegment(
        `${path} belongs to ${found.topic} partition ${found.partition} of broker ${found.broker}, ` +
          `not to ${topic} partition ${partition} of broker ${broker}: put the file back where it came from`,
      )
    }
    if (found.firstOffset < this.next) {
      throw new ForeignSegment(`${path} begins at ${found.firstOffset}, the file before it ends at ${this.next}`)
    }
    // The id on disk is the log's; the one handed in is for a log that is new.
    Object.assign(this.head, { logId: found.logId })
  }

  /** Keeps what a crash cut off, for whoever wants to see it, and cuts the file to its last good batch. */
  async #cutTail(path: string, file: DiskFile, end: number, bytes: number, last: boolean): Promise<void> {
    if (!last) {
      this.#report(`${path} is damaged from byte ${end} to its end: the records there are lost`)
      return
    }
    const torn = Buffer.allocUnsafe(Math.min(bytes - end, 16 << 20))
    const count = await file.read(torn, end)
    const kept = await this.#disk.open(`${path}.torn`)
    try {
      await kept.truncate(0)
      await writeFully(kept, [torn.subarray(0, count)], 0)
      await kept.sync()
    } finally {
      await kept.close()
    }
    await file.truncate(end)
    await file.sync()
    await this.#disk.syncFolder(this.#folder)
    this.#report(`${path} had a torn tail of ${bytes - end} bytes behind byte ${end}: cut off, kept as ${path}.torn`)
  }

  /** A file without a whole head line: a crash right after it was made. It held nothing that was acknowledged. */
  async #setAside(path: string, first: Offset, last: boolean): Promise<void> {
    const kept = `${path}.torn`
    await this.#disk.rename(path, kept)
    await this.#disk.syncFolder(this.#folder)
    this.#report(`${path} has no head line: set aside as ${kept}`)
    if (last) this.next = Math.max(this.next, first) as Offset
  }
}
