/** Parameters that are more than their schema can say: read, or refused with what would be right. */

import { parseDuration } from '#lib/quantity'
import { metricOf } from '#telemetry/catalogue'
import { formatTime, type Instant } from '#telemetry/time'
import { Problem } from '#wire/problems'
import { isBefore, readTime, wantTime } from './times.ts'

/** @throws Problem `bad_parameter` */
export function timeOf(name: string, text: string | undefined, nowMs: number): Instant | undefined {
  if (text === undefined) return undefined
  const time = readTime(text, nowMs)
  if (time === undefined) throw bad(name, `${name}=${text.slice(0, 100)}: want ${wantTime}`)
  return time
}

/** The length of a range in ms. @throws Problem `bad_parameter` */
export function rangeOf(start: Instant, end: Instant): number {
  if (isBefore(start, end)) return end.ms - start.ms + 1
  throw bad('end', `end ${formatTime(end)} is not after start ${formatTime(start)}`)
}

/** @throws Problem `bad_parameter` */
export function windowOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const windowMs = parseDuration(text)
  if (windowMs !== undefined && windowMs >= 1 && windowMs <= 31_536_000_000) return windowMs
  throw bad('window', `window=${text.slice(0, 100)}: want a duration from 1ms to 365d, such as 30s, 5m or 1h`)
}

/** The name of a metric in the catalogue, of any of its names; a name that it does not know, as it is. */
export function canonical(name: string): string {
  return metricOf(name)?.metric.name ?? name
}

/** The `as_of` of an answer. */
export function at(nowMs: number): string {
  return formatTime({ ms: nowMs, ns: 0 })
}

export function unknownMetric(metric: string): Problem {
  return new Problem('unknown_metric', `no metric ${metric.slice(0, 100)} in the catalogue, nor in the store`)
}

export function bad(parameter: string, detail: string): Problem {
  return new Problem('bad_parameter', detail, { parameter })
}
