/** What the values of a window become, where a database does not say; pure, for all engines. */

import type { Fill, Order, RangeFunction } from './store.ts'

/** A row of a series: when, as an {@link Instant} is, and what. */
export interface Row {
  readonly ms: number
  /** Left out: 0. */
  readonly ns?: number | undefined
  /** `null`: not reported. */
  readonly value: number | null
}

/** A window by its place: it begins at `place` x its length. */
export interface Window {
  readonly place: number
  readonly value: number | null
}

/** What share of the values is below, of the functions that are percentiles. */
export const percentiles: Readonly<Partial<Record<RangeFunction, number>>> = { p50: 0.5, p95: 0.95, p99: 0.99 }

/** Functions of the steps between values: a window's first value steps from the one before it, also of the window before. */
export const stepFunctions: readonly RangeFunction[] = ['rate', 'increase', 'integral']

/** Values further apart than this have nothing between them that anybody saw: no integral. */
export const integralGapMaxS = 300

/** Which of `count` values, counted from 0 in the order of their size, a percentile is: InfluxQL's nearest rank. */
export function rankOf(share: number, count: number): number {
  return Math.max(0, Math.floor(count * share + 0.5) - 1)
}

/**
 * Rows, by time, into windows: as `RangeQuery` says, without limit and fill.
 *
 * `rate`, `increase` and `integral` are made of steps, each from a value to the next one that was reported, and a step belongs
 * to the window of its later value: so windows add up to the whole, and what a window has may have begun in the window
 * before. A window in which no step ends has none (`null`); neither the values before a range nor those behind it count.
 *
 * - `increase` is what a counter rose by; a value below the one before it is a counter that began again at 0.
 * - `rate` is that over the seconds which the steps took.
 * - `integral` is the area under straight lines from value to value, in the unit x seconds. A step that took more than
 *   {@link integralGapMaxS} is a gap, and no part of it.
 *
 * `bits` are those set in any value; what is no whole number from 0 to 2^53 - 1 has none, and is passed over.
 */
export function windowsOf(rows: Iterable<Row>, windowMs: number, fn: RangeFunction): Window[] {
  const windows: Window[] = []
  let place: number | undefined
  let values: number[] = []
  let before: { readonly ms: number; readonly ns: number; readonly value: number } | undefined
  let steps = new Steps()
  const close = (): void => {
    if (place !== undefined) windows.push({ place, value: isOfSteps(fn) ? steps.value(fn) : aggregate(values, fn) })
  }
  for (const { ms, ns = 0, value } of rows) {
    const own = Math.floor(ms / windowMs)
    if (own !== place) {
      close()
      place = own
      values = []
      steps = new Steps()
    }
    if (value === null) continue
    values.push(value)
    if (before !== undefined) steps.add(before.value, value, ((ms - before.ms) * 1e6 + (ns - before.ns)) / 1e9)
    before = { ms, ns, value }
  }
  close()
  return windows
}

/** The steps that end in a window. */
export class Steps {
  #rose = 0
  #seconds = 0
  #area = 0
  #joined = 0

  add(before: number, value: number, seconds: number): void {
    this.rise(value < before ? value : value - before, seconds)
    if (seconds > integralGapMaxS) return
    this.#area += ((before + value) / 2) * seconds
    this.#joined++
  }

  /** Several steps at once, of which the integral is not asked. */
  rise(rose: number, seconds: number): void {
    this.#rose += rose
    this.#seconds += seconds
  }

  value(fn: StepFunction): number | null {
    if (fn === 'integral') return this.#joined > 0 ? this.#area : null
    if (this.#seconds <= 0) return null
    return fn === 'rate' ? this.#rose / this.#seconds : this.#rose
  }
}

export type StepFunction = 'rate' | 'increase' | 'integral'

export function isOfSteps(fn: RangeFunction): fn is StepFunction {
  return stepFunctions.includes(fn)
}

/** The bits of a mask; `undefined` for what is none. */
export function maskOf(value: number): number | undefined {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** The bits of either mask: the operators of the language know 32. */
export function joinedBits(a: number, b: number): number {
  const high = Math.floor(a / 2 ** 32) | Math.floor(b / 2 ** 32)
  return high * 2 ** 32 + ((a | b) >>> 0)
}

/** @param values in the order of their times */
function aggregate(values: readonly number[], fn: Exclude<RangeFunction, StepFunction>): number | null {
  if (fn === 'count') return values.length
  if (fn === 'bits') {
    const masks = values.map(maskOf).filter((mask) => mask !== undefined)
    return masks.length === 0 ? null : masks.reduce(joinedBits)
  }
  if (values.length === 0) return null
  const share = percentiles[fn]
  if (share !== undefined) return values.toSorted((a, b) => a - b)[rankOf(share, values.length)] as number
  switch (fn) {
    case 'last':
      return values.at(-1) as number
    case 'min':
      return values.reduce((a, b) => Math.min(a, b))
    case 'max':
      return values.reduce((a, b) => Math.max(a, b))
    case 'sum':
      return sumOf(values)
    default:
      return sumOf(values) / values.length
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}

/**
 * Puts windows where there are none.
 *
 * @param from the first place; left out: the first window that is there
 * @param to the place behind the last one; left out: behind the last window that is there
 * @param max so many windows at most, from the end that the order begins with
 * @param previous the value before the first window that is given
 */
export function filled(
  windows: readonly Window[],
  fill: Fill,
  {
    from = windows[0]?.place,
    to = (windows.at(-1)?.place ?? NaN) + 1,
    max,
    order = 'asc',
    previous = null,
  }: {
    from?: number | undefined
    to?: number | undefined
    max: number
    order?: Order | undefined
    previous?: number | null | undefined
  },
): Window[] {
  if (order === 'desc') return filledUp(windows, fill, { from, to, max, previous }).reverse()
  if (fill === 'none') return windows.slice(0, max)
  const result: Window[] = []
  let next = 0
  for (let place = from ?? to; place < to && result.length < max; place++) {
    const own = windows[next]
    if (own?.place === place) {
      next++
      previous = own.value
      result.push(own)
    } else result.push({ place, value: fill === 'zero' ? 0 : fill === 'previous' ? previous : null })
  }
  return result
}

/** The last `max` windows. */
function filledUp(
  windows: readonly Window[],
  fill: Fill,
  { from, to, max, previous }: { from?: number | undefined; to: number; max: number; previous: number | null },
): Window[] {
  if (fill === 'none') return windows.slice(-max)
  const first = Math.max(from ?? to, to - max)
  const next = windows.findIndex(({ place }) => place >= first)
  const before = next < 0 ? windows.at(-1) : windows[next - 1]
  const rest = next < 0 ? [] : windows.slice(next)
  return filled(rest, fill, { from: first, to, max, previous: before === undefined ? previous : before.value })
}
