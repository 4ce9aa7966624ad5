/** The handlers that ask the store. */

import { parseDuration } from '#lib/quantity'
import {
  type GpuFilter,
  type GpuRow,
  type LatestRow,
  type RangeFunction,
  rangeFunctions,
  type RangeSeries,
  type Store,
} from '#store/store'
import { percentiles } from '#store/windows'
import { catalogue, type MetricFunction, metricOf } from '#telemetry/catalogue'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import { Problem } from '#wire/problems'
import { fleetOf, hostsOf, powerMetric, siteOf, transferOf } from './activity.ts'
import type { Call, Handlers } from './call.ts'
import type { Gpu, Metric, Telemetry, TelemetrySeries } from './contract.ts'
import { cursorOf, readCursor } from './cursor.ts'
import { gpusOf, matching, referenceOf, searchesFor, unitsOf } from './gpus.ts'
import type { StoreReader } from './reader.ts'
import { after, isBefore, minus, readTime, wantTime } from './times.ts'
import { windowMsFor, windowsMax } from './windows.ts'

type Queries = Omit<Handlers, 'getPipeline' | 'postTelemetry' | 'listLetters' | 'retryLetters' | 'dropLetters'>

interface FleetRows {
  readonly rows: readonly GpuRow[]
  readonly latest: readonly LatestRow[]
}

/** How old an answer about the whole fleet may be: less than any source's interval. */
const keepMs = 500

/** Of an ambiguous id no more are named than a person would read. */
const candidatesMax = 100

/** What a range without a start begins before its end. */
const rangeMsDefault = 3_600_000
const fleetRangeMsDefault = 900_000

export function storeQueries(reader: StoreReader, options: { staleAfterMs: number; demo: boolean }): Queries {
  const { staleAfterMs, demo } = options

  /** GPUs with their newest values. */
  async function gpusBy(filter: GpuFilter, nowMs: number): Promise<Gpu[]> {
    const isAll = Object.values(filter).every((value) => value === undefined)
    const { rows, latest } = await (isAll ? wholeFleet(nowMs) : readFleet(filter))
    return gpusOf(rows, latest, { nowMs, staleAfterMs })
  }

  function readFleet(filter: GpuFilter): Promise<FleetRows> {
    const read = async (store: Store) => ({ rows: await store.gpus(filter), latest: await store.latest(filter) })
    return reader.ask(read, { rows: [], latest: [] })
  }

  let last: { readonly atMs: number; readonly rows: Promise<FleetRows> } | undefined

  /** A page asks for the list, the hosts and the totals at once: the store is read for all of them together. */
  function wholeFleet(nowMs: number): Promise<FleetRows> {
    if (last !== undefined && nowMs >= last.atMs && nowMs - last.atMs < keepMs) return last.rows
    const rows = readFleet({})
    last = { atMs: nowMs, rows }
    // What failed is asked anew by the next one.
    rows.catch(() => (last = undefined))
    return rows
  }

  /** @throws Problem `unknown_gpu`, `ambiguous_gpu` */
  async function theGpu(id: string): Promise<GpuRow> {
    for (const filter of searchesFor(id)) {
      const found = matching(await reader.ask((store) => store.gpus(filter), []), id)
      const [only, ...others] = found
      if (only === undefined) continue
      if (others.length === 0) return only
      const candidates = found.slice(0, candidatesMax).map(referenceOf)
      throw new Problem('ambiguous_gpu', `${id} fits ${found.length} GPUs`, { candidates, fits: found.length })
    }
    throw new Problem('unknown_gpu', `there is no GPU ${id}`)
  }

  return {
    async listGpus({ query: { host, model, namespace }, nowMs }) {
      const all = await gpusBy({ hostname: host, namespace }, nowMs)
      const gpus = all.filter((gpu) => gpu.model_name.toLowerCase().includes((model ?? '').toLowerCase()))
      return { as_of: at(nowMs), units: unitsOf(gpus), gpus }
    },

    async getGpu({ params, nowMs }) {
      const { uuid, gpu_i_id } = await theGpu(params.id)
      const gpu = (await gpusBy({ uuid }, nowMs)).find((each) => each.gpu_i_id === gpu_i_id)
      if (gpu === undefined) throw new Problem('unknown_gpu', `there is no GPU ${params.id} any more`)
      return { as_of: at(nowMs), units: unitsOf([gpu]), gpu }
    },

    async getGpuTelemetry(call) {
      const row = await theGpu(call.params.id)
      return telemetryOf(reader, row, call)
    },

    async listHosts({ nowMs }) {
      return { as_of: at(nowMs), hosts: hostsOf(await gpusBy({}, nowMs), nowMs) }
    },

    async listNamespaces({ nowMs }) {
      const rows = await reader.ask((store) => store.namespaces(), [])
      return { as_of: at(nowMs), namespaces: [...rows] }
    },

    async getFleet({ nowMs }) {
      const sites = await reader.ask((store) => store.sites(), [])
      return fleetOf(await gpusBy({}, nowMs), sites, nowMs, demo)
    },

    async getFleetHistory({ query, nowMs }) {
      const metric = canonical(query.metric ?? powerMetric)
      const end = timeOf('end', query.end, nowMs) ?? (await newest(reader)) ?? { ms: nowMs, ns: 0 }
      const start = timeOf('start', query.start, nowMs) ?? minus(end, fleetRangeMsDefault)
      const rangeMs = rangeOf(start, end)
      const windowMs = windowOf(query.window) ?? windowMsFor(rangeMs)
      if (rangeMs / windowMs > windowsMax) {
        const least = Math.ceil(rangeMs / windowsMax / 1000)
        throw bad('window', `window=${query.window} makes more than ${windowsMax} windows: want ${least}s at least`)
      }
      const fn = query.fn ?? 'sum'
      const known = metricOf(metric)?.metric
      if (known !== undefined && known.kind !== 'gauge') {
        throw bad('metric', `metric=${metric} is a ${known.kind}, which has no ${fn} over GPUs: want a gauge`)
      }
      const values = await reader.ask((store) => store.across({ metric, start, end, windowMs, fn }), [])
      if (values.length === 0 && known === undefined) throw unknownMetric(metric)
      return {
        as_of: at(nowMs),
        metric,
        unit: known?.unit ?? null,
        fn,
        start: formatTime(start),
        end: formatTime(end),
        window_s: windowMs / 1000,
        values: values.map(({ time, value, series }) => ({ time, value, gpus: series })),
      }
    },

    async listMetrics() {
      return { metrics }
    },

    async listTransfers({ query, nowMs }) {
      const { site, status, limit = 100 } = query
      const start = timeOf('start', query.start, nowMs)
      const end = timeOf('end', query.end, nowMs)
      if (start !== undefined && end !== undefined) rangeOf(start, end)
      const place = query.cursor === undefined ? undefined : readCursor(query.cursor)
      if (query.cursor !== undefined && place === undefined) throw bad('cursor', 'cursor: want one of an answer before')
      // One more than asked for: whether there is a next page is then known.
      const ask = { site, status, start, end, after: place, limit: limit + 1 }
      const rows = await reader.ask((store) => store.transfers(ask), [])
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const truncated = rows.length > limit
      const cursor = truncated && last !== undefined ? cursorOf(last) : null
      return { as_of: at(nowMs), transfers: page.map(transferOf), truncated, cursor }
    },

    async listSites({ nowMs }) {
      const rows = await reader.ask((store) => store.sites(), [])
      return { as_of: at(nowMs), sites: rows.map((row) => siteOf(row, nowMs)) }
    },
  }
}

