/** Asks again and again for what the API does not stream. */

import type { Sleep } from '#wire/retry'

export interface PollOptions {
  readonly everyMs: number | (() => number)
  readonly signal: AbortSignal
  readonly sleep: Sleep
  /** Nobody looks: it asks more rarely. */
  readonly isHidden: () => boolean
}

/** A page in the background asks so many times less often. */
const hiddenFactor = 10

export class Poll {
  readonly #task: (signal: AbortSignal) => Promise<void>
  readonly #options: PollOptions
  #wait = new AbortController()
  #isKicked = false

  /** @param task is never run twice at once; what it throws ends nothing, so it has to tell it itself */
  constructor(task: (signal: AbortSignal) => Promise<void>, options: PollOptions) {
    this.#task = task
    this.#options = options
  }

  /** Runs until the signal is aborted. */
  async run(): Promise<void> {
    const { everyMs, signal, sleep, isHidden } = this.#options
    const wake = () => this.#wait.abort()
    signal.addEventListener('abort', wake)
    while (!signal.aborted) {
      this.#isKicked = false
      await this.#task(signal).catch(() => {})
      if (signal.aborted) break
      this.#wait = new AbortController()
      if (this.#isKicked) continue
      const ms = typeof everyMs === 'number' ? everyMs : everyMs()
      await sleep(isHidden() ? ms * hiddenFactor : ms, this.#wait.signal).catch(() => {})
    }
    signal.removeEventListener('abort', wake)
  }

  /** Asks now; once more when it is just asking, because that answer may be too old. */
  kick(): void {
    this.#isKicked = true
    this.#wait.abort()
  }
}
