import type { BufferPool } from './pool.ts'

/** A body is given a buffer of its announced size at once up to here; a larger one must show that it comes. */
const trustedBytesMax = 1024 * 1024

/** A body that arrives in several views, put together in a buffer of the pool. */
export class Gather {
  readonly #pool: BufferPool
  /** The announced length of the body; -1 where it is chunked. */
  readonly #announced: number
  #buffer: Buffer | undefined
  #bytes = 0

  constructor(pool: BufferPool, announced: number) {
    this.#pool = pool
    this.#announced = announced
  }

  add(view: Buffer): void {
    const bytes = this.#bytes + view.length
    if (this.#buffer === undefined || this.#buffer.length < bytes) {
      const trusted = this.#announced <= trustedBytesMax ? this.#announced : 0
      const larger = this.#pool.take(Math.max(trusted, 2 * bytes))
      if (this.#buffer !== undefined) {
        this.#buffer.copy(larger, 0, 0, this.#bytes)
        this.#pool.give(this.#buffer)
      }
      this.#buffer = larger
    }
    view.copy(this.#buffer, this.#bytes)
    this.#bytes = bytes
  }

  /** What has come; until {@link release}. */
  get view(): Uint8Array {
    return this.#buffer?.subarray(0, this.#bytes) ?? noBytes
  }

  /** Gives the buffer back: the body is handled, refused, or will never be complete. */
  release(): void {
    if (this.#buffer === undefined) return
    this.#pool.give(this.#buffer)
    this.#buffer = undefined
  }
}

export const noBytes = new Uint8Array(0)