const metrics: Metric[] = catalogue.map(({ name, kind, unit, help, min, max, aliases, functions }) => ({
  name,
  kind,
  unit,
  help,
  min: Number.isFinite(min) ? min : null,
  max: Number.isFinite(max) ? max : null,
  aliases: aliases.map((alias) => alias.name),
  functions: rangeFunctions.filter((fn) => isAllowed(fn, functions)),
}))

async function telemetryOf(reader: StoreReader, row: GpuRow, call: Call<'getGpuTelemetry'>): Promise<Telemetry> {
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

/** What the windows of a metric become; where nothing was asked for, the mean, or the last value where a mean means nothing. */
function functionFor(metric: string, asked: RangeFunction | undefined, isNamed: boolean): RangeFunction {
  const known = metricOf(metric)?.metric
  const allowed = rangeFunctions.filter((fn) => known === undefined || isAllowed(fn, known.functions))
  const fallback = allowed.includes('mean') ? 'mean' : 'last'
  if (asked === undefined || allowed.includes(asked)) return asked ?? fallback
  if (!isNamed) return fallback
  throw bad('fn', `fn=${asked}: ${metric} is a ${known?.kind}: want one of ${allowed.join(', ')}`)
}

function isAllowed(fn: RangeFunction, functions: readonly MetricFunction[]): boolean {
  return functions.includes(fn in percentiles ? 'quantile' : (fn as MetricFunction))
}

function canonical(name: string): string {
  return metricOf(name)?.metric.name ?? name
}

/** The moment behind the newest value of the store. */
async function newest(reader: StoreReader): Promise<Instant | undefined> {
  const hosts = await reader.ask((store) => store.hosts(), [])
  const times = hosts.map(({ last_seen }) => parseTime(last_seen) as Instant)
  return times.length === 0 ? undefined : after(times.reduce((a, b) => (isBefore(a, b) ? b : a)))
}

/** @throws Problem `bad_parameter` */
function timeOf(name: string, text: string | undefined, nowMs: number): Instant | undefined {
  if (text === undefined) return undefined
  const time = readTime(text, nowMs)
  if (time === undefined) throw bad(name, `${name}=${text.slice(0, 100)}: want ${wantTime}`)
  return time
}

/** The length of a range in ms. @throws Problem `bad_parameter` */
function rangeOf(start: Instant, end: Instant): number {
  if (isBefore(start, end)) return end.ms - start.ms + 1
  throw bad('end', `end ${formatTime(end)} is not after start ${formatTime(start)}`)
}

/** @throws Problem `bad_parameter` */
function windowOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const windowMs = parseDuration(text)
  if (windowMs !== undefined && windowMs >= 1 && windowMs <= 31_536_000_000) return windowMs
  throw bad('window', `window=${text.slice(0, 100)}: want a duration from 1ms to 365d, such as 30s, 5m or 1h`)
}

function at(nowMs: number): string {
  return formatTime({ ms: nowMs, ns: 0 })
}

function unknownMetric(metric: string): Problem {
  return new Problem('unknown_metric', `no metric ${metric.slice(0, 100)} in the catalogue, nor in the store`)
}

function bad(parameter: string, detail: string): Problem {
  return new Problem('bad_parameter', detail, { parameter })
}
