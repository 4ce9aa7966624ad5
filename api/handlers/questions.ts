/** `/query` and `/top`: one metric over the fleet, by groups. */

import type { RangeFunction, RangeSeries } from '#store/store'
import { filled } from '#store/windows'
import { metricOf } from '#telemetry/catalogue'
import { formatTime, type Instant } from '#telemetry/time'
import { groupsOf, type GroupValues } from '../ask/across.ts'
import { readTexts, writeCursor } from '../ask/cursor.ts'
import { fleetFunctionFor, type Over, overFor, unitFor } from '../ask/functions.ts'
import { referenceOf } from '../ask/gpus.ts'
import {
  type Conditions,
  type Dimension,
  dimensions,
  heldBy,
  needsOwners,
  readGroupBy,
  readWhere,
  selected,
} from '../ask/groups.ts'
import type { BoundInventory, Inventory } from '../ask/inventory.ts'
import { endFor } from '../ask/newest.ts'
import { at, bad, canonical, rangeOf, timeOf, unknownMetric, windowOf } from '../ask/parameters.ts'
import { readPieces } from '../ask/pieces.ts'
import type { BoundReader, StoreReader } from '../ask/reader.ts'
import { after, before, minus, parsed } from '../ask/times.ts'
import { wholeMs, windowMsFor, windowsMax } from '../ask/windows.ts'
import type { Call, Handlers } from '../call.ts'
import type { AnswerOf } from '../contract.ts'

/** What a range without a start begins before its end. */
const rangeMsDefault = 3_600_000
const momentMsDefault = 300_000
const topMsDefault = 900_000

/** Values of series that a question may read, and hours of series that it may look through. */
const valuesMax = 200_000
const seriesHoursMax = 1_000_000

interface Question {
  readonly metric: string
  readonly fn: RangeFunction
  readonly over: Over
  readonly by: readonly Dimension[]
  readonly where: Conditions
  readonly start: Instant
  readonly end: Instant
  readonly windowMs: number
  /** The one moment that is asked about. */
  readonly moment?: Instant | undefined
}

export function questionHandlers(reader: StoreReader, inventory: Inventory): Handlers<'query' | 'getTop'> {
  return {
    query: (call) => answered(reader.within(call.bounds), inventory.within(call.bounds), call),
    getTop: (call) => topOf(reader.within(call.bounds), inventory.within(call.bounds), call),
  }
}

async function answered(
  reader: BoundReader,
  inventory: BoundInventory,
  call: Call<'query'>,
): Promise<AnswerOf<'query'>> {
  const { query, nowMs } = call
  const by = readGroupBy(query.group_by, dimensions)
  const range = await rangeFor(reader, call)
  const { start, end, windowMs, moment } = range
  const question = { ...questionOf(query), by, ...range, windowMs: moment === undefined ? windowMs : wholeMs(end) }
  const all = await groupsFor(reader, inventory, question, nowMs)
  const { limit = 100, fill = 'none' } = query
  const behind = all.filter(({ key }) => range.after === undefined || key > range.after)
  const page = behind.slice(0, limit)
  const truncated = behind.length > limit
  const places = { from: Math.floor(start.ms / windowMs), to: Math.ceil((end.ms + (end.ns > 0 ? 1 : 0)) / windowMs) }
  const valuesOf = ({ values }: GroupValues) => {
    if (moment !== undefined) return [...values.values()].map((one) => ({ time: formatTime(moment), ...one }))
    const windows = [...values].map(([place, { value }]) => ({ place, value }))
    return filled(windows, fill, { ...places, max: windowsMax + 1 }).map(({ place, value }) => ({
      time: formatTime({ ms: place * windowMs, ns: 0 }),
      value,
      gpus: values.get(place)?.gpus ?? 0,
    }))
  }
  const next = [formatTime(start), formatTime(end), String(windowMs), page.at(-1)?.key ?? '']
  return {
    as_of: at(nowMs),
    ...headOf(question),
    window_s: windowMs / 1000,
    series: page.map((one) => ({ group: { ...one.group }, gpus: one.gpus, values: valuesOf(one) })),
    truncated,
    cursor: truncated ? writeCursor(next) : null,
  }
}

async function topOf(
  reader: BoundReader,
  inventory: BoundInventory,
  call: Call<'getTop'>,
): Promise<AnswerOf<'getTop'>> {
  const { query, nowMs } = call
  const by = readGroupBy(query.group_by ?? 'gpu', dimensions)
  const moment = timeOf('at', query.at, nowMs)
  const end = moment === undefined ? await endFor(reader, undefined, nowMs) : after(moment)
  const start = minus(end, windowOf(query.window) ?? topMsDefault)
  const question = { ...questionOf(query), by, start, end, moment: moment ?? end, windowMs: wholeMs(end) }
  const groups = (await groupsFor(reader, inventory, question, nowMs)).flatMap((group) => {
    const [own] = [...group.values.values()]
    return own === undefined || own.value === null ? [] : [{ ...group, value: own.value }]
  })
  const { order = 'desc', n = 10 } = query
  // Groups come in the order of their names, which equal values keep.
  const sorted = groups.toSorted((a, b) => (order === 'desc' ? b.value - a.value : a.value - b.value))
  const gpus = by.includes('gpu') ? await inventory.gpus({}, nowMs) : []
  const byId = new Map(gpus.map((gpu) => [gpu.id, gpu]))
  return {
    as_of: at(nowMs),
    ...headOf(question),
    order,
    groups: groups.length,
    top: sorted.slice(0, n).map(({ group, value, gpus }, index) => {
      const gpu = byId.get(group.gpu ?? '')
      return { rank: index + 1, group: { ...group }, gpu: gpu === undefined ? null : referenceOf(gpu), value, gpus }
    }),
  }
}

