/**
 * Waiting before another try: exponential backoff with full jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015). Chance and time are handed in, so that a test can hold both.
 */

/** Waits `ms`; rejects with the signal's reason when it is aborted first. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>

/** How long to wait between tries. */
export interface Backoff {
  /** The bound of the first wait, in ms. It doubles with each try. */
  readonly firstMs: number
  /** The bound of every wait, in ms. */
  readonly longestMs: number
  /** From 0 to below 1, as `Math.random`. */
  readonly random: () => number
  readonly sleep: Sleep
}

/** Sleeps by `setTimeout`. */
export const sleep: Sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
  })

/** What the client uses where nothing else is given: up to 100 ms, then up to 200 ms … up to 10 s. */
export const defaultBackoff: Backoff = { firstMs: 100, longestMs: 10_000, random: Math.random, sleep }

/**
 * How long to wait, in ms, before try number `tries` + 1.
 *
 * @param tries how many have failed in a row, from 1
 * @param atLeastMs what the server asked for (`Retry-After`): the jitter comes on top, else all its clients return at once
 */
export function backoffMs(backoff: Backoff, tries: number, atLeastMs = 0): number {
  const bound = Math.min(backoff.longestMs, backoff.firstMs * 2 ** Math.min(tries - 1, 30))
  return atLeastMs + Math.floor(backoff.random() * bound)
}

/** How {@link retry} goes about it. */
export interface RetryOptions {
  readonly backoff: Backoff
  /** How long to go on, in ms from now, before the last error is thrown. */
  readonly forMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Whether to try again after this error: `false`, or the time in ms to wait at least. */
  readonly again: (error: unknown) => number | false
  /** Told of each failed try before the wait. */
  readonly onFailure?: ((error: unknown, tries: number, waitMs: number) => void) | undefined
}

/**
 * Runs `work` until it succeeds, fails for good, runs out of time or is aborted.
 *
 * @throws what `work` threw last, or the signal's reason
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { backoff, forMs = Infinity, signal } = options
  const startMs = performance.now()
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      const atLeastMs = options.again(error)
      if (signal?.aborted || atLeastMs === false) throw error
      const waitMs = backoffMs(backoff, tries, atLeastMs)
      if (performance.now() - startMs + waitMs > forMs) throw error
      options.onFailure?.(error, tries, waitMs)
      await backoff.sleep(waitMs, signal)
    }
  }
}
