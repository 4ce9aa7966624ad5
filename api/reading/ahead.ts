/** An answer that is made for all who ask within a moment, and made anew before it is too old. */

import { isFresh, keepMs } from '../ask/fresh.ts'

/**
 * From this age on it is made anew while those who ask are still given the one before, so that nobody waits for it.
 * The list of 1,000 GPUs takes 30 to 50 ms, compressed, and several times as long beside other work.
 */
const renewMs = 300

interface Made<T> {
  readonly atMs: number
  readonly answer: Promise<T>
}

export class Ahead<T> {
  readonly #make: (nowMs: number, before: T | undefined) => Promise<T>
  #kept: Made<T> | undefined
  /** What will take its place. */
  #making: Made<T> | undefined

  /** @param make makes one that is of this moment; it is given the one before, where there is one */
  constructor(make: (nowMs: number, before: T | undefined) => Promise<T>) {
    this.#make = make
  }

  get(nowMs: number): Promise<T> {
    const kept = this.#kept
    if (kept !== undefined && isFresh(kept.atMs, nowMs, keepMs)) {
      // The next one who asks tries again where it fails.
      if (!isFresh(kept.atMs, nowMs, renewMs) && this.#making === undefined) this.#begin(nowMs).catch(() => {})
      return kept.answer
    }
    const making = this.#making
    if (making === undefined) return this.#begin(nowMs)
    if (nowMs - making.atMs < keepMs) return making.answer
    // It took longer than it is good for. One is made at a time all the same, or a machine that is too slow would make ever more.
    return this.#after(making.answer, nowMs)
  }

  async #after(making: Promise<unknown>, nowMs: number): Promise<T> {
    await Promise.allSettled([making])
    return this.#making?.answer ?? this.#begin(nowMs)
  }

  #begin(atMs: number): Promise<T> {
    const { promise: answer, resolve, reject } = Promise.withResolvers<T>()
    const making = { atMs, answer }
    this.#making = making
    void this.#run(making, resolve, reject)
    return answer
  }

  async #run(making: Made<T>, resolve: (answer: T) => void, reject: (error: unknown) => void): Promise<void> {
    try {
      resolve(await this.#make(making.atMs, await this.#kept?.answer))
      this.#kept = making
    } catch (error) {
      // Those who asked are told.
      reject(error)
    } finally {
      this.#making = undefined
    }
  }
}
