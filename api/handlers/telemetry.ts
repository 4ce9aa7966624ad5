/** `/gpus/{id}/telemetry`: values of one GPU over time. */

import type { Fill, GpuRow, Order, RangeFunction, RangeQuery, RangeSeries } from '#store/store'
import { isOfSteps } from '#store/windows'
import { metricOf } from '#telemetry/catalogue'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import { type Bounds, boundRange, Tally } from '../ask/bounds.ts'
import { readTexts, writeCursor } from '../ask/cursor.ts'
import { functionFor, unitFor } from '../ask/functions.ts'
import { referenceOf } from '../ask/gpus.ts'
import type { Inventory } from '../ask/inventory.ts'
import { at, bad, canonical, rangeOf, timeOf, unknownMetric, windowOf } from '../ask/parameters.ts'
import type { BoundReader, StoreReader } from '../ask/reader.ts'
import { after, isBefore, minus, parsed } from '../ask/times.ts'
import type { Call, Handlers } from '../call.ts'
import type { Telemetry } from '../contract.ts'

/** What a range without a start begins before its end. */
const rangeMsDefault = 3_600_000

/** Windows that are made to answer with the newest of them: windows come in the order of time. */
const windowsReadMax = 100_000

/** What is asked of every series. */
interface Asked {
  readonly start: Instant
  readonly end: Instant | undefined
  readonly windowMs: number | undefined
  readonly fill: Fill | undefined
  readonly order: Order
  readonly limit: number
  /** Where this page begins: its values are from here on, or with the newest first before it. */
  readonly place: Instant | undefined
}

interface Found {
  readonly series: RangeSeries
  readonly fn: RangeFunction | null
}

export function telemetryHandlers(
  reader: StoreReader,
  inventory: Inventory,
  limits: Bounds,
): Handlers<'getGpuTelemetry'> {
  return {
    async getGpuTelemetry(call) {
      const row = await inventory.within(call.bounds).theGpu(call.params.id)
      return telemetryOf(reader.within(call.bounds), row, call, limits)
    },
  }
}

async function telemetryOf(
  reader: BoundReader,
  row: GpuRow,
  call: Call<'getGpuTelemetry'>,
  limits: Bounds,
): Promise<Telemetry> {
  const { query, nowMs } = call
  const asked = askedOf(row, call)
  const { start, end, windowMs } = asked
  const names = query.metric === undefined ? row.metrics : [...new Set(query.metric.map(canonical))]
  const found: Found[] = []
  boundRange(
    limits,
    end === undefined ? Math.max(0, (parseTime(row.last_seen) as Instant).ms - start.ms) : rangeOf(start, end),
  )
  const tally = new Tally(limits)
  for (const metric of names) {
    if (!row.metrics.includes(metric)) {
      if (metricOf(metric) === undefined) throw unknownMetric(metric)
      continue
    }
    const fn = windowMs === undefined ? null : functionFor(metric, query.fn, query.metric !== undefined)
    const ask = { metric, uuid: row.uuid, gpu_i_id: row.gpu_i_id, ...rangeFor(asked, fn) }
    const series = await reader.ask((store) => store.range(ask), [])
    found.push(...series.map((own) => ({ series: own, fn })))
    tally.add(
      series.length,
      series.reduce((sum, { values }) => sum + Math.min(values.length, asked.limit), 0),
    )
  }
  const next = nextPlace(found, asked)
  const cursor = [formatTime(start), end === undefined ? '' : formatTime(end), wayOf(asked)]
  return {
    as_of: at(nowMs),
    gpu: referenceOf(row),
    start: formatTime(start),
    end: end === undefined ? null : formatTime(end),
    window_s: windowMs === undefined ? null : windowMs / 1000,
    series: found.map((own) => seriesOf(own, asked, next)),
    truncated: next !== undefined,
    cursor: next === undefined ? null : writeCursor([...cursor, formatTime(next)]),
  }
}

