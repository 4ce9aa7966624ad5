/**
 * The memory of a broker: a ring of chunks that all logs frame their batches into, one bound over all partitions.
 *
 * A chunk is used again when the ring comes round to it; the logs forget the batches that stood in it. It is never used
 * again while a write of the disk refers to it. A reader whose socket still refers to it is told, and the memory is left
 * to that reader.
 */

import { Windows } from './windows.ts'

/** Fresh pages cost four times the copying, so chunks are large and used again instead of allocated a request. */
const chunkBytesMax = 4 << 20
const chunkBytesMin = 64 << 10

/**
 * What a log takes beside its batches: its objects, its open file, and the room that the heap needs around them. Measured as what
 * a process with 10,000 partitions has resident more than one with 1 (decision 181).
 */
export const logBytes = 7 << 10

/** One piece of the ring. */
export class Chunk {
  readonly bytes: Buffer
  /** Rises from chunk to chunk. */
  readonly serial: number
  used = 0
  /** Batches in it that no file has yet. */
  unwritten = 0
  /** The ring has come round: what stood in it is gone. */
  retired = false
  /** Who must forget what stands in it, when it retires. */
  readonly tails = new Set<{ forget(): void }>()
  /** Whose sockets refer to it. */
  readonly readers = new Set<{ overrun(): void }>()

  constructor(bytes: Buffer, serial: number) {
    this.bytes = bytes
    this.serial = serial
  }
}

/** Room in a chunk for one batch. */
export interface Room {
  readonly chunk: Chunk
  readonly target: Buffer
  readonly at: number
}

/** A log that keeps batches which are in no file, and can be asked to write them. */
export interface Spilling {
  /** Batches in chunks up to this serial have to be written now. */
  spill(serial: number): void
}

/** The chunks of one broker. */
export class ChunkRing {
  /** For the readers who are further behind than the ring. */
  readonly windows = new Windows()
  readonly #bytesMax: number
  readonly #chunkBytes: number
  readonly #chunks: Chunk[] = []
  readonly #spilling = new Set<Spilling>()
  #logs = 0
  #bytes = 0
  #serial = 0

  /**
   * @param bytesMax what all chunks and all logs may hold together (`MEMORY_BYTES`); one batch that is larger still finds room
   */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#chunkBytes = Math.max(chunkBytesMin, Math.min(chunkBytesMax, Math.floor(bytesMax / 16)))
  }

  /**
   * Room for so many bytes, in one piece. Nothing is taken until {@link take}.
   *
   * @returns `undefined` when all memory waits for the disk
   */
  room(bytes: number): Room | undefined {
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || chunk.bytes.length - chunk.used < bytes) chunk = this.#advance(bytes)
    return chunk === undefined ? undefined : { chunk, target: chunk.bytes, at: chunk.used }
  }

  /** Takes the room up to `end`. */
  take(room: Room, end: number): void {
    room.chunk.used = end
    room.chunk.unwritten++
  }

  /**
   * Counts a log in, until it {@link leave}s.
   *
   * @param keepsBack it is asked to write what it keeps back, before the ring comes round to it
   */
  join(log: Spilling, keepsBack: boolean): void {
    this.#logs++
    if (keepsBack) this.#spilling.add(log)
  }

  leave(log: Spilling): void {
    this.#logs--
    this.#spilling.delete(log)
  }

  /** What the chunks may hold together: what the logs leave of it, in whole chunks, and never less than half. */
  get bytesMax(): number {
    const taken = Math.floor((this.#logs * logBytes) / this.#chunkBytes) * this.#chunkBytes
    return Math.max(Math.floor(this.#bytesMax / 2), this.#bytesMax - taken)
  }

  #advance(needed: number): Chunk | undefined {
    const size = Math.max(this.#chunkBytes, needed)
    let spare: Buffer | undefined
    while (this.#bytes + size > this.bytesMax && this.#chunks.length > 0) {
      const oldest = this.#chunks[0] as Chunk
      if (oldest.unwritten > 0) {
        this.#askToSpill(oldest.serial)
        return undefined
      }
      this.#chunks.shift()
      this.#bytes -= oldest.bytes.length
      const read = oldest.readers.size > 0
      retire(oldest)
      if (!read && oldest.bytes.length === size) spare = oldest.bytes
    }
    const chunk = new Chunk(spare ?? Buffer.allocUnsafeSlow(size), this.#serial++)
    this.#chunks.push(chunk)
    this.#bytes += size
    // Half a ring ahead, so that it is written by the time that the ring has come round.
    const half = this.#chunks[this.#chunks.length >>> 1] as Chunk
    if (this.#bytes > this.bytesMax / 2) this.#askToSpill(half.serial)
    return chunk
  }

  #askToSpill(serial: number): void {
    for (const log of this.#spilling) log.spill(serial)
  }
}

function retire(chunk: Chunk): void {
  chunk.retired = true
  for (const tail of chunk.tails) tail.forget()
  chunk.tails.clear()
  const readers = [...chunk.readers]
  chunk.readers.clear()
  for (const reader of readers) reader.overrun()
}
