/** Makes one series of what exporters of different versions call by different names and count in different units. */

import { metricOf } from './catalogue.ts'
import type { GpuRecord, TelemetryRecord } from './record.ts'
import { int32Blank, withoutSentinel } from './value.ts'

/**
 * The same record under its metric's canonical name and in that one's unit, and with `null` for a number by which DCGM says
 * that it has none. A record that is so already comes back as it is; a metric that the catalogue does not have keeps its
 * name and unit.
 */
export function normalise<R extends TelemetryRecord>(record: R): R
export function normalise(record: TelemetryRecord): TelemetryRecord {
  return record.kind === 'gpu' ? normaliseGpu(record) : record
}

/**
 * A value that is within, both ends included, makes of a record of this metric what {@link normalise} leaves as it is, and
 * `implausible` takes; of others they tell. `undefined`: they are always to be asked.
 */
export function plainRange(metric: string): { readonly min: number; readonly max: number } | undefined {
  const known = metricOf(metric)
  // The first sentinel is a whole number.
  if (known === undefined) return { min: -Number.MAX_VALUE, max: int32Blank - 1 }
  return known.isCanonical ? { min: known.metric.min, max: Math.min(known.metric.max, int32Blank - 1) } : undefined
}

function normaliseGpu(record: GpuRecord): GpuRecord {
  const known = metricOf(record.metric)
  const metric = known?.metric.name ?? record.metric
  const value = record.value === null ? null : canonicalValue(record.value, known)
  return metric === record.metric && value === record.value ? record : { ...record, metric, value }
}

function canonicalValue(given: number, known: ReturnType<typeof metricOf>): number | null {
  const value = withoutSentinel(given) ?? null
  if (value === null || known === undefined) return value
  const scaled = known.toCanonical(value)
  // Inside the range it is no blank, whatever its size; outside of it readRecord let nothing but blanks pass.
  return scaled > known.metric.max && given >= known.metric.blankFrom ? null : scaled
}
