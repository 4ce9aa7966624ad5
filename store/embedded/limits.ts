/** What the store takes, and what it says to the rest. */

import { gpuSeriesKey, metricSeriesKey } from '#telemetry/identity'
import type { TelemetryRecord } from '#telemetry/record'
import { formatTime, parseTime } from '#telemetry/time'

export interface Limits {
  /** Records that are older are refused; 0: none are. */
  readonly retentionMs: number
  /** Series that there may be. */
  readonly seriesMax: number
}

/** The key of a series, of whichever kind. */
export function seriesKeyOf(record: Exclude<TelemetryRecord, { kind: 'transfer' }>): string {
  return record.kind === 'gpu' ? gpuSeriesKey(record) : `\0${metricSeriesKey(record)}`
}

/**
 * Looks at records before anything is written, so that a refusal costs no rollback.
 *
 * @param known the series that there are, by their keys
 * @returns what is wrong with each record that is not taken, by its place
 */
export function refusalsOf(
  records: readonly TelemetryRecord[],
  { retentionMs, seriesMax }: Limits,
  known: ReadonlyMap<string, unknown>,
  nowMs: number,
): Map<number, string> {
  const refusals = new Map<number, string>()
  const oldestMs = nowMs - retentionMs
  // Far from the limit no key is made; whoever writes makes them anyhow.
  const mayExceed = known.size + records.length > seriesMax
  const added = new Set<string>()
  const troubleOf = (record: TelemetryRecord): string | undefined => {
    if (record.kind !== 'transfer' && record.value !== null && !Number.isFinite(record.value)) {
      return `its value is ${record.value}: want a finite number`
    }
    if (retentionMs > 0 && (parseTime(record.time)?.ms ?? 0) < oldestMs) {
      const oldest = formatTime({ ms: Math.ceil(oldestMs), ns: 0 })
      return `it is older than RETENTION keeps records: want a time from ${oldest} on`
    }
    if (!mayExceed || record.kind === 'transfer') return undefined
    const key = seriesKeyOf(record)
    if (known.has(key) || added.has(key)) return undefined
    if (known.size + added.size >= seriesMax) {
      return `it begins a new series, and there are ${seriesMax} already: raise SERIES_MAX`
    }
    added.add(key)
    return undefined
  }
  let place = 0
  for (const record of records) {
    const trouble = troubleOf(record)
    if (trouble !== undefined) refusals.set(place, `${nameOf(record)} at ${record.time}: ${trouble}`)
    place++
  }
  return refusals
}

function nameOf(record: TelemetryRecord): string {
  switch (record.kind) {
    case 'gpu':
      return `${record.metric} of ${record.uuid}${record.gpu_i_id === undefined ? '' : ` instance ${record.gpu_i_id}`}`
    case 'metric':
      return record.metric
    case 'transfer':
      return `transfer ${record.id}`
  }
}
