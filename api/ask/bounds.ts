/** How much one question may ask for, and what is said where it asks for more. */

import { Problem } from '#wire/problems'

/** Settings of the role; {@link ../settings.ts} says what they are for. */
export interface Bounds {
  readonly querySeriesMax: number
  readonly queryPointsMax: number
  readonly queryRangeMs: number
}

const dayMs = 86_400_000

/** @throws Problem `too_much` for a range that is too long */
export function boundRange({ queryRangeMs: limit }: Bounds, rangeMs: number): void {
  // A range says where it ends to the millisecond: one that is as long as the bound is not over it.
  if (rangeMs <= limit + 1) return
  const days = (ms: number) => `${Math.floor((10 * ms) / dayMs) / 10} days`
  const detail = `from start to end it is ${days(rangeMs)}: want ${days(limit)} at most (QUERY_RANGE_MAX)`
  throw tooMuch('range_s', limit / 1000, rangeMs / 1000, detail)
}

/** Counts what an answer gathers, so that what is over a bound is found before the rest is read. */
export class Tally {
  readonly #bounds: Bounds
  #series = 0
  #points = 0

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  /** @throws Problem `too_much` */
  add(series: number, points: number): void {
    this.#series += series
    this.#points += points
    const { querySeriesMax, queryPointsMax } = this.#bounds
    if (this.#series > querySeriesMax) {
      const detail = `the answer has more than ${querySeriesMax} series (QUERY_SERIES_MAX): want fewer metrics`
      throw tooMuch('series', querySeriesMax, this.#series, detail)
    }
    if (this.#points > queryPointsMax) {
      const detail =
        `the answer has more than ${queryPointsMax} values (QUERY_POINTS_MAX): ` +
        'want a smaller limit, fewer metrics, or a longer window'
      throw tooMuch('points', queryPointsMax, this.#points, detail)
    }
  }
}

function tooMuch(bound: 'range_s' | 'series' | 'points', limit: number, asked: number, detail: string): Problem {
  return new Problem('too_much', detail, { bound, limit, asked })
}