/** @throws Problem `bad_parameter` */
function askedOf(row: GpuRow, { query, nowMs }: Call<'getGpuTelemetry'>): Asked {
  const { limit = 1_000, fn, fill, order = 'asc' } = query
  const windowMs = windowOf(query.window)
  if (fn !== undefined && windowMs === undefined) throw bad('fn', `fn=${fn} needs a window, such as window=1m`)
  if (fill !== undefined && windowMs === undefined) throw bad('fill', `fill=${fill} needs a window, such as window=1m`)
  const how = { windowMs, fill, order, limit }
  const lastSeen = parseTime(row.last_seen) as Instant
  if (query.cursor !== undefined) {
    const [start, end, way, place] = readTexts(query.cursor, 4) ?? []
    const [from, to, here] = [start, end, place].map(parsed)
    if (from === undefined || here === undefined || (to === undefined && end !== '')) {
      throw bad('cursor', 'cursor: want one of an answer before')
    }
    if (way !== wayOf(how)) throw bad('cursor', 'cursor: it is of another order or window: want those of its answer')
    return { ...how, start: from, end: to, place: here }
  }
  const end = timeOf('end', query.end, nowMs)
  const start = timeOf('start', query.start, nowMs) ?? minus(end ?? lastSeen, rangeMsDefault)
  if (end !== undefined) rangeOf(start, end)
  const rangeMs = (end ?? lastSeen).ms - start.ms
  if (order === 'desc' && windowMs !== undefined && rangeMs / windowMs > windowsReadMax) {
    const least = Math.ceil(rangeMs / windowsReadMax / 1000)
    throw bad('window', `window=${query.window} with order=desc: want ${least}s at least, or a later start`)
  }
  return { ...how, start, end, place: undefined }
}

function wayOf({ order, windowMs }: Pick<Asked, 'order' | 'windowMs'>): string {
  return `${order} ${windowMs ?? ''}`
}

/** What of the range is read for the page: all before it, too, for what looks back. */
function rangeFor({ start, end, windowMs, fill, order, limit, place }: Asked, fn: RangeFunction | null) {
  // One more than asked for: whether there is a next page is then known.
  const all: Partial<RangeQuery> = { start, end, windowMs, fill, fn: fn ?? undefined, order, limit: limit + 1 }
  if (place === undefined) return all
  if (order === 'desc') return { ...all, end: place }
  const looksBack = (fn !== null && isOfSteps(fn)) || fill === 'previous'
  return looksBack ? { ...all, answerFrom: place } : { ...all, start: place }
}

/** Where the next page begins: all series are cut where the first of them is full. */
function nextPlace(found: readonly Found[], { order, limit, windowMs }: Asked): Instant | undefined {
  const ends = found.flatMap(({ series: { values } }) =>
    values.length > limit ? [parseTime(values[limit - 1]?.time ?? '') as Instant] : [],
  )
  if (ends.length === 0) return undefined
  if (order === 'desc') return ends.reduce((a, b) => (isBefore(a, b) ? b : a))
  const first = ends.reduce((a, b) => (isBefore(a, b) ? a : b))
  return windowMs === undefined ? after(first) : minus(first, -windowMs)
}

function seriesOf({ series, fn }: Found, { order }: Asked, next: Instant | undefined): Telemetry['series'][number] {
  const { metric, labels } = series
  const isOfPage = ({ time }: { time: string }): boolean => {
    if (next === undefined) return true
    const own = parseTime(time) as Instant
    return order === 'asc' ? isBefore(own, next) : !isBefore(own, next)
  }
  const values = series.values.filter(isOfPage)
  const truncated = values.length < series.values.length
  return {
    metric,
    unit: unitFor(metric, fn),
    labels: { ...labels },
    fn,
    values,
    truncated,
    next_start: truncated && next !== undefined && order === 'asc' ? formatTime(next) : null,
  }
}
