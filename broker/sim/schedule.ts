/**
 * Everything that waits, waits here: calls of the disk, and whoever wants another turn. What goes on next is drawn, so that
 * a seed is one order of events, and every order of events has its seed.
 */

import type { Random } from './random.ts'

/** Something that waits for its turn. */
export interface Step {
  /** What happens, for the trace. */
  readonly label: string
  /** Goes on with it. */
  run(): void
  /** The process ends before its turn came: what of it comes to be all the same. */
  cut?(): void
}

export class Schedule {
  readonly #random: Random
  #waiting: Step[] = []

  constructor(random: Random) {
    this.#random = random
  }

  get size(): number {
    return this.#waiting.length
  }

  add(step: Step): void {
    this.#waiting.push(step)
  }

  /** Resolves when its turn comes; never, when the process ends before. */
  turn(label: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.add({ label, run: resolve })
    return promise
  }

  /** Draws what goes on, and takes it out. */
  draw(): Step | undefined {
    if (this.#waiting.length === 0) return undefined
    const at = this.#random.between(0, this.#waiting.length - 1)
    const step = this.#waiting[at] as Step
    this.#waiting[at] = this.#waiting.at(-1) as Step
    this.#waiting.pop()
    return step
  }

  /** The process ends: nothing that waits goes on. */
  cut(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const step of waiting) step.cut?.()
  }
}

/** Resolves when every promise that can go on by itself has done so: no timer, and so no time, is part of it. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve)
  })
}
