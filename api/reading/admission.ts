/**
 * How many questions are asked of the store at one time, and how many wait for that. Without a bound whoever asks more than can be
 * answered makes everybody wait, longer and longer, in the end for answers that nobody waits for any more. With it what is answered is
 * answered in good time, and the rest is told at once when to come again.
 */

import type { Clock } from '#lib/clock'
import type { Counter } from '#lib/metrics'
import { Problem } from '#wire/problems'

/** Settings of the role; {@link ../settings.ts} says what they are for. */
export interface AdmissionBounds {
  readonly queryRunningMax: number
  readonly queryWaitingMax: number
  readonly queryWaitMs: number
}

export interface AdmissionSurroundings {
  readonly clock: Clock
  /** Counts the refused: for want of a place, and for having waited too long. */
  readonly refused: Readonly<Record<'full' | 'late', Counter>>
  /**
   * Where questions are answered in the thread that asks: resolves when those who wait for the event loop had their turn. One question
   * is begun a turn, so that between two of them whoever came is heard, counted, and refused if need be: else they would wait in the
   * kernel, where nobody counts.
   */
  readonly nextTurn: (() => Promise<unknown>) | undefined
}

interface Waiting {
  readonly sinceMs: number
  begin(): void
  refuse(error: Problem): void
}

/** Lets questions to one thread begin, in the order in which they came. */
export class Admission {
  readonly #bounds: AdmissionBounds
  readonly #around: AdmissionSurroundings
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>()
  /** Who waits for an answer that is made for several, in the order in which they came. */
  readonly #sharing = new Set<Waiting>()
  #running = 0
  /** Turns are asked for. */
  #isBeginning = false
  /** One for all who wait, while anybody does. */
  #look: NodeJS.Timeout | undefined
  #isEnded = false
  #onIdle: (() => void) | undefined

  constructor(bounds: AdmissionBounds, around: AdmissionSurroundings) {
    this.#bounds = bounds
    this.#around = around
  }

  /** Questions that are asked of the store now. */
  get running(): number {
    return this.#running
  }

  /** Questions that wait. */
  get waiting(): number {
    return this.#waiting.size + this.#sharing.size
  }

  /**
   * Asks a question when its turn has come. What has begun is not bounded any more.
   *
   * @param signal of who asks: when they are gone, a question that has not begun is dropped
   * @throws Problem `overloaded`; the reason of the signal; what the question throws
   */
  async ask<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
    this.#needPlace(this.#waiting)
    await this.#turn(signal)
    try {
      return await question()
    } finally {
      this.#running--
      this.#begin()
    }
  }

  /**
   * Waits for an answer that somebody else has asked for: it takes no turn. Those who wait so are bounded by themselves, since their answer
   * may be there already.
   *
   * @throws Problem `overloaded`; what the answer throws
   */
  async share<T>(answer: () => Promise<T>): Promise<T> {
    this.#needPlace(this.#sharing)
    const { promise, reject } = Promise.withResolvers<never>()
    const own = this.#wait(this.#sharing, () => {}, reject)
    try {
      return await Promise.race([answer(), promise])
    } finally {
      this.#sharing.delete(own)
      this.#left()
    }
  }

  /** Refuses what comes from now on. Resolves when all that came before is answered. */
  end(): Promise<void> {
    this.#isEnded = true
    return new Promise((resolve) => {
      this.#onIdle = resolve
      this.#left()
    })
  }

  #needPlace(waiting: ReadonlySet<Waiting>): void {
    if (this.#isEnded) throw new Problem('unavailable', 'the API is stopping', { retry_after_s: 1 })
    const { queryWaitingMax: max } = this.#bounds
    if (waiting.size < max) return
    // Whoever came now would wait about as long as the one has whose turn is next.
    const waitedMs = this.#nowMs() - oldestOf(waiting)
    this.#around.refused.full.inc()
    throw this.#overloaded(`${max} questions wait already, as many as may (QUERY_WAITING_MAX)`, waitedMs)
  }

  #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#around.nextTurn === undefined && this.#running < this.#bounds.queryRunningMax) {
      this.#running++
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(own)
        reject(signal.reason as Error)
        this.#left()
      }
      const own = this.#wait(
        this.#waiting,
        () => {
          signal.removeEventListener('abort', leave)
          resolve()
        },
        (error) => {
          signal.removeEventListener('abort', leave)
          reject(error)
        },
      )
      signal.addEventListener('abort', leave, { once: true })
      this.#begin()
    })
  }

  #wait(among: Set<Waiting>, begin: () => void, refuse: (error: Problem) => void): Waiting {
    const own = { sinceMs: this.#nowMs(), begin, refuse }
    among.add(own)
    this.#look ??= setTimeout(this.#lookForLate, this.#bounds.queryWaitMs)
    return own
  }

  /** Begins what may begin. */
  #begin(): void {
    const { nextTurn } = this.#around
    if (this.#waiting.size === 0) this.#left()
    else if (nextTurn === undefined) while (this.#beginNext());
    else if (!this.#isBeginning) {
      this.#isBeginning = true
      void this.#beginInTurns(nextTurn)
    }
  }

  async #beginInTurns(nextTurn: () => Promise<unknown>): Promise<void> {
    do await nextTurn()
    while (this.#beginNext() && this.#waiting.size > 0)
    this.#isBeginning = false
  }

  /** Begins the one that came first. @returns whether one could begin */
  #beginNext(): boolean {
    this.#refuseLate()
    const [next] = this.#waiting
    if (next === undefined || this.#running >= this.#bounds.queryRunningMax) return false
    this.#waiting.delete(next)
    this.#running++
    this.#left()
    next.begin()
    return true
  }

  readonly #lookForLate = (): void => {
    this.#look = undefined
    this.#refuseLate()
    if (this.waiting === 0) return
    const sinceMs = Math.min(oldestOf(this.#waiting), oldestOf(this.#sharing))
    const leftMs = sinceMs + this.#bounds.queryWaitMs - this.#nowMs()
    this.#look = setTimeout(this.#lookForLate, Math.max(1, leftMs))
  }

  #refuseLate(): void {
    const sinceMs = this.#nowMs() - this.#bounds.queryWaitMs
    for (const waiting of [this.#waiting, this.#sharing]) {
      for (const each of waiting) {
        if (each.sinceMs > sinceMs) break
        waiting.delete(each)
        this.#around.refused.late.inc()
        const seconds = this.#bounds.queryWaitMs / 1000
        each.refuse(this.#overloaded(`it waited for ${seconds} s, as long as it may (QUERY_WAIT_MAX)`, 1000 * seconds))
      }
    }
    this.#left()
  }

  #overloaded(what: string, againMs: number): Problem {
    const { queryRunningMax: max } = this.#bounds
    return new Problem('overloaded', `${what}; ${max} are asked of the store at one time (QUERY_RUNNING_MAX)`, {
      retry_after_s: Math.max(1, Math.ceil(againMs / 1000)),
    })
  }

  /** Called when one has left. */
  #left(): void {
    if (this.waiting > 0) return
    clearTimeout(this.#look)
    this.#look = undefined
    if (this.#running === 0) this.#onIdle?.()
  }

  #nowMs(): number {
    return this.#around.clock.monotonicMs()
  }
}

/** Since when the first of them waits; infinite where there is none. */
function oldestOf(waiting: ReadonlySet<Waiting>): number {
  const [first] = waiting
  return first?.sinceMs ?? Infinity
}
