/**
 * Reading the segment files of one log: the file that was read last stays open, and batches are views of what was read.
 */

import type { Offset } from '#wire/ids'

import type { Disk, DiskFile } from '../disk/disk.ts'
import type { FoundBatch } from './framing.ts'
import type { Segment } from './recovery.ts'
import { nextGoodBatch, SparseIndex, WindowReader } from './segment.ts'
import { readTrailer } from './trailer.ts'
import type { StoredBatch } from './types.ts'
import type { ReadMemory } from './windows.ts'

/** One batch is read in one piece up to this; of a larger one the first piece says how long it is. */
const pieceBytesMax = 16 << 20

/** A file that is open to be read. */
interface ReadFile {
  readonly segment: Segment
  readonly file: Promise<DiskFile>
  /** Reads that are under way. */
  users: number
}

/** What is wanted of a segment. */
export interface Wanted {
  /** In bytes of the file, where a batch begins. */
  readonly position: number
  /** Batches that end behind this offset are not visible yet. */
  readonly end: Offset
  /** Stop after the batch that reaches this. */
  readonly bytesMax: number
  /** Whether the batches begin with this one. */
  readonly isFirst: (batch: FoundBatch) => boolean
  /** What to read into; without it, what is read has memory of its own. */
  readonly memory: ReadMemory | undefined
}

export class SegmentReads {
  readonly #disk: Disk
  readonly #report: (problem: string) => void
  /** Reads that are under way, and where. */
  readonly #reads = new Map<Promise<unknown>, Segment>()
  /** The file that was read last. */
  #readFile: ReadFile | undefined

  constructor(disk: Disk, report: (problem: string) => void) {
    this.#disk = disk
    this.#report = report
  }

  /** Where the batches of a segment stand: kept, or read from its trailer. */
  async indexOf(segment: Segment): Promise<SparseIndex> {
    if (segment.index !== undefined) return segment.index
    const trailer = await this.#reading(segment, async (file) => readTrailer(file, await file.size()))
    // Without one it has gone bad since the start: the segment is read from its beginning.
    return (segment.index ??= SparseIndex.of(trailer?.index ?? []))
  }

  /**
   * Batches of a segment, in order. They are views of what was read, of the memory where some is given: 31 % of a reader's time
   * was the garbage of a window a read and a copy a batch.
   *
   * @returns none where nothing that is wanted is left in the segment, or where that is removed
   */
  async batchesOf(segment: Segment, wanted: Wanted): Promise<readonly StoredBatch[]> {
    const read = await this.#reading(segment, (file) => this.#batches(segment, file, wanted))
    return read ?? []
  }

  /** Waits for the reads in a segment that is dropped, and closes its file: or the disk would not be free of it. */
  async leave(segment: Segment): Promise<void> {
    const reads = [...this.#reads].filter(([, where]) => where === segment)
    await Promise.allSettled(reads.map(([read]) => read))
    if (this.#readFile?.segment === segment) await this.#forgetReadFile()
  }

  /** Waits for the reads that are under way, and closes the file. */
  async close(): Promise<void> {
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads.keys())
    await this.#forgetReadFile()
  }

  async #batches(segment: Segment, file: DiskFile, wanted: Wanted): Promise<StoredBatch[]> {
    const { end, bytesMax, isFirst } = wanted
    const batches: StoredBatch[] = []
    const size = segment.bytes
    let { position } = wanted
    const reader = new WindowReader(file, bytesFor(segment, wanted))
    let bytes = 0
    let next: number = segment.first
    while (position < size && bytes < bytesMax) {
      // Of a batch that is taken the memory keeps the bytes: what it does not hold the next read brings.
      const batch = batches.length === 0 ? await reader.batchAt(position, size) : reader.wholeAt(position)
      if (batch === undefined) break
      if (batch === 'bad') {
        if (batches.length > 0) break
        this.#report(`${segment.path} is damaged at byte ${position}`)
        position = (await nextGoodBatch(reader, position, next, size))?.position ?? size
        continue
      }
      next = batch.head.firstOffset + batch.head.count
      if (next > end) break
      if (batches.length > 0 || isFirst(batch)) {
        const view = reader.bytes.subarray(batch.at, batch.end)
        batches.push({ first: batch.head.firstOffset, next: next as Offset, view, chunk: undefined })
        bytes += view.length
      }
      position += batch.end - batch.at
    }
    return batches
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
}

/**
 * Memory for whole batches, as the index knows them: what is read of a batch that is not whole is read again. What is too small
 * for the first of them is not used.
 */
function bytesFor(segment: Segment, { position, bytesMax, memory }: Wanted): Buffer {
  const target = memory === undefined ? bytesMax : Math.min(bytesMax, memory.bytes.length)
  const { index, bytes: size } = segment
  const end = index?.endOfRead(position, target, size) ?? Math.min(size, position + target)
  const next = end === size ? segment.next : index?.offsetAt(end)
  if (next !== undefined) memory?.foresee?.(next)
  const bytes = Math.min(end - position, Math.max(target, pieceBytesMax))
  return memory !== undefined && memory.bytes.length >= bytes
    ? memory.bytes.subarray(0, bytes)
    : Buffer.allocUnsafeSlow(bytes)
}

/** Nothing was written by it, so that nothing is lost where it cannot be closed; and what was not opened need not be. */
async function closeOf({ file }: ReadFile): Promise<void> {
  await file.then((opened) => opened.close()).catch(() => {})
}
