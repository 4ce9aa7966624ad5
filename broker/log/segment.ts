/**
 * Reading segment files: the scan that finds what is whole, what is torn and what is damaged, and the sparse index that
 * finds a record without a scan.
 *
 * A bad batch with no good one after it is a **torn tail**: a write that a crash cut off. With good ones after it, it is
 * **damage**: they are served, and the offsets between are lost and told.
 */

import { crc32 } from 'node:zlib'

import { formatCrc, formatLogHead, formatVersion, parseLogHead, type LogHead } from '#wire/frames'
import type { Offset } from '#wire/ids'

import type { DiskFile } from '../disk/disk.ts'
import type { ProducerStates } from './producers.ts'
import type { IndexRows } from './trailer.ts'
import { claimedBytes, headBytesMax, readBatch, type FoundBatch } from './framing.ts'

/** How far apart the entries of a sparse index are, in bytes of the file. */
export const indexStepBytes = 64 * 1024

/** What a scan reads at one time. */
const scanBytes = 1 << 20

/** What is remembered of 10,000 producers with the longest names is less. */
const headLineBytesMax = 4 << 20
const LF = 10
const batchStart = Buffer.from('\n: batch ')

/** Where some batches of a segment start, and when they were appended: enough to begin reading near any record. */
export class SparseIndex {
  /** A row behind the other, `[offset, ms, position]`: three arrays take three times the bytes where there are few rows. */
  #rows: number[] = []

  /** The index that a trailer kept. */
  static of(rows: IndexRows): SparseIndex {
    const index = new SparseIndex()
    for (const [offset, ms, position] of rows) index.add(offset as Offset, ms, position)
    return index
  }

