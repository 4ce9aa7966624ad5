/** The newest row of each series at a moment in the past. */

import type { DatabaseSync } from 'node:sqlite'
import { gpuAttributes } from '../attributes.ts'
import { latestAt, ownersAt } from '../past.ts'
import { type GpuAttributes, type LatestFilter, type LatestRow, lookBackMs } from '../store.ts'
import { BlockReader, sealedHours } from './blocks.ts'
import { looseHours } from './history.ts'
import { type Moment, momentOf, timeOf } from './instants.ts'
import { readOwners } from './owners.ts'
import { hourS, placeOf } from './rows.ts'
import { gpuOrder, Where } from './where.ts'
import type { Labels } from '#telemetry/record'
import type { Instant } from '#telemetry/time'

/** So few series are looked up in each second; of more, all rows of the second are read. */
const lookedUpMax = 100

/** A row of a series, with its second since 1970. */
interface Newest extends Moment {
  readonly value: number | null
}

/** A series, with its first row and its newest one of all. */
interface SeriesRow extends GpuAttributes, Newest {
  readonly id: number
  readonly gpu: number | null
  readonly metric: string
  readonly labels: string
  readonly first_s: number
  readonly first_ns: number
}

/** Within one read transaction. */
export function readLatestAt(db: DatabaseSync, filter: LatestFilter, at: Instant): LatestRow[] {
  const to = momentOf(at)
  const from = momentOf({ ms: Math.max(0, at.ms - lookBackMs), ns: at.ns })
  const began = seriesOf(db, filter).filter((row) => !isBefore(to, { s: row.first_s, ns: row.first_ns }))
  // A series that ended before has its newest row at hand: only those that went on are searched.
  const later = began.filter((row) => isBefore(to, row))
  const found = newestOf(db, new Set(later.map(({ id }) => id)), from, to)
  const rows = began.flatMap((row): LatestRow[] => {
    const newest = isBefore(to, row) ? found.get(row.id) : row
    if (newest === undefined || isBefore(newest, from)) return []
    const time = timeOf(newest.s, newest.ns)
    const labels = JSON.parse(row.labels) as Labels
    const kind = row.gpu === null ? 'metric' : 'gpu'
    return [{ kind, ...attributesOf(row), metric: row.metric, labels, time, value: newest.value }]
  })
  return latestAt(rows, readOwners(db, ownersAt(filter.uuid, at)), filter.namespace)
}

function attributesOf(row: GpuAttributes): GpuAttributes {
  const { uuid, gpu_i_id, hostname, gpu_id, device_id, model_name, container, pod, namespace } = row
  return { uuid, gpu_i_id, hostname, gpu_id, device_id, model_name, container, pod, namespace }
}

/** In the order of every list, without those that the namespace leaves out: whose they were then is told later. */
function seriesOf(db: DatabaseSync, { hostname, uuid, metric }: LatestFilter): SeriesRow[] {
  const where = new Where().equal('g.hostname', hostname).equal('g.uuid', uuid).equal('sr.metric', metric)
  const rows = db.prepare(`
    SELECT sr.id, sr.gpu, sr.metric, sr.labels, l.first_s, l.first_ns, l.s, l.ns, l.value,
      ${gpuAttributes.map((name) => `coalesce(g.${name}, '') AS ${name}`).join(', ')}
    FROM series sr JOIN latest l ON l.series = sr.id LEFT JOIN gpus g ON g.id = sr.gpu
    ${where.sql} ORDER BY ${gpuOrder}, sr.metric, sr.key
  `)
  return rows.all(...where.values) as unknown as SeriesRow[]
}

/** Hour by hour, backwards, until each of the series has one. */
function newestOf(db: DatabaseSync, wanted: ReadonlySet<number>, from: Moment, to: Moment): Map<number, Newest> {
  const found = new Map<number, Newest>()
  if (wanted.size === 0) return found
  const missing = new Set(wanted)
  const blocks = new BlockReader(db)
  const [first, last] = [Math.floor(from.s / hourS), Math.floor(to.s / hourS)]
  const sealed = new Set(sealedHours(db, first, last))
  const loose = new Set(looseHours(db, from.s, to.s))
  for (const hour of [...new Set([...sealed, ...loose])].sort((a, b) => b - a)) {
    if (missing.size === 0) break
    const startS = hour * hourS
    const rows = loose.has(hour) ? newestLoose(db, missing, startS, to) : new Map<number, Newest>()
    for (const id of missing) {
      const own = later(rows.get(id), sealed.has(hour) ? newestSealed(blocks, hour, id, to) : undefined)
      if (own === undefined) continue
      found.set(id, own)
      missing.delete(id)
    }
  }
  return found
}

/** Of two rows of one time the one in `points` is the newer one, and *not reported* replaces no number. */
function later(loose: Newest | undefined, sealed: Newest | undefined): Newest | undefined {
  if (loose === undefined || sealed === undefined) return loose ?? sealed
  if (isBefore(loose, sealed)) return sealed
  return isBefore(sealed, loose) || loose.value !== null ? loose : sealed
}

function newestSealed(blocks: BlockReader, hour: number, id: number, to: Moment): Newest | undefined {
  const rows = blocks.rows(hour, id)
  if (rows === undefined) return undefined
  const startS = hour * hourS
  const index = placeOf(rows.times, (to.s - startS) * 1e9 + to.ns + 1) - 1
  const time = rows.times[index]
  if (time === undefined) return undefined
  const s = Math.floor(time / 1e9)
  const value = rows.values[index] as number
  return { s: startS + s, ns: time - s * 1e9, value: Number.isNaN(value) ? null : value }
}

/** Second by second, backwards: `points` is ordered by time. */
function newestLoose(db: DatabaseSync, wanted: ReadonlySet<number>, startS: number, to: Moment): Map<number, Newest> {
  const before = db.prepare('SELECT max(s) AS s FROM points WHERE s >= ? AND s <= ?')
  const all = db.prepare('SELECT series, ns, value FROM points WHERE s = ? ORDER BY series, ns')
  const one = db.prepare('SELECT series, ns, value FROM points WHERE s = ? AND series = ? ORDER BY ns')
  all.setReturnArrays(true)
  one.setReturnArrays(true)
  const found = new Map<number, Newest>()
  const missing = new Set(wanted)
  let nextS = Math.min(startS + hourS - 1, to.s)
  while (missing.size > 0) {
    const { s } = before.get(startS, nextS) as { s: number | null }
    if (s === null) break
    const rows = missing.size > lookedUpMax ? [all.all(s)] : Array.from(missing, (id) => one.all(s, id))
    for (const [id, ns, value] of rows.flat() as unknown as [number, number, number | null][]) {
      if (missing.has(id) && !isBefore(to, { s, ns })) found.set(id, { s, ns, value })
    }
    for (const id of found.keys()) missing.delete(id)
    nextS = s - 1
  }
  return found
}

function isBefore(a: Moment, b: Moment): boolean {
  return a.s < b.s || (a.s === b.s && a.ns < b.ns)
}
