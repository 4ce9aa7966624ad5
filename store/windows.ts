/** What the values of a window become, where a database does not say; pure, for all engines. */

import type { Fill, RangeFunction } from './store.ts'

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

/** Which of `count` values, counted from 0 in the order of their size, a percentile is: InfluxQL's nearest rank. */
export function rankOf(share: number, count: number): number {
  return Math.max(0, Math.floor(count * share + 0.5) - 1)
}

/**
 * Rows, by time, into windows: as `RangeQuery` says, without limit and fill.
 *
 * `rate` is what a counter rose by in the window over the seconds in which it did, from each row's predecessor on, also one
 * of the window before. A value below the one before it is a counter that began again at 0. A window whose rows have no
 * predecessor has none.
 */
export function windowsOf(rows: Iterable<Row>, windowMs: number, fn: RangeFunction): Window[] {
  const windows: Window[] = []
  let place: number | undefined
  let values: number[] = []
  let before: { readonly ms: number; readonly ns: number; readonly value: number } | undefined
  let rose = 0
  let seconds = 0
  const close = (): void => {
    if (place !== undefined)
      windows.push({ place, value: fn === 'rate' ? ratio(rose, seconds) : aggregate(values, fn) })
  }
  for (const { ms, ns = 0, value } of rows) {
    const own = Math.floor(ms / windowMs)
    if (own !== place) {
      close()
      place = own
      values = []
      rose = seconds = 0
    }
    if (value === null) continue
    values.push(value)
    if (before !== undefined) {
      rose += value < before.value ? value : value - before.value
      seconds += (ms - before.ms) / 1000 + (ns - before.ns) / 1e9
    }
    before = { ms, ns, value }
  }
  close()
  return windows
}

/** @param values in the order of their times */
function aggregate(values: readonly number[], fn: Exclude<RangeFunction, 'rate'>): number | null {
  if (fn === 'count') return values.length
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

function ratio(rose: number, seconds: number): number | null {
  return seconds > 0 ? rose / seconds : null
}

/**
 * Puts windows where there are none.
 *
 * @param from the first place; left out: the first window that is there
 * @param to the place behind the last one; left out: behind the last window that is there
 * @param max so many windows at most
 */
export function filled(
  windows: readonly Window[],
  fill: Fill,
  {
    from = windows[0]?.place,
    to = (windows.at(-1)?.place ?? NaN) + 1,
    max,
  }: { from?: number | undefined; to?: number | undefined; max: number },
): Window[] {
  if (fill === 'none') return windows.slice(0, max)
  const result: Window[] = []
  let next = 0
  let previous: number | null = null
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