  /** For a trailer. */
  get rows(): IndexRows {
    const rows: [number, number, number][] = []
    for (let at = 0; at < this.#rows.length; at += rowLength) {
      rows.push(this.#rows.slice(at, at + rowLength) as [number, number, number])
    }
    return rows
  }

  /** Notes a batch, unless one close before it is noted. Offsets rise, times do not fall. */
  add(firstOffset: Offset, appendMs: number, position: number): void {
    const last = this.#rows.at(-1)
    if (last !== undefined && position - last < indexStepBytes) return
    // The first row without the room that V8 leaves behind what is pushed: most logs of ten thousand have no second one.
    if (last === undefined) this.#rows = [firstOffset, appendMs, position]
    else this.#rows.push(firstOffset, appendMs, position)
  }

  /** The position of the closest batch noted at or before the offset; `undefined` when none is. */
  positionOf(offset: Offset): number | undefined {
    return this.#rows[lastBelow(this.#rows, offsetColumn, offset + 1) + positionColumn]
  }

  /**
   * Where a read of whole batches ends that begins at a position and is to bring about so many bytes: before the last batch noted
   * that far, or behind the first one where that is longer.
   *
   * @param size where the batches of the file end
   */
  endOfRead(position: number, bytes: number, size: number): number {
    if (position + bytes >= size) return size
    const row = lastBelow(this.#rows, positionColumn, position + bytes + 1)
    const before = this.#rows[row + positionColumn]
    // Of a file without an index nothing is known.
    if (before === undefined) return position + bytes
    return before > position ? before : (this.#rows[row + rowLength + positionColumn] ?? size)
  }

  /** The first offset of the batch noted at a position; `undefined` when none is. */
  offsetAt(position: number): Offset | undefined {
    const row = lastBelow(this.#rows, positionColumn, position) + rowLength
    return this.#rows[row + positionColumn] === position ? (this.#rows[row + offsetColumn] as Offset) : undefined
  }

  /** When the closest batch noted at or before the offset was appended; `undefined` when none is. */
  timeOf(offset: Offset): number | undefined {
    return this.#rows[lastBelow(this.#rows, offsetColumn, offset + 1) + timeColumn]
  }

  /** The position of the last batch noted that was appended before a time; `undefined` when none was. */
  positionBefore(timeMs: number): number | undefined {
    return this.#rows[lastBelow(this.#rows, timeColumn, timeMs) + positionColumn]
  }
}

const [offsetColumn, timeColumn, positionColumn, rowLength] = [0, 1, 2, 3]

/** Where the last row begins whose number in a rising column is below a bound; before the first row when none is. */
function lastBelow(rows: readonly number[], column: number, bound: number): number {
  let low = 0
  let high = rows.length / rowLength
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rows[middle * rowLength + column] as number) < bound) low = middle + 1
    else high = middle
  }
  return (low - 1) * rowLength
}

/** Bytes that hold no good batch, and the records that stood there. */
export interface Damage {
  readonly from: number
  readonly to: number
  /** The offsets that are lost: none when only bytes that never held a record are wrong. */
  readonly firstLost: Offset
  readonly nextGood: Offset
}

/** What {@link scanSegment} tells of a file. */
export interface Scanned {
  readonly head: LogHead
  /** Where the batches begin. */
  readonly start: number
  /** The offset after the last good batch, or the head's when there is none. */
  readonly next: Offset
  readonly records: number
  readonly batches: number
  /** When the first and the last batch were appended, in ms since 1970; 0 without any. */
  readonly firstMs: number
  readonly lastMs: number
  /** The end of the last good batch, in bytes: what stands behind it is not good. */
  readonly end: number
  /** The size of the file. */
  readonly bytes: number
  /** What is damaged, with good batches after it. */
  readonly damaged: readonly Damage[]
}

/** Thrown when a file was written by a newer, incompatible version, or is of another log. */
export class ForeignSegment extends Error {
  override readonly name = 'ForeignSegment'
}

/**
 * Reads a segment from its start to its end and calls back for each good batch, in order.
 *
 * @param expected the head that the file should have, should its own be damaged
 * @param remembered is told first what stands of producers before the batches
 * @param found is given the batch, the bytes that its positions are in, and its position in the file
 * @returns what was found; `undefined` when there is neither a head nor a batch (a crash right after the file was made)
 * @throws ForeignSegment
 */
export async function scanSegment(
  path: string,
  file: DiskFile,
  expected: LogHead,
  found: (batch: FoundBatch, bytes: Buffer, position: number) => void,
  remembered: (producers: ProducerStates) => void = () => {},
): Promise<Scanned | undefined> {
  const size = await file.size()
  const reader = new WindowReader(file, scanMemory(size))
  const damaged: Damage[] = []
  const own = await readHead(path, reader, size)
  const head = own?.head ?? expected
  const start = own?.bytes ?? 0
  if (own !== undefined) remembered(own.producers)
  let position = start
  let next: number = head.firstOffset
  let end = position
  let [records, batches, firstMs, lastMs] = [0, 0, 0, 0]
  while (position < size) {
    const batch = await reader.batchAt(position, size)
    if (batch !== 'bad' && batch.head.firstOffset >= next) {
      const { firstOffset, count, appendMs } = batch.head
      // Behind damage a batch must fit the order; behind a good one it must also be the next.
      if (firstOffset > next && damaged.at(-1)?.to !== position) {
        damaged.push({ from: position, to: position, firstLost: next as Offset, nextGood: firstOffset })
      }
      found(batch, reader.bytes, position)
      if (batches === 0) firstMs = appendMs
      lastMs = Math.max(lastMs, appendMs)
      records += count
      batches++
      next = firstOffset + count
      position += batch.end - batch.at
      end = position
      continue
    }
    const good = await nextGoodBatch(reader, position, next, size)
    if (good === undefined) break
    damaged.push({ from: position, to: good.position, firstLost: next as Offset, nextGood: good.firstOffset })
    position = good.position
  }
  if (own === undefined && end === 0) return undefined
  return { head, start, next: next as Offset, records, batches, firstMs, lastMs, end, bytes: size, damaged }
}

/** What stands before the batches of a segment: whose log it is, and what is remembered of its producers. */
export interface SegmentHead {
  readonly head: LogHead
  readonly producers: ProducerStates
  /** Where the batches begin. */
  readonly bytes: number
}

const noProducers: ProducerStates = new Map()
const producersStart = ': producers '

/** The first lines of a segment file. The second is there when the log knows producers. */
export function formatSegmentHead(head: LogHead, producers: ProducerStates): Buffer {
  const line = formatLogHead(head)
  if (producers.size === 0) return Buffer.from(line, 'latin1')
  const covered = `${producersStart}${JSON.stringify(Object.fromEntries(producers))} `
  return Buffer.from(`${line}${covered}${formatCrc(crc32(covered))}\n`, 'latin1')
}

/** Reads the first lines of a segment file; `undefined` when the first is not whole. Throws {@link ForeignSegment}. */
export function readSegmentHead(path: string, file: DiskFile, size: number): Promise<SegmentHead | undefined> {
  return readHead(path, new WindowReader(file, scanMemory(Math.min(size, 512))), size)
}

async function readHead(path: string, reader: WindowReader, size: number): Promise<SegmentHead | undefined> {
  const start = await reader.at(0, Math.min(512, size))
  const newline = start.indexOf(LF)
  const head = newline === -1 ? undefined : parseLogHead(start.toString('latin1', 0, newline))
  if (head === undefined) return undefined
  if ('foreignVersion' in head) {
    throw new ForeignSegment(
      `${path} is of format ${head.foreignVersion}, this program reads format ${formatVersion}: ` +
        'run the version of Penstock that wrote it',
    )
  }
  const bytes = newline + 1
  const isFollowed = start.toString('latin1', bytes, bytes + producersStart.length) === producersStart
  const line = isFollowed ? await readLine(reader, bytes, size) : undefined
  const producers = line === undefined ? undefined : parseProducers(line)
  // A line that is damaged is passed over like any other bytes that are no batch.
  if (line === undefined || producers === undefined) return { head, producers: noProducers, bytes }
  return { head, producers, bytes: bytes + line.length + 1 }
}

async function readLine(reader: WindowReader, from: number, size: number): Promise<string | undefined> {
  for (let length = 4096; ; length *= 4) {
    const bytes = await reader.at(from, Math.min(length, size - from))
    const newline = bytes.indexOf(LF)
    if (newline !== -1) return bytes.toString('latin1', 0, newline)
    if (length >= size - from || length > headLineBytesMax) return undefined
  }
}

function parseProducers(line: string): ProducerStates | undefined {
  const covered = line.slice(0, -8)
  if (formatCrc(crc32(covered)) !== line.slice(-8)) return undefined
  return new Map(
    Object.entries(JSON.parse(covered.slice(producersStart.length)) as Record<string, [number, number, number]>),
  )
}

/** The first good batch behind a bad one whose offsets fit, if there is one. */
export async function nextGoodBatch(
  reader: WindowReader,
  bad: number,
  next: number,
  size: number,
): Promise<{ readonly position: number; readonly firstOffset: Offset } | undefined> {
  // Where its own header says that it ends: right when its events are damaged, their last line end included.
  const claimed = bad + (claimedBytes(await reader.at(bad, Math.min(headBytesMax, size - bad))) ?? size)
  if (claimed < size) {
    const batch = await reader.batchAt(claimed, size)
    if (batch !== 'bad' && batch.head.firstOffset >= next)
      return { position: claimed, firstOffset: batch.head.firstOffset }
  }
  let position = bad
  while (size - position > batchStart.length) {
    const bytes = await reader.at(position, batchStart.length)
    const at = bytes.indexOf(batchStart)
    if (at === -1) {
      // The next window takes the last bytes again: a header may lie across the border.
      position += bytes.length - batchStart.length + 1
      continue
    }
    const candidate = position + at + 1
    const batch = await reader.batchAt(candidate, size)
    if (batch !== 'bad' && batch.head.firstOffset >= next)
      return { position: candidate, firstOffset: batch.head.firstOffset }
    position = candidate
  }
  return undefined
}

/** Memory to scan a file of a size with: a small file gets a small window. */
export function scanMemory(size: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.min(scanBytes, Math.max(size, 512)))
}

