/** `/gpus/{id}/telemetry`: values of one GPU over time. */

import type { GpuRow, RangeFunction, RangeSeries } from '#store/store'
import { metricOf } from '#telemetry/catalogue'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import { functionFor } from '../ask/functions.ts'
import { referenceOf } from '../ask/gpus.ts'
import type { Inventory } from '../ask/inventory.ts'
import { at, bad, canonical, rangeOf, timeOf, unknownMetric, windowOf } from '../ask/parameters.ts'
import type { BoundReader, StoreReader } from '../ask/reader.ts'
import { after, minus } from '../ask/times.ts'
import type { Call, Handlers } from '../call.ts'
import type { Telemetry, TelemetrySeries } from '../contract.ts'

/** What a range without a start begins before its end. */
const rangeMsDefault = 3_600_000

export function telemetryHandlers(reader: StoreReader, inventory: Inventory): Handlers<'getGpuTelemetry'> {
  return {
    async getGpuTelemetry(call) {
      const row = await inventory.within(call.bounds).theGpu(call.params.id)
      return telemetryOf(reader.within(call.bounds), row, call)
    },
  }
}

async function telemetryOf(reader: BoundReader, row: GpuRow, call: Call<'getGpuTelemetry'>): Promise<Telemetry> {
  const { query, nowMs } = call
  const { limit = 1_000, fn, fill } = query
  const windowMs = windowOf(query.window)
  if (fn !== undefined && windowMs === undefined) throw bad('fn', `fn=${fn} needs a window, such as window=1m`)
  if (fill !== undefined && windowMs === undefined) throw bad('fill', `fill=${fill} needs a window, such as window=1m`)
  const end = timeOf('end', query.end, nowMs)
  const lastSeen = parseTime(row.last_seen) as Instant
  const start = timeOf('start', query.start, nowMs) ?? minus(end ?? lastSeen, rangeMsDefault)
  if (end !== undefined) rangeOf(start, end)

  const names = query.metric === undefined ? row.metrics : [...new Set(query.metric.map(canonical))]
  const series: TelemetrySeries[] = []
  for (const metric of names) {
    if (!row.metrics.includes(metric)) {
      if (metricOf(metric) === undefined) throw unknownMetric(metric)
      continue
    }
    const ownFn = windowMs === undefined ? null : functionFor(metric, fn, query.metric !== undefined)
    const ask = { metric, uuid: row.uuid, gpu_i_id: row.gpu_i_id, start, end, windowMs, fill, limit: limit + 1 }
    const found = await reader.ask((store) => store.range({ ...ask, fn: ownFn ?? undefined }), [])
    series.push(...found.map((each) => seriesOf(each, ownFn, windowMs, limit)))
  }
  return {
    as_of: at(nowMs),
    gpu: referenceOf(row),
    start: formatTime(start),
    end: end === undefined ? null : formatTime(end),
    window_s: windowMs === undefined ? null : windowMs / 1000,
    series,
    truncated: series.some(({ truncated }) => truncated),
  }
}

function seriesOf(
  { metric, labels, values }: RangeSeries,
  fn: RangeFunction | null,
  windowMs: number | undefined,
  limit: number,
): TelemetrySeries {
  const page = values.slice(0, limit)
  const truncated = values.length > limit
  const last = parseTime(page.at(-1)?.time ?? '')
  const next = last === undefined ? undefined : windowMs === undefined ? after(last) : minus(last, -windowMs)
  return {
    metric,
    unit: metricOf(metric)?.metric.unit ?? null,
    labels: { ...labels },
    fn,
    values: [...page],
    truncated,
    next_start: truncated && next !== undefined ? formatTime(next) : null,
  }
}