function questionOf(query: Call<'query' | 'getTop'>['query']): Pick<Question, 'metric' | 'fn' | 'over' | 'where'> {
  const metric = canonical(query.metric)
  const fn = fleetFunctionFor(metric, query.fn)
  return { metric, fn, over: overFor(metric, fn, query.over), where: readWhere(query.where ?? []) }
}

function headOf({ metric, fn, over, by, start, end }: Question) {
  const unit = over === 'count' ? 'series' : unitFor(metric, fn)
  return { metric, unit, fn, over, group_by: [...by], start: formatTime(start), end: formatTime(end) }
}

interface Range extends Pick<Question, 'start' | 'end' | 'windowMs' | 'moment'> {
  /** The group that the page before ended with. */
  readonly after?: string
}

/** The range that is asked for, or that of the page before. @throws Problem `bad_parameter` */
async function rangeFor(reader: BoundReader, { query, nowMs }: Call<'query'>): Promise<Range> {
  const moment = timeOf('at', query.at, nowMs)
  for (const name of ['start', 'end', 'fill'] as const) {
    if (moment !== undefined && query[name] !== undefined) throw bad(name, `${name} is of a range: want it without at`)
  }
  if (query.cursor !== undefined) {
    const [start, end, windowMs, key] = readTexts(query.cursor, 4) ?? []
    const [from, to] = [parsed(start), parsed(end)]
    const isLength = /^[1-9]\d{0,11}$/.test(windowMs ?? '')
    if (from === undefined || to === undefined || !isLength || key === undefined) {
      throw bad('cursor', 'cursor: want one of an answer before')
    }
    const own = moment === undefined ? undefined : before(to)
    return checked({ start: from, end: to, windowMs: Number(windowMs), moment: own, after: key }, query.window)
  }
  const window = windowOf(query.window)
  if (moment !== undefined) {
    const windowMs = window ?? momentMsDefault
    return { start: minus(after(moment), windowMs), end: after(moment), windowMs, moment }
  }
  const from = timeOf('start', query.start, nowMs)
  const end = timeOf('end', query.end, nowMs) ?? (await endFor(reader, from, nowMs))
  const start = from ?? minus(end, rangeMsDefault)
  return checked({ start, end, windowMs: window ?? windowMsFor(rangeOf(start, end)) }, query.window)
}

function checked(range: Range, window: string | undefined): Range {
  const rangeMs = rangeOf(range.start, range.end)
  if (range.moment !== undefined || rangeMs / range.windowMs <= windowsMax) return range
  const least = Math.ceil(rangeMs / windowsMax / 1000)
  throw bad('window', `window=${window} makes more than ${windowsMax} windows: want ${least}s at least`)
}

async function groupsFor(
  reader: BoundReader,
  inventory: BoundInventory,
  question: Question,
  nowMs: number,
): Promise<GroupValues[]> {
  const { metric, fn, over, by, where, start, end, windowMs, moment } = question
  const all = await inventory.gpus({}, nowMs)
  const isOf = (gpu: (typeof all)[number]) =>
    (Object.hasOwn(gpu.values, metric) ? 1 : 0) + gpu.series.filter((one) => one.metric === metric).length
  if (metricOf(metric) === undefined && !all.some((gpu) => isOf(gpu) > 0)) throw unknownMetric(metric)
  const gpus = selected(all, where).filter((gpu) => isOf(gpu) > 0)
  const rangeMs = rangeOf(start, end)
  const count = gpus.reduce((sum, gpu) => sum + isOf(gpu), 0)
  bound(count, moment === undefined ? rangeMs / windowMs : 1, rangeMs)
  const uuids = [...new Set(gpus.map(({ uuid }) => uuid))]
  const series: RangeSeries[] = []
  const ask = { metric, fn, uuids, start, end, windowMs, limit: windowsMax + 1 }
  for await (const piece of readPieces(reader, ask, rangeMs)) series.push(...piece)
  const isOwned = needsOwners(by, where)
  const owners = isOwned ? await reader.ask((store) => store.owners({ start, end }), []) : []
  return groupsOf(series, { gpus, held: heldBy(owners), by, where, over, windowMs, ownedAtMs: moment?.ms })
}

/** @throws Problem `bad_parameter` */
function bound(series: number, windows: number, rangeMs: number): void {
  if (series * windows > valuesMax) {
    const least = Math.ceil((series * rangeMs) / valuesMax / 1000)
    const what = `${series} series x ${Math.ceil(windows)} windows are more than ${valuesMax} values`
    throw bad('window', `${what}: want windows of ${least}s at least, or fewer GPUs by where`)
  }
  if (series * (rangeMs / 3_600_000) > seriesHoursMax) {
    const hours = Math.floor(seriesHoursMax / series)
    throw bad('start', `${series} series over so long a range: want ${hours}h at most, or fewer GPUs by where`)
  }
}
