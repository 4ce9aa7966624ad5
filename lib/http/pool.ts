/** What gathered bodies leave behind for the next ones, at most. */
export const pooledBytesMax = 64 * 1024 * 1024

/**
 * Buffers that are used again: a fresh large one per request costs more in page faults than the copying into it
 * (FACTS: 4 times).
 */
export class BufferPool {
  readonly #free = new Map<number, Buffer[]>()
  readonly #keptBytesMax: number
  #keptBytes = 0

  /** @param keptBytesMax what lies unused in the pool at most */
  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax
  }

  /** A buffer of at least `bytes`, with whatever was in it before. */
  take(bytes: number): Buffer {
    const size = sizeFor(bytes)
    const buffer = this.#free.get(size)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size)
    this.#keptBytes -= size
    return buffer
  }

  /** Takes a buffer back that {@link take} gave. Nobody may use it any more. */
  give(buffer: Buffer): void {
    const size = buffer.length
    if (this.#keptBytes + size > this.#keptBytesMax) return
    this.#keptBytes += size
    const free = this.#free.get(size)
    if (free === undefined) this.#free.set(size, [buffer])
    else free.push(buffer)
  }
}

const sizeMin = 64 * 1024

/** The next power of two: few sizes, so that buffers fit the next request too. */
function sizeFor(bytes: number): number {
  let size = sizeMin
  while (size < bytes) size *= 2
  return size
}
