/** The reads, each a statement or two. Numbers are bound as SQLite REAL, so arithmetic on a parameter casts it first. */

import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  type AcrossQuery,
  type AcrossValue,
  type GpuAttributes,
  type GpuFilter,
  type GpuRow,
  type HostRow,
  type LatestFilter,
  type LatestRow,
  type NamespaceRow,
  type RangeQuery,
  type RangeSeries,
  type RangeValue,
  rangeLimitDefault,
  type SiteRow,
  type TransferQuery,
  type TransferRow,
} from '../store.ts'
import { type Moment, momentOf, timeOf } from './instants.ts'
import { type StoredTransfer, transferOf } from './transfers.ts'
import type { Labels } from '#telemetry/record'

type Row = Record<string, string | number | null>

const gpuColumns = [
  'uuid',
  'gpu_i_id',
  'hostname',
  'gpu_id',
  'device_id',
  'model_name',
  'container',
  'pod',
  'namespace',
]
  .map((name) => `coalesce(g.${name}, '') AS ${name}`)
  .join(', ')
/** By host, then by the number that the index is. */
const gpuOrder = 'g.hostname, CAST(g.gpu_id AS INTEGER), g.gpu_id, g.uuid, CAST(g.gpu_i_id AS INTEGER), g.gpu_i_id'
/** Of a series that belongs to no GPU. */
const noGpu: GpuAttributes = {
  uuid: '',
  gpu_i_id: '',
  hostname: '',
  gpu_id: '',
  device_id: '',
  model_name: '',
  container: '',
  pod: '',
  namespace: '',
}
/** Nanoseconds since 1970: exact inside SQLite, and taken apart again before JavaScript sees them. */
const latestNs = 'l.s * 1000000000 + l.ns'

/**
 * Rows of series and attributes of GPUs are read apart and put together here: SQLite would hand over nine texts a row, and
 * sort by them (2.2 times the processor time, at 10,000 series).
 */
export function readLatest(db: DatabaseSync, filter: LatestFilter): LatestRow[] {
  const gpus = attributesOf(db, filter)
  const where = new Where().equal('sr.metric', filter.metric)
  const rows = db.prepare(`
    SELECT sr.gpu, sr.metric, sr.labels, l.s, l.ns, l.value FROM series sr JOIN latest l ON l.series = sr.id
    ${where.and(seriesOf(gpus, filter)).sql} ORDER BY sr.metric, sr.gpu, sr.key
  `)
  const metrics: LatestRow[] = []
  const byGpu = new Map<number, LatestRow[]>()
  for (const id of gpus.keys()) byGpu.set(id, [])
  const labelsOf = remembering((text: string) => JSON.parse(text) as Labels)
  const times = new Times()
  for (const { gpu, metric, labels, s, ns, value } of rows.all(...where.values) as Row[]) {
    const own = {
      metric: metric as string,
      labels: labelsOf(labels as string),
      time: times.of(s as number, ns as number),
      value: value as number | null,
    }
    if (gpu === null) metrics.push({ kind: 'metric', ...noGpu, ...own })
    else byGpu.get(gpu as number)?.push({ kind: 'gpu', ...(gpus.get(gpu as number) as GpuAttributes), ...own })
  }
  return [...metrics, ...[...byGpu.values()].flat()]
}

export function readGpus(db: DatabaseSync, filter: GpuFilter): GpuRow[] {
  const where = new Where().equal('g.hostname', filter.hostname).equal('g.uuid', filter.uuid)
  where.equal('g.namespace', filter.namespace)
  const rows = db.prepare(`
    SELECT ${gpuColumns}, g.labels, json_group_array(DISTINCT sr.metric) AS metrics,
      min(l.first_s * 1000000000 + l.first_ns) / 1000000000 AS first_s,
      min(l.first_s * 1000000000 + l.first_ns) % 1000000000 AS first_ns,
      max(${latestNs}) / 1000000000 AS s, max(${latestNs}) % 1000000000 AS ns
    FROM gpus g JOIN series sr ON sr.gpu = g.id JOIN latest l ON l.series = sr.id
    ${where.sql} GROUP BY g.id ORDER BY ${gpuOrder}
  `)
  return (rows.all(...where.values) as Row[]).map(({ labels, metrics, first_s, first_ns, s, ns, ...row }) => ({
    ...(row as unknown as GpuRow),
    labels: JSON.parse(labels as string) as Labels,
    first_seen: timeOf(first_s as number, first_ns as number),
    last_seen: timeOf(s as number, ns as number),
    metrics: (JSON.parse(metrics as string) as string[]).sort(),
  }))
}

