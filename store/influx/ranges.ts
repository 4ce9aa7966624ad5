/** Values over time: of each series, and across all GPUs. */

import { ownerAt } from '../owners.ts'
import {
  type AcrossQuery,
  type AcrossValue,
  type RangeFunction,
  type RangeQuery,
  type RangeSeries,
  type RangeValue,
  rangeLimitDefault,
} from '../store.ts'
import { filled, isOfSteps, percentiles, type Window, windowsOf } from '../windows.ts'
import { formatTime, type Instant } from '#telemetry/time'
import { type Cell, instantOf, oneOf, quoted, type Series, timeBefore, timeFrom, where } from './influxql.ts'
import { byPlace, readInventory, readOwnerChanges } from './inventory.ts'
import { headOf, labelsOf, type Tags, tagText } from './lines.ts'
import { namesMax } from './lookup.ts'
import { gpuKeyOf } from './memory.ts'
import { type Databases, measurements } from './schema.ts'
import type { Server } from './server.ts'
import { readTexts } from './texts.ts'

/** With windows the server would take the present as the end of a range that names none. */
const beyondAll: Instant = { ms: 9_214_646_400_000, ns: 0 }

/** What a series has in the range: its rows, or the value of each window. */
interface Found {
  readonly kind: (typeof measurements)[number]
  readonly tags: Tags
  values: readonly (readonly Cell[])[]
  /** Of windows: those that have rows without a value. */
  unreported: readonly (readonly Cell[])[]
}

export async function readRange(server: Server, databases: Databases, query: RangeQuery): Promise<RangeSeries[]> {
  const { metric, uuid, gpu_i_id, start, end, windowMs, fill = 'none', fn = 'mean', limit = rangeLimitDefault } = query
  const { order = 'asc', answerFrom } = query
  const isAll = uuid === undefined && gpu_i_id === undefined && query.uuids === undefined
  const kinds = isAll ? measurements : (['gpu'] as const)
  const uuids = query.uuids && new Set(query.uuids.map(tagText))
  if (uuids?.size === 0) return []
  const series = [
    `metric = ${quoted(tagText(metric))}`,
    uuid === undefined ? undefined : `uuid = ${quoted(tagText(uuid))}`,
    gpu_i_id === undefined ? undefined : `gpu_i_id = ${quoted(gpu_i_id === '' ? '' : tagText(gpu_i_id))}`,
    uuids === undefined || uuids.size > namesMax ? undefined : oneOf('uuid', uuids),
  ]
  const isRows = windowMs === undefined || isOurs(fn)
  const which = where(
    ...series,
    start && timeFrom(start),
    isRows ? end && timeBefore(end) : timeBefore(end ?? beyondAll),
  )
  const newestFirst = order === 'desc' ? ' ORDER BY time DESC' : ''
  // Windows that are left out of the answer are few, and cheaper read than asked for by a range of their own.
  const most = answerFrom === undefined ? `${newestFirst} LIMIT ${limit}` : ''
  const windows = `GROUP BY time(${windowMs}ms), * fill(none)${most}`
  const statementsOf = (kind: Found['kind']): string[] =>
    isRows
      ? [`SELECT value, reported FROM ${kind}${which} GROUP BY *${windowMs === undefined ? most : ''}`]
      : [
          `SELECT ${functionOf(fn)} FROM ${kind}${which} ${windows}`,
          `SELECT count(reported) FROM ${kind}${which} ${windows}`,
        ]
  // Windows are also filled of series that have nothing in the range.
  const all = windowMs === undefined || fill === 'none' ? [] : ['value', 'reported']
  const others = (kind: Found['kind']): string[] =>
    all.map((field) => `SELECT last(${field}) FROM ${kind}${where(...series)} GROUP BY *`)
  const perKind = kinds.map((kind) => [...statementsOf(kind), ...others(kind)])
  const answers = await server.query(databases.data, perKind.flat())
  const found = new Map<string, Found>()
  const width = (perKind[0] as string[]).length
  for (const [index, one] of answers.entries()) {
    const kind = kinds[Math.floor(index / width)] as Found['kind']
    for (const { tags, values } of one) {
      if (uuids?.has(tags['uuid'] ?? '') === false) continue
      const head = headOf(kind, tags)
      const own = found.get(head) ?? { kind, tags, values: [], unreported: [] }
      found.set(head, own)
      if (index % width === 0) own.values = values
      else if (index % width === 1 && !isRows) own.unreported = values
    }
  }
  const valuesOf = (one: Found): RangeValue[] => {
    if (windowMs === undefined)
      return one.values.map(([time, value]) => ({ time: textOfTime(time), value: numberOf(value) }))
    const own = isOurs(fn) ? windowsOf(rowsIn(one), windowMs, fn) : merged(one, windowMs, fn)
    const first = answerFrom ?? start
    const from = first === undefined ? undefined : Math.floor(first.ms / windowMs)
    const answered = answerFrom === undefined ? own : own.filter(({ place }) => place >= (from as number))
    const previous = own[own.length - answered.length - 1]?.value ?? null
    const to = end === undefined ? undefined : Math.ceil((end.ms + (end.ns > 0 ? 1 : 0)) / windowMs)
    return filled(answered, fill, { from, to, max: limit, order, previous }).map(({ place, value }) => ({
      time: formatTime({ ms: place * windowMs, ns: 0 }),
      value,
    }))
  }
  return ordered(server, databases, [...found.values()], metric, valuesOf)
}