/** Reads batches of a file one behind the other through a window that grows to the largest batch. */
export class WindowReader {
  readonly #file: DiskFile
  #memory: Buffer
  /** Where the window starts in the file. */
  #start = 0
  #bytes: Buffer

  /** @param memory is read into; a larger one takes its place when a batch does not fit, and this one is left alone then */
  constructor(file: DiskFile, memory: Buffer) {
    this.#file = file
    this.#memory = memory
    this.#bytes = memory.subarray(0, 0)
  }

  /** What the window holds. The next call of {@link at} or {@link batchAt} may read into the same memory. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** The batch at a position of a file that ends at `size`; the batch's own positions are in {@link bytes}. */
  async batchAt(position: number, size: number): Promise<FoundBatch | 'bad'> {
    let tried = 0
    for (;;) {
      await this.#cover(position, Math.min(Math.max(tried, 1), size - position))
      const batch = readBatch(this.#bytes, position - this.#start)
      if (batch === 'bad' || !('needed' in batch)) return batch
      // What is left of the file is too short: the batch is cut off, or its header lies.
      if (tried >= size - position) return 'bad'
      if (batch.needed <= tried) return 'bad'
      tried = Math.min(batch.needed, size - position)
    }
  }

  /** The batch at a position, without a read; `undefined` where the window does not hold the whole of it. */
  wholeAt(position: number): FoundBatch | 'bad' | undefined {
    if (position < this.#start || position >= this.#start + this.#bytes.length) return undefined
    const batch = readBatch(this.#bytes, position - this.#start)
    return batch === 'bad' || !('needed' in batch) ? batch : undefined
  }

  /** The window from a position on: at least `needed` bytes, fewer only at the end of the file. */
  async at(position: number, needed: number): Promise<Buffer> {
    await this.#cover(position, needed)
    return this.#bytes.subarray(position - this.#start)
  }

  async #cover(position: number, needed: number): Promise<void> {
    if (position >= this.#start && position + needed <= this.#start + this.#bytes.length) return
    if (needed > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#memory.length))
    let filled = 0
    // Should a read fail, nothing is known of what stands there now.
    this.#bytes = this.#memory.subarray(0, 0)
    this.#start = position
    while (filled < this.#memory.length) {
      const count = await this.#file.read(this.#memory.subarray(filled), position + filled)
      if (count === 0) break
      filled += count
    }
    this.#bytes = this.#memory.subarray(0, filled)
  }
}
