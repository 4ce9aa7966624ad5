/**
 * Which writes are made in the turn of the event loop that asks for them, and which by a thread of the pool.
 *
 * What is written and not synced goes to the page cache, which takes it in microseconds; to hand it to a thread and to hear of it
 * costs the event loop more than that, and the processor twice as much again: one record a request, a broker takes 1.3 to 1.4
 * times the requests without it (decision 183). But whoever writes to a disk that throttles waits for it, and the event loop
 * must not: so only small writes are made there, none beside a sync, which the file system may have them wait for, and none
 * for a while after one that took long.
 */

/** A write to the page cache takes some 10 us; one that takes this has waited for something. */
const longMs = 5
const pauseMsMin = 1_000
const pauseMsMax = 60_000

export class InlineWrites {
  readonly #bytesMax: number
  readonly #monotonicMs: () => number
  readonly #onLong: (ms: number, pauseMs: number) => void
  #syncs = 0
  #pauseMs = pauseMsMin
  #pausedUntilMs = -Infinity

  /**
   * @param bytesMax of a write that is made at once; 0: none is
   * @param onLong told of a write that took long, and for how long there are none now
   */
  constructor(bytesMax: number, monotonicMs: () => number, onLong: (ms: number, pauseMs: number) => void) {
    this.#bytesMax = bytesMax
    this.#monotonicMs = monotonicMs
    this.#onLong = onLong
  }

  /** Makes the write at once, if it is one of those that may be; `undefined` where a thread is to make it. */
  tryWrite(views: readonly Uint8Array[], write: () => number): number | undefined {
    if (this.#syncs > 0) return undefined
    let bytes = 0
    for (const view of views) bytes += view.length
    if (bytes > this.#bytesMax) return undefined
    const startMs = this.#monotonicMs()
    if (startMs < this.#pausedUntilMs) return undefined
    try {
      return write()
    } finally {
      this.#note(startMs)
    }
  }

  /** Runs a sync; until it ends all writes are made by threads. */
  async beside<T>(sync: () => Promise<T>): Promise<T> {
    this.#syncs++
    try {
      return await sync()
    } finally {
      this.#syncs--
    }
  }

  /** A pause is twice the last one, but for a disk that was quick for ten times as long. */
  #note(startMs: number): void {
    const nowMs = this.#monotonicMs()
    const tookMs = nowMs - startMs
    if (tookMs < longMs) return
    const wasQuick = startMs - this.#pausedUntilMs > 10 * this.#pauseMs
    this.#pauseMs = wasQuick ? pauseMsMin : Math.min(2 * this.#pauseMs, pauseMsMax)
    this.#pausedUntilMs = nowMs + this.#pauseMs
    this.#onLong(tookMs, this.#pauseMs)
  }
}
