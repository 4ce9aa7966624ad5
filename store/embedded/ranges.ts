/** Values over time: of series, and across all GPUs. Numbers are bound as SQLite REAL, so arithmetic on one casts it first. */

import type { DatabaseSync } from 'node:sqlite'
import {
  type AcrossQuery,
  type AcrossValue,
  type RangeQuery,
  type RangeSeries,
  rangeLimitDefault,
  type RangeValue,
} from '../store.ts'
import { ownerAt } from '../owners.ts'
import { filled, windowsOf } from '../windows.ts'
import { instantOf, type Moment, momentOf, timeOf } from './instants.ts'
import { gpuOrder, type Row } from './inventory.ts'
import { readChanges } from './owners.ts'
import { Where } from './where.ts'
import type { Labels } from '#telemetry/record'
import type { Instant } from '#telemetry/time'

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
const rowsOfSeries = `
  ${secondsWalk}
  SELECT p.s, p.ns, p.value FROM second CROSS JOIN points p ON p.s = second.s AND p.series = :series
  WHERE second.s <= :toS AND (p.s, p.ns) >= (:fromS, :fromNs) AND (p.s, p.ns) < (:toS, :toNs) LIMIT :limit`

function readValues(db: DatabaseSync, series: Row, query: RangeQuery): RangeValue[] {
  const first: Moment = { s: series.first_s as number, ns: series.first_ns as number }
  const afterLast: Moment = { s: series.s as number, ns: (series.ns as number) + 1 }
  const from = query.start === undefined ? first : later(first, momentOf(query.start))
  const to = query.end === undefined ? afterLast : earlier(afterLast, momentOf(query.end))
  const limit = query.limit ?? rangeLimitDefault
  const { windowMs } = query
  const statement = db.prepare(rowsOfSeries)
  const bounds = { series: series.id as number, fromS: from.s, fromNs: from.ns, toS: to.s, toNs: to.ns }
  if (windowMs === undefined) {
    const rows = statement.all({ ...bounds, limit }) as unknown as StoredRow[]
    return rows.map(({ s, ns, value }) => ({ time: timeOf(s, ns), value }))
  }
  const rows = statement.iterate({ ...bounds, limit: -1 }) as Iterable<StoredRow>
  const windows = windowsOf(instantsOf(rows), windowMs, query.fn ?? 'mean')
  const places = {
    from: query.start && Math.floor(query.start.ms / windowMs),
    to: query.end && placeBehind(query.end, windowMs),
    max: limit,
  }
  return filled(windows, query.fill ?? 'none', places).map(({ place, value }) => ({
    time: windowTime(place, windowMs),
    value,
  }))
}

interface StoredRow extends Moment {
  readonly value: number | null
}

function* instantsOf(rows: Iterable<StoredRow>) {
  for (const { s, ns, value } of rows) {
    yield { ...instantOf(s, ns), value }
  }
}

/** The first window of which nothing is before the instant. */
function placeBehind({ ms, ns }: Instant, windowMs: number): number {
  const place = Math.floor(ms / windowMs)
  return place * windowMs === ms && ns === 0 ? place : place + 1
}

function windowTime(place: number, windowMs: number): string {
  const startMs = place * windowMs
  return timeOf(Math.floor(startMs / 1000), (startMs % 1000) * 1_000_000)
}

/**
 * The same walk for all GPUs at once, a seek for each second of the range and series of the metric: a third of the
 * processor time that a statement for each series takes (1,000 GPUs, 15 minutes).
 */
export function readAcross(db: DatabaseSync, query: AcrossQuery): AcrossValue[] {
  const from = momentOf(query.start)
  const to = momentOf(query.end)
  const rows = db.prepare(`
    ${secondsWalk}
    SELECT (p.s * 1000 + p.ns / 1000000) / CAST(:windowMs AS INTEGER) AS place, sr.gpu, avg(p.value) AS mean
    FROM second CROSS JOIN series sr ON sr.metric = :metric AND sr.gpu IS NOT NULL
      CROSS JOIN points p ON p.s = second.s AND p.series = sr.id
    WHERE second.s <= :toS AND (p.s, p.ns) >= (:fromS, :fromNs) AND (p.s, p.ns) < (:toS, :toNs)
    GROUP BY place, sr.id ORDER BY place
  `)
  const { metric, windowMs, by } = query
  const bounds = { metric, windowMs, fromS: from.s, fromNs: from.ns, toS: to.s, toNs: to.ns }
  const groupOf = by === undefined ? () => '' : groups(db, by, windowMs)
  const values: AcrossValue[] = []
  let window: { readonly place: number; readonly means: Map<string, number[]> } | undefined
  const close = (): void => {
    if (window === undefined) return
    const time = windowTime(window.place, windowMs)
    for (const [group, means] of [...window.means].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const value = { time, value: combined(means, query.fn), series: means.length }
      values.push(by === undefined ? value : { group, ...value })
    }
  }
  for (const { place, gpu, mean } of rows.iterate(bounds) as Iterable<MeanRow>) {
    if (window?.place !== place) {
      close()
      window = { place, means: new Map() }
    }
    const group = groupOf(gpu, place)
    let means = window.means.get(group)
    if (means === undefined) window.means.set(group, (means = []))
    if (mean !== null) means.push(mean)
  }
  close()
  return values
}

/** What a series of a GPU has in a window. */
interface MeanRow {
  readonly place: number
  readonly gpu: number
  readonly mean: number | null
}

function combined(means: readonly number[], fn: AcrossQuery['fn']): number | null {
  if (means.length === 0) return null
  switch (fn) {
    case 'min':
      return means.reduce((a, b) => Math.min(a, b))
    case 'max':
      return means.reduce((a, b) => Math.max(a, b))
    default: {
      const sum = means.reduce((a, b) => a + b, 0)
      return fn === 'sum' ? sum : sum / means.length
    }
  }
}

/** What a GPU counts for in a window. */
function groups(
  db: DatabaseSync,
  by: NonNullable<AcrossQuery['by']>,
  windowMs: number,
): (gpu: number, place: number) => string {
  if (by === 'namespace') {
    const changes = readChanges(db)
    return (gpu, place) => ownerAt(changes.get(gpu) ?? [], { ms: place * windowMs, ns: 0 }).namespace
  }
  const rows = db.prepare(`SELECT id, ${by} AS name FROM gpus`).all() as unknown as { id: number; name: string }[]
  const names = new Map(rows.map(({ id, name }) => [id, name]))
  return (gpu) => names.get(gpu) ?? ''
}

function later(a: Moment, b: Moment): Moment {
  return a.s > b.s || (a.s === b.s && a.ns > b.ns) ? a : b
}

function earlier(a: Moment, b: Moment): Moment {
  return later(a, b) === a ? b : a
}