/** Series by place of their GPU; those of no GPU first. */
async function ordered(
  server: Server,
  databases: Databases,
  found: readonly Found[],
  metric: string,
  valuesOf: (found: Found) => RangeValue[],
): Promise<RangeSeries[]> {
  const [textOf, gpus] = await Promise.all([
    readTexts(
      server,
      databases.state,
      found.map(({ tags }) => tags),
    ),
    found.some(({ kind }) => kind === 'gpu') ? readInventory(server, databases.state) : [],
  ])
  const places = new Map(gpus.sort(byPlace).map((gpu, index) => [gpuKeyOf(gpu), index]))
  const series = found.map((one) => {
    const { kind, tags } = one
    const sliced = tags['gpu_i_id'] ?? ''
    const uuid = kind === 'gpu' ? textOf(tags['uuid'] ?? '') : ''
    const gpu_i_id = sliced === '' ? '' : textOf(sliced)
    const place = kind === 'gpu' ? (places.get(gpuKeyOf({ uuid, gpu_i_id })) ?? Infinity) : -1
    const labels = labelsOf(kind, tags, textOf)
    return { place, head: headOf(kind, tags), row: { kind, metric, uuid, gpu_i_id, labels, values: valuesOf(one) } }
  })
  const order = (a: (typeof series)[number], b: (typeof series)[number]): number =>
    (a.place === b.place ? 0 : a.place - b.place) || (a.head < b.head ? -1 : 1)
  return series.sort(order).map(({ row }) => row)
}

/** Whether windows are made here of the rows: InfluxQL has no bits, and its counters and integrals are others than ours. */
function isOurs(fn: RangeFunction): boolean {
  return isOfSteps(fn) || fn === 'bits'
}

function functionOf(fn: RangeFunction): string {
  const share = percentiles[fn]
  return share === undefined ? `${fn}(value)` : `percentile(value, ${share * 100})`
}

/** Windows with a value, and those whose rows have none. */
function merged({ values, unreported }: Found, windowMs: number, fn: RangeFunction): Window[] {
  const windows = new Map<number, Window>()
  const put = (time: Cell | undefined, value: number | null): void => {
    const place = Math.floor(instantOf(time).ms / windowMs)
    if (!windows.has(place)) windows.set(place, { place, value })
  }
  for (const [time, value] of values) put(time, numberOf(value))
  for (const [time] of unreported) put(time, fn === 'count' ? 0 : null)
  return [...windows.values()].sort((a, b) => a.place - b.place)
}

function* rowsIn({ values }: Found) {
  for (const [time, value] of values) {
    yield { ...instantOf(time), value: numberOf(value) }
  }
}

/** A time as all engines write it. */
function textOfTime(time: Cell | undefined): string {
  return formatTime(instantOf(time))
}

function numberOf(cell: Cell | undefined): number | null {
  return typeof cell === 'number' ? cell : null
}

