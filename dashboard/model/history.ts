/** The newest values of one series, in a bounded ring, and how far apart they come. */

export interface Point {
  readonly timeMs: number
  /** `null`: not reported. */
  readonly value: number | null
}

/** Ten minutes of a source that reports each five seconds. */
export const pointsMax = 120

export class History {
  // NaN is null: 2,000 GPUs with four of these each must fit into a phone.
  readonly #times = new Float64Array(pointsMax)
  readonly #values = new Float32Array(pointsMax)
  #start = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The newest point; older ones than that are not taken, an equal time replaces it. */
  push(timeMs: number, value: number | null): void {
    const last = this.#length === 0 ? -Infinity : (this.#times[this.#at(this.#length - 1)] as number)
    if (timeMs < last) return
    if (timeMs > last) {
      if (this.#length === pointsMax) this.#start = (this.#start + 1) % pointsMax
      else this.#length++
    }
    const at = this.#at(this.#length - 1)
    this.#times[at] = timeMs
    this.#values[at] = value ?? Number.NaN
  }

  /** Puts older points before those it has; of what does not fit the oldest are left out. */
  prepend(older: readonly Point[]): void {
    const own = this.points()
    const first = own[0]?.timeMs ?? Infinity
    const all = [...older.filter(({ timeMs }) => timeMs < first), ...own].slice(-pointsMax)
    this.#start = this.#length = 0
    for (const { timeMs, value } of all) this.push(timeMs, value)
  }

  /** Oldest first. */
  points(): Point[] {
    return Array.from({ length: this.#length }, (_, index) => {
      const at = this.#at(index)
      const value = this.#values[at] as number
      return { timeMs: this.#times[at] as number, value: Number.isNaN(value) ? null : value }
    })
  }

  #at(index: number): number {
    return (this.#start + index) % pointsMax
  }
}

/** How far apart points usually come: the median of their distances; `undefined` for fewer than three points. */
export function usualInterval(timesMs: readonly number[]): number | undefined {
  const distances = timesMs.slice(1).map((time, index) => time - (timesMs[index] as number))
  if (distances.length < 2) return undefined
  distances.sort((a, b) => a - b)
  return distances[Math.floor(distances.length / 2)]
}

/** Without anything in between for longer than this, a line must not go on: nobody knows what was there. */
export function gapAfterMs(intervalMs: number | undefined): number {
  return intervalMs === undefined ? Infinity : intervalMs * 3.5
}