/** GPUs by their number in the table, in the order of every list. */
function attributesOf(db: DatabaseSync, filter: GpuFilter): Map<number, GpuAttributes> {
  const where = new Where().equal('g.hostname', filter.hostname).equal('g.uuid', filter.uuid)
  where.equal('g.namespace', filter.namespace)
  const rows = db.prepare(`SELECT g.id, ${gpuColumns} FROM gpus g ${where.sql} ORDER BY ${gpuOrder}`)
  const all = rows.all(...where.values) as unknown as (GpuAttributes & { readonly id: number })[]
  return new Map(all.map(({ id, ...row }) => [id, row]))
}

/** The condition by which only series of these GPUs are read; none where all are wanted. */
function seriesOf(gpus: ReadonlyMap<number, unknown>, filter: GpuFilter): string | undefined {
  const isAll = filter.hostname === undefined && filter.uuid === undefined && filter.namespace === undefined
  return isAll ? undefined : `sr.gpu IN (${[...gpus.keys()].join(', ')})`
}

export function readHosts(db: DatabaseSync): HostRow[] {
  const rows = db.prepare(`
    SELECT g.hostname, count(DISTINCT g.uuid) AS gpus,
      max(${latestNs}) / 1000000000 AS s, max(${latestNs}) % 1000000000 AS ns
    FROM gpus g JOIN series sr ON sr.gpu = g.id JOIN latest l ON l.series = sr.id
    GROUP BY g.hostname ORDER BY g.hostname
  `)
  return (rows.all() as Row[]).map(({ hostname, gpus, s, ns }) => ({
    hostname: hostname as string,
    gpus: gpus as number,
    last_seen: timeOf(s as number, ns as number),
  }))
}

export function readNamespaces(db: DatabaseSync): NamespaceRow[] {
  return db
    .prepare(`
      SELECT namespace, count(DISTINCT uuid) AS gpus, count(DISTINCT nullif(pod, '')) AS pods
      FROM gpus GROUP BY namespace ORDER BY namespace
    `)
    .all() as unknown as NamespaceRow[]
}

export function readRange(db: DatabaseSync, query: RangeQuery): RangeSeries[] {
  const where = new Where().equal('sr.metric', query.metric).equal('g.uuid', query.uuid)
  where.equal('g.gpu_i_id', query.gpu_i_id)
  const series = db.prepare(`
    SELECT sr.id, sr.gpu, sr.labels, g.uuid, g.gpu_i_id, l.first_s, l.first_ns, l.s, l.ns
    FROM series sr JOIN latest l ON l.series = sr.id LEFT JOIN gpus g ON g.id = sr.gpu
    ${where.sql} ORDER BY ${gpuOrder}, sr.key
  `)
  return (series.all(...where.values) as Row[]).map((row) => ({
    kind: row.gpu === null ? ('metric' as const) : ('gpu' as const),
    metric: query.metric,
    uuid: (row.uuid ?? '') as string,
    gpu_i_id: (row.gpu_i_id ?? '') as string,
    labels: JSON.parse(row.labels as string) as Labels,
    values: readValues(db, row, query),
  }))
}

/**
 * Steps from second to second of those that the table has, and looks the series up in each: a seek or two a second of the
 * range (84 ms for a day of 1 s rows), however many other series there are. One row steps to the next, so the seconds come
 * in order, and a limit ends the walk.
 */
