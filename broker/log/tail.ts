/**
 * The newest batches of all logs in memory: readers at the end of a log are served from here and never touch the disk.
 *
 * Batches are framed into chunks that belong to the broker as a whole, so that one bound covers all partitions. When it is
 * reached the oldest chunk retires, and the logs forget the batches that stood in it.
 */

import type { Offset } from '#wire/ids'

const chunkBytes = 4 << 20

interface Chunk {
  readonly bytes: Buffer
  used: number
  retired: boolean
}

/** Room in a chunk for one batch. */
export interface Room {
  readonly chunk: Chunk
  readonly target: Buffer
  readonly at: number
}

/** The chunks of one broker. */
export class ChunkPool {
  readonly #bytesMax: number
  readonly #chunks: Chunk[] = []
  #bytes = 0

  /** @param bytesMax what all chunks may hold together (`MEMORY_BYTES`) */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Room for so many bytes, in one piece. Nothing is taken until {@link take}. */
  room(bytes: number): Room {
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || chunk.bytes.length - chunk.used < bytes) {
      // A chunk instead of a buffer a request: fresh pages cost four times the copying.
      chunk = { bytes: Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes)), used: 0, retired: false }
      this.#chunks.push(chunk)
      this.#bytes += chunk.bytes.length
      while (this.#bytes > this.#bytesMax && this.#chunks.length > 1) {
        const oldest = this.#chunks.shift() as Chunk
        oldest.retired = true
        this.#bytes -= oldest.bytes.length
      }
    }
    return { chunk, target: chunk.bytes, at: chunk.used }
  }

  /** Takes the room up to `end` and returns what stands there. */
  take(room: Room, end: number): Buffer {
    room.chunk.used = end
    return room.target.subarray(room.at, end)
  }
}

/** One batch in memory. */
export interface MemoryBatch {
  readonly first: Offset
  readonly next: Offset
  /** Header line and events. */
  readonly view: Buffer
  readonly chunk: { readonly retired: boolean }
}

/** The newest batches of one log, in order and without a hole. */
export class Tail {
  #batches: MemoryBatch[] = []
  #start = 0

  add(batch: MemoryBatch): void {
    this.#forget()
    this.#batches.push(batch)
  }

  /** Drops the batches from this offset on: they were never committed. */
  rewind(next: Offset): void {
    while (this.#batches.length > this.#start && (this.#batches.at(-1) as MemoryBatch).next > next) this.#batches.pop()
  }

  /** The batch that holds the offset; `undefined` when memory does not have it (any more). */
  find(offset: Offset): MemoryBatch | undefined {
    this.#forget()
    let low = this.#start
    let high = this.#batches.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const batch = this.#batches[middle] as MemoryBatch
      if (offset < batch.first) high = middle - 1
      else if (offset >= batch.next) low = middle + 1
      else return batch
    }
    return undefined
  }

  #forget(): void {
    while (this.#start < this.#batches.length && (this.#batches[this.#start] as MemoryBatch).chunk.retired)
      this.#start++
    // Removing from the front of an array is linear in its length: done once in a thousand times.
    if (this.#start > 1000 && 2 * this.#start > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#start)
      this.#start = 0
    }
  }
}
