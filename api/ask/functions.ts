/** Which functions a metric takes, by the catalogue, and in which unit the answer is. */

import { type RangeFunction, rangeFunctions } from '#store/store'
import { isOfSteps, percentiles } from '#store/windows'
import { type MetricFunction, type MetricKind, metricOf } from '#telemetry/catalogue'
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

/** What a metric is asked for over a fleet when nothing is said: how much, how fast, which, or what of it. */
const fleetFunctions: Readonly<Record<MetricKind, RangeFunction>> = {
  gauge: 'mean',
  counter: 'rate',
  event: 'increase',
  state: 'last',
  mask: 'bits',
}

/** @throws Problem `bad_parameter` */
export function fleetFunctionFor(metric: string, asked: RangeFunction | undefined): RangeFunction {
  const kind = metricOf(metric)?.metric.kind
  return asked === undefined && kind !== undefined ? fleetFunctions[kind] : functionFor(metric, asked, true)
}

/** What the values of several series become. */
export const overs = ['sum', 'mean', 'min', 'max', 'p50', 'p95', 'p99', 'count', 'bits'] as const
export type Over = (typeof overs)[number]

/** How the series of a group become one value. @throws Problem `bad_parameter` */
export function overFor(metric: string, fn: RangeFunction, asked: Over | undefined): Over {
  const allowed = oversOf(metric, fn)
  const over = asked ?? overByDefault(fn, allowed)
  if (allowed.includes(over)) return over
  throw bad('over', `over=${over}: ${fn} of ${metric}: want one of ${allowed.join(', ')}`)
}

function oversOf(metric: string, fn: RangeFunction): Over[] {
  const kind = metricOf(metric)?.metric.kind
  if (fn === 'bits' || (kind === 'mask' && fn === 'last')) return ['bits', 'count']
  // A code between two codes is another code.
  if (kind === 'state' && fn !== 'count') return ['max', 'min', 'count']
  return overs.filter((over) => over !== 'bits')
}

function overByDefault(fn: RangeFunction, allowed: readonly Over[]): Over {
  if (!allowed.includes('mean')) return fn === 'min' ? 'min' : (allowed[0] as Over)
  if (fn === 'min' || fn === 'max') return fn
  return fn === 'sum' || fn === 'count' || isOfSteps(fn) ? 'sum' : 'mean'
}

/**
 * The unit of what a function makes of a metric; `null`: the catalogue does not know the metric.
 *
 * @param fn left out: values as they came
 */
export function unitFor(metric: string, fn?: RangeFunction | null): string | null {
  const unit = metricOf(metric)?.metric.unit
  if (fn === 'count') return 'values'
  if (unit === undefined) return null
  if (fn === 'rate') return `${unit}/s`
  if (fn !== 'integral') return unit
  return unit === 'W' ? 'J' : unit.endsWith('/s') ? unit.slice(0, -2) : `${unit} s`
}
