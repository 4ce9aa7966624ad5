/**
 * The body of a request on its way to a broker, in memory of the proxy's own, with room for a head in front of it: what goes out
 * is one piece of memory, by one call of the system.
 *
 * `writev` of a head and a body, as undici does it, was half of the time of a small request, and a fresh buffer for each body of
 * 100 KB kept the garbage collector busy for 14 % of it.
 */

import { BufferPool } from '#lib/http/pool'

/** A head of the usual length: a longer one is written into memory of its own. */
const headBytesMax = 1024

/** Bodies above this take their memory from the pool, and smaller ones from Node's. */
const pooledBytesMin = 16 * 1024

/** What bodies leave behind for later ones, at most. */
const pool = new BufferPool(64 * 1024 * 1024)

export class Parcel {
  readonly length: number
  #memory: Buffer
  readonly #isPooled: boolean

  /** Copies the body. */
  constructor(body: Uint8Array) {
    this.length = body.length
    const size = headBytesMax + body.length
    this.#isPooled = size >= pooledBytesMin
    this.#memory = this.#isPooled ? pool.take(size) : Buffer.allocUnsafe(size)
    this.#memory.set(body, headBytesMax)
  }

  /**
   * A request of this body. It takes the place of the one before, which nothing may refer to any more.
   *
   * @param head of characters that are one byte each, with its last empty line
   */
  withHead(head: string): Buffer {
    const end = headBytesMax + this.length
    if (head.length > headBytesMax) {
      return Buffer.concat([Buffer.from(head, 'latin1'), this.#memory.subarray(headBytesMax, end)])
    }
    const from = headBytesMax - head.length
    this.#memory.write(head, from, 'latin1')
    return this.#memory.subarray(from, end)
  }

  /** Nothing refers to a request of it, and nobody will ask for another one. */
  done(): void {
    if (this.#isPooled && this.#memory.length > 0) pool.give(this.#memory)
    this.#memory = Buffer.alloc(0)
  }
}