export async function readAcross(server: Server, databases: Databases, query: AcrossQuery): Promise<AcrossValue[]> {
  const { metric, start, end, windowMs, fn, by } = query
  const which = where(`metric = ${quoted(tagText(metric))}`, timeFrom(start), timeBefore(end))
  const means = `SELECT mean(value) AS own FROM gpu${which} GROUP BY time(${windowMs}ms), * fill(none)`
  if (by !== undefined) return grouped(server, databases, query, which, means)
  const bounds = where(timeFrom(start), timeBefore(end))
  const [[values] = [], [unreported] = []] = await server.query(databases.data, [
    `SELECT ${fn}(own), count(own) FROM (${means})${bounds} GROUP BY time(${windowMs}ms) fill(none)`,
    `SELECT count(reported) FROM gpu${which} GROUP BY time(${windowMs}ms) fill(none)`,
  ])
  const windows = new Map<string, AcrossValue>()
  for (const [time, value, series] of values?.values ?? []) {
    windows.set(textOfTime(time), { time: textOfTime(time), value: numberOf(value), series: Number(series) })
  }
  for (const [time] of unreported?.values ?? []) {
    const text = textOfTime(time)
    if (!windows.has(text)) windows.set(text, { time: text, value: null, series: 0 })
  }
  return [...windows.values()].sort((a, b) => instantOf(a.time).ms - instantOf(b.time).ms)
}

/** Hosts, models and namespaces are no tags, so the windows of each GPU are put together here. */
async function grouped(
  server: Server,
  databases: Databases,
  { windowMs, fn, by }: AcrossQuery,
  which: string,
  means: string,
): Promise<AcrossValue[]> {
  const unreported = `SELECT count(reported) FROM gpu${which} GROUP BY time(${windowMs}ms), * fill(none)`
  const [[values = [], nulls = []], groupOf] = await Promise.all([
    server.query(databases.data, [means, unreported]),
    by === 'namespace' ? namespaces(server, databases) : attributes(server, databases, by ?? 'hostname'),
  ])
  const windows = new Map<string, { group: string; ms: number; values: number[] }>()
  const add = ({ tags, values }: Series, isReported: boolean): void => {
    for (const [time, value] of values) {
      const { ms } = instantOf(time)
      const group = groupOf(headOf('', { uuid: tags['uuid'] ?? '', gpu_i_id: tags['gpu_i_id'] ?? '' }), ms)
      const key = `${ms} ${group}`
      const own = windows.get(key) ?? { group, ms, values: [] }
      windows.set(key, own)
      if (isReported && typeof value === 'number') own.values.push(value)
    }
  }
  for (const series of values) add(series, true)
  for (const series of nulls) add(series, false)
  return [...windows.values()]
    .sort((a, b) => a.ms - b.ms || (a.group < b.group ? -1 : 1))
    .map(({ group, ms, values }) => ({
      group,
      time: formatTime({ ms, ns: 0 }),
      value: values.length === 0 ? null : across(values, fn),
      series: values.length,
    }))
}

function across(values: readonly number[], fn: AcrossQuery['fn']): number {
  const sum = values.reduce((a, b) => a + b, 0)
  if (fn === 'sum') return sum
  if (fn === 'mean') return sum / values.length
  return values.reduce((a, b) => (fn === 'min' ? Math.min(a, b) : Math.max(a, b)))
}

type GroupOf = (gpu: string, ms: number) => string

async function attributes(server: Server, { state }: Databases, by: 'hostname' | 'model_name'): Promise<GroupOf> {
  const gpus = await readInventory(server, state)
  const groups = new Map(gpus.map((gpu) => [tagsKeyOf(gpu), gpu[by]]))
  return (gpu) => groups.get(gpu) ?? ''
}

/** Whose it was at the start of the window. */
async function namespaces(server: Server, { state }: Databases): Promise<GroupOf> {
  const all = await readOwnerChanges(server, state)
  const changes = new Map(all.map(({ gpu, changes }) => [tagsKeyOf(gpu), changes]))
  return (gpu, ms) => ownerAt(changes.get(gpu) ?? [], { ms, ns: 0 }).namespace
}

function tagsKeyOf({ uuid, gpu_i_id }: { readonly uuid: string; readonly gpu_i_id: string }): string {
  return headOf('', { uuid: tagText(uuid), gpu_i_id: gpu_i_id === '' ? '' : tagText(gpu_i_id) })
}
