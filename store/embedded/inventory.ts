/** What there is: the newest value of each series, and who they belong to. Each read is a statement or two. */

import type { DatabaseSync } from 'node:sqlite'
import type { GpuAttributes, GpuFilter, GpuRow, HostRow, LatestFilter, LatestRow, NamespaceRow } from '../store.ts'
import { timeOf } from './instants.ts'
import { Where } from './where.ts'
import type { Labels } from '#telemetry/record'

export type Row = Record<string, string | number | null>

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
export const gpuOrder =
  'g.hostname, CAST(g.gpu_id AS INTEGER), g.gpu_id, g.uuid, CAST(g.gpu_i_id AS INTEGER), g.gpu_i_id'
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