const secondsWalk = `
  WITH RECURSIVE second (s) AS (
    SELECT min(s) FROM points WHERE s >= :fromS
    UNION ALL
    SELECT (SELECT min(s) FROM points WHERE s > second.s) FROM second WHERE second.s < :toS
  )`
const seriesRows = `
  second CROSS JOIN points p ON p.s = second.s AND p.series = :series
  WHERE second.s <= :toS AND (p.s, p.ns) >= (:fromS, :fromNs) AND (p.s, p.ns) < (:toS, :toNs)`

const windowSql: Readonly<Record<NonNullable<RangeQuery['fn']>, string>> = {
  mean: 'avg(value)',
  min: 'min(value)',
  max: 'max(value)',
  sum: 'sum(value)',
  count: 'count(value)',
  // SQLite takes a bare column from the row that holds the one max() beside it (sqlite.org/lang_select.html#bareagg).
  last: 'value',
}

function readValues(db: DatabaseSync, series: Row, query: RangeQuery): RangeValue[] {
  const first: Moment = { s: series.first_s as number, ns: series.first_ns as number }
  const afterLast: Moment = { s: series.s as number, ns: (series.ns as number) + 1 }
  const from = query.start === undefined ? first : later(first, momentOf(query.start))
  const to = query.end === undefined ? afterLast : earlier(afterLast, momentOf(query.end))
  const bounds = { series: series.id as number, fromS: from.s, fromNs: from.ns, toS: to.s, toNs: to.ns }
  const limit = query.limit ?? rangeLimitDefault
  if (query.windowMs === undefined) {
    const rows = db.prepare(`${secondsWalk} SELECT p.s, p.ns, p.value FROM ${seriesRows} LIMIT :limit`)
    return (rows.all({ ...bounds, limit }) as Row[]).map(({ s, ns, value }) => ({
      time: timeOf(s as number, ns as number),
      value: value as number | null,
    }))
  }
  const fn = query.fn ?? 'mean'
  const newest = 'max(CASE WHEN p.value IS NOT NULL THEN p.s * 1000000000 + p.ns END) IS NULL AS none,'
  const rows = db.prepare(`
    ${secondsWalk}
    SELECT (p.s * 1000 + p.ns / 1000000) / CAST(:windowMs AS INTEGER) AS place,
      ${fn === 'last' ? newest : ''} ${windowSql[fn]} AS value
    FROM ${seriesRows} GROUP BY place ORDER BY place LIMIT :limit
  `)
  const { windowMs } = query
  return (rows.all({ ...bounds, windowMs, limit }) as Row[]).map(({ place, value }) => {
    const startMs = (place as number) * windowMs
    return { time: timeOf(Math.floor(startMs / 1000), (startMs % 1000) * 1_000_000), value: value as number | null }
  })
}

/**
 * The same walk for all GPUs at once, a seek for each second of the range and series of the metric: a third of the
 * processor time that a statement for each series takes (1,000 GPUs, 15 minutes).
 */
export function readAcross(db: DatabaseSync, query: AcrossQuery): AcrossValue[] {
  const from = momentOf(query.start)
  const to = momentOf(query.end)
  const rows = db.prepare(`
    ${secondsWalk}, mean (place, value) AS (
      SELECT (p.s * 1000 + p.ns / 1000000) / CAST(:windowMs AS INTEGER) AS place, avg(p.value)
      FROM second CROSS JOIN series sr ON sr.metric = :metric AND sr.gpu IS NOT NULL
        CROSS JOIN points p ON p.s = second.s AND p.series = sr.id
      WHERE second.s <= :toS AND (p.s, p.ns) >= (:fromS, :fromNs) AND (p.s, p.ns) < (:toS, :toNs)
      GROUP BY place, sr.id
    )
    SELECT place, ${acrossSql[query.fn]} AS value, count(value) AS series FROM mean GROUP BY place ORDER BY place
  `)
  const { metric, windowMs } = query
  const bounds = { metric, windowMs, fromS: from.s, fromNs: from.ns, toS: to.s, toNs: to.ns }
  return (rows.all(bounds) as Row[]).map(({ place, value, series }) => {
    const startMs = (place as number) * windowMs
    const time = timeOf(Math.floor(startMs / 1000), (startMs % 1000) * 1_000_000)
    return { time, value: value as number | null, series: series as number }
  })
}

