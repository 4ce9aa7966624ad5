/** Which functions a metric takes, by the catalogue. */

import { type RangeFunction, rangeFunctions } from '#store/store'
import { percentiles } from '#store/windows'
import { type MetricFunction, metricOf } from '#telemetry/catalogue'
import { bad } from './parameters.ts'

/** What the windows of a metric become; where nothing was asked for, the mean, or the last value where a mean means nothing. */
export function functionFor(metric: string, asked: RangeFunction | undefined, isNamed: boolean): RangeFunction {
  const known = metricOf(metric)?.metric
  const allowed = rangeFunctions.filter((fn) => known === undefined || isAllowed(fn, known.functions))
  const fallback = allowed.includes('mean') ? 'mean' : 'last'
  if (asked === undefined || allowed.includes(asked)) return asked ?? fallback
  if (!isNamed) return fallback
  throw bad('fn', `fn=${asked}: ${metric} is a ${known?.kind}: want one of ${allowed.join(', ')}`)
}

export function isAllowed(fn: RangeFunction, functions: readonly MetricFunction[]): boolean {
  return functions.includes(fn in percentiles ? 'quantile' : (fn as MetricFunction))
}
