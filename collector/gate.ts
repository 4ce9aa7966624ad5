/**
 * A circuit breaker before what may be away: the database, and the broker where it takes dead letters.
 *
 * All batches share one. After a failure only one of them tries again, after a growing wait with jitter; the others wait
 * for what it finds. So a database that comes back is asked once, not by all at the same time, and one that is slow to
 * come back is left in peace.
 */

import { type Backoff, backoffMs } from '#wire/retry'

/** What an error says of trying again: `false`, or the time in ms to wait at least. */
export type MayRepeat = (error: unknown) => number | false

export interface GateEvents {
  /** Told of each try that failed. */
  readonly onFailure?: (error: unknown, failures: number, waitMs: number) => void
  /** Told when it works again, after so many failures. */
  readonly onRecovered?: (failures: number) => void
}

export class Gate {
  readonly #backoff: Backoff
  readonly #mayRepeat: MayRepeat
  readonly #events: GateEvents
  #failures = 0
  #waitMs = 0
  #error: unknown
  /** While somebody tries whether it works again: resolves when that is known. */
  #probe: Promise<void> | undefined

  constructor(backoff: Backoff, mayRepeat: MayRepeat, events: GateEvents = {}) {
    this.#backoff = backoff
    this.#mayRepeat = mayRepeat
    this.#events = events
  }

  /** Why nothing passes now; `undefined` when all is well. */
  get trouble(): string | undefined {
    return this.#failures === 0 ? undefined : messageOf(this.#error)
  }

  /**
   * Does the work; again and again, while it fails for now. Once the signal has aborted it is tried once more and no further.
   *
   * @throws what the work threw last, when that is for good or the signal has aborted; the signal's reason
   */
  async pass<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (signal.aborted) return this.#attempt(work)
    for (;;) {
      // Waits for who tries already; then it may be well, or our turn.
      while (this.#probe !== undefined) await orAbort(this.#probe, signal)
      if (this.#failures === 0) {
        const done = await this.#tried(work, signal)
        if (done !== undefined) return done.value
        continue
      }
      const probe = Promise.withResolvers<void>()
      this.#probe = probe.promise
      try {
        await this.#backoff.sleep(this.#waitMs, signal)
        const done = await this.#tried(work, signal)
        if (done !== undefined) return done.value
      } finally {
        this.#probe = undefined
        probe.resolve()
      }
    }
  }

  /** The result; `undefined` when it failed for now. */
  async #tried<T>(work: () => Promise<T>, signal: AbortSignal): Promise<{ readonly value: T } | undefined> {
    try {
      return { value: await this.#attempt(work) }
    } catch (error) {
      if (signal.aborted || this.#mayRepeat(error) === false) throw error
      return undefined
    }
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#failures
    try {
      const value = await work()
      this.#recovered()
      return value
    } catch (error) {
      const atLeastMs = this.#mayRepeat(error)
      if (atLeastMs === false) this.#recovered()
      // Those that were under way together fail together: that is one failure, and the longest wait of them counts.
      else if (this.#failures > before) this.#waitMs = Math.max(this.#waitMs, atLeastMs)
      else {
        this.#failures++
        this.#error = error
        this.#waitMs = backoffMs(this.#backoff, this.#failures, atLeastMs)
        this.#events.onFailure?.(error, this.#failures, this.#waitMs)
      }
      throw error
    }
  }

  /** It answered, if only to say no. */
  #recovered(): void {
    const failures = this.#failures
    this.#failures = 0
    this.#error = undefined
    if (failures > 0) this.#events.onRecovered?.(failures)
  }
}

/** Waits for `done`, or throws the signal's reason. */
async function orAbort(done: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([done, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