const acrossSql: Readonly<Record<AcrossQuery['fn'], string>> = {
  sum: 'sum(value)',
  mean: 'avg(value)',
  min: 'min(value)',
  max: 'max(value)',
}

export function readTransfers(db: DatabaseSync, query: TransferQuery): TransferRow[] {
  const where = new Where().equal('site', query.site).equal('status', query.status)
  if (query.start !== undefined) where.moment('(s, ns) >= (?, ?)', momentOf(query.start))
  if (query.end !== undefined) where.moment('(s, ns) < (?, ?)', momentOf(query.end))
  if (query.after !== undefined) where.moment('(s, ns, id) < (?, ?, ?)', momentOf(query.after.time), query.after.id)
  const rows = db.prepare(`SELECT * FROM transfers ${where.sql} ORDER BY s DESC, ns DESC, id DESC LIMIT ?`)
  return (rows.all(...where.values, query.limit ?? 100) as StoredTransfer[]).map(transferOf)
}

export function readSites(db: DatabaseSync): SiteRow[] {
  const rows = db.prepare(`
    SELECT site, status, count(*) AS transfers, total(bytes) AS bytes, total(duration_s) AS duration_s,
      max(s * 1000000000 + ns) / 1000000000 AS s, max(s * 1000000000 + ns) % 1000000000 AS ns
    FROM transfers GROUP BY site, status ORDER BY site, s, ns
  `)
  const sites = new Map<string, SiteRow>()
  for (const row of rows.all() as unknown as SiteStatusRow[]) {
    const before = sites.get(row.site)
    sites.set(row.site, {
      site: row.site,
      transfers: (before?.transfers ?? 0) + row.transfers,
      statuses: { ...before?.statuses, [row.status]: row.transfers },
      bytes: (before?.bytes ?? 0) + row.bytes,
      duration_s: (before?.duration_s ?? 0) + row.duration_s,
      // The rows of a site come by time, so the last one has its last transfer.
      last: timeOf(row.s, row.ns),
    })
  }
  return [...sites.values()]
}

/** Transfers of a site with one status. */
interface SiteStatusRow {
  readonly site: string
  readonly status: string
  readonly transfers: number
  readonly bytes: number
  readonly duration_s: number
  readonly s: number
  readonly ns: number
}

/** Conditions joined by AND, with their values; what is `undefined` is no condition. */
class Where {
  readonly #conditions: string[] = []
  readonly values: SQLInputValue[] = []

  equal(column: string, value: string | undefined): this {
    if (value === undefined) return this
    this.#conditions.push(`${column} = ?`)
    this.values.push(value)
    return this
  }

  and(condition: string | undefined): this {
    if (condition !== undefined) this.#conditions.push(condition)
    return this
  }

  moment(condition: string, { s, ns }: Moment, ...more: SQLInputValue[]): this {
    this.#conditions.push(condition)
    this.values.push(s, ns, ...more)
    return this
  }

  get sql(): string {
    return this.#conditions.length === 0 ? '' : `WHERE ${this.#conditions.join(' AND ')}`
  }
}

function later(a: Moment, b: Moment): Moment {
  return a.s > b.s || (a.s === b.s && a.ns > b.ns) ? a : b
}

function earlier(a: Moment, b: Moment): Moment {
  return later(a, b) === a ? b : a
}

/** Times as text; most rows have the one of the row before. */
class Times {
  #s = -1
  #ns = -1
  #text = ''

  of(s: number, ns: number): string {
    if (s !== this.#s || ns !== this.#ns) {
      this.#text = timeOf(s, ns)
      this.#s = s
      this.#ns = ns
    }
    return this.#text
  }
}

/** The same for a text that came before. */
function remembering<T>(make: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return (text) => {
    let value = known.get(text)
    if (value === undefined) known.set(text, (value = make(text)))
    return value
  }
}
