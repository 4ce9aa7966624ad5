/**
 * The newest batches of one log in memory: readers at its end are served from here and never touch the disk.
 *
 * In typed arrays: a batch costs 28 bytes of index, so that a ring full of small batches does not fill the heap. A log that has
 * none in memory has no arrays either: five of them, however small, take a KB, and of ten thousand logs most are idle.
 */

import type { Offset } from '#wire/ids'

import type { Chunk } from './ring.ts'

/** One batch in memory. */
export interface MemoryBatch {
  readonly first: Offset
  readonly next: Offset
  /** Header line and events: a view into the chunk, good until that retires. */
  readonly view: Buffer
  readonly chunk: Chunk
}

const capacityMin = 4
const noFirsts = new Float64Array(0)
const noNumbers = new Uint32Array(0)

/** The newest batches of one log, in order. A circular buffer whose capacity is a power of two, or 0. */
export class Tail {
  #firsts = noFirsts
  #counts = noNumbers
  #starts = noNumbers
  #ends = noNumbers
  #chunks: (Chunk | undefined)[] = []
  #head = 0
  #length = 0

  add(first: Offset, count: number, chunk: Chunk, start: number, end: number): void {
    if (this.#length === this.#firsts.length) this.#grow()
    const at = this.#slot(this.#length++)
    this.#firsts[at] = first
    this.#counts[at] = count
    this.#starts[at] = start
    this.#ends[at] = end
    this.#chunks[at] = chunk
    chunk.tails.add(this)
  }

  /** Drops the batches from this offset on: they were never committed. */
  rewind(next: Offset): void {
    while (this.#length > 0) {
      const at = this.#slot(this.#length - 1)
      if ((this.#firsts[at] as number) < next) return
      this.#chunks[at] = undefined
      this.#length--
    }
  }

  /** The batch that holds the offset; `undefined` when memory does not have it (any more). */
  find(offset: Offset): MemoryBatch | undefined {
    let low = 0
    let high = this.#length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const at = this.#slot(middle)
      const first = this.#firsts[at] as number
      const next = first + (this.#counts[at] as number)
      if (offset < first) high = middle - 1
      else if (offset >= next) low = middle + 1
      else {
        const chunk = this.#chunks[at] as Chunk
        const view = chunk.bytes.subarray(this.#starts[at], this.#ends[at])
        return { first: first as Offset, next: next as Offset, view, chunk }
      }
    }
    return undefined
  }

  /** Drops the batches of chunks that have retired. */
  forget(): void {
    while (this.#length > 0 && (this.#chunks[this.#head] as Chunk).retired) {
      this.#chunks[this.#head] = undefined
      this.#head = this.#slot(1)
      this.#length--
    }
    if (this.#length > 0) return
    this.#firsts = noFirsts
    this.#counts = this.#starts = this.#ends = noNumbers
    this.#chunks = []
    this.#head = 0
  }

  #slot(place: number): number {
    return (this.#head + place) & (this.#firsts.length - 1)
  }

  #grow(): void {
    const order = Array.from({ length: this.#length }, (_, place) => this.#slot(place))
    const capacity = Math.max(capacityMin, 2 * this.#firsts.length)
    this.#firsts = grown(new Float64Array(capacity), this.#firsts, order)
    this.#counts = grown(new Uint32Array(capacity), this.#counts, order)
    this.#starts = grown(new Uint32Array(capacity), this.#starts, order)
    this.#ends = grown(new Uint32Array(capacity), this.#ends, order)
    this.#chunks = Array.from({ length: capacity }, (_, place) => this.#chunks[order[place] ?? -1])
    this.#head = 0
  }
}

function grown<T extends Float64Array | Uint32Array>(target: T, source: T, order: readonly number[]): T {
  for (const [to, from] of order.entries()) target[to] = source[from] as number
  return target
}
