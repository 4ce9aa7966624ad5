/** One metric of many GPUs over time: the values of each become one a window, and those of a window one number. */

import type { RangeSeries } from '#store/store'
import type { FleetHistory } from './contract.ts'

/** Answers have at most so many windows. */
export const windowsMax = 1_000

/** How many windows a range is cut into when the request does not say. */
const windowsDefault = 90

/** A length of windows that cuts a range into {@link windowsDefault} or a few less, in whole seconds. */
export function windowMsFor(rangeMs: number): number {
  return Math.max(1, Math.ceil(rangeMs / windowsDefault / 1000)) * 1000
}

/** @param series one entry a GPU, each with one value a window */
export function acrossGpus(series: readonly RangeSeries[], fn: FleetHistory['fn']): FleetHistory['values'] {
  const byTime = new Map<string, number[]>()
  for (const { kind, values } of series) {
    if (kind !== 'gpu') continue
    for (const { time, value } of values) {
      let own = byTime.get(time)
      if (own === undefined) byTime.set(time, (own = []))
      if (value !== null) own.push(value)
    }
  }
  return [...byTime]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([time, values]) => ({ time, value: values.length === 0 ? null : combine[fn](values), gpus: values.length }))
}

const add = (a: number, b: number) => a + b

const combine: Readonly<Record<FleetHistory['fn'], (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce(add),
  mean: (values) => values.reduce(add) / values.length,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
}
