/** What there is: the newest value of each series, and who they belong to. */

import type { DatabaseSync } from 'node:sqlite'
import { noGpu } from '../attributes.ts'
import type { GpuAttributes, GpuFilter, GpuRow, HostRow, LatestFilter, LatestRow, NamespaceRow } from '../store.ts'
import { type Directory, type ListedGpu, remembering } from './directory.ts'
import { timeOf } from './instants.ts'
import { prepared } from './kept.ts'
import type { Labels } from '#telemetry/record'

/** Up to this share of the GPUs, looking up the series of each is faster than reading those of all. */
const fewShare = 1 / 8

/**
 * Attributes and series come from the directory, so that a row of the answer is four numbers of the file: one metric of
 * 10,000 GPUs takes a thirteenth of the time of statements that read all three (docs/decisions/062-kept-inventory.md).
 */
export function readLatest(db: DatabaseSync, directory: Directory, filter: LatestFilter): LatestRow[] {
  const gpus = directory.gpusOf(filter)
  const times = new Times()
  if (isFew(gpus, directory)) return readLatestOfFew(db, gpus, filter.metric, times)
  const { byGpu, places } = directory.series(filter.metric)
  const statement =
    filter.metric === undefined
      ? prepared(db, 'SELECT series, s, ns, value FROM latest', 'array')
      : prepared(db, newestOfMetric, 'array')
  const newest: (Newest | undefined)[] = Array.from({ length: places.size })
  const found = statement.all(...(filter.metric === undefined ? [] : [filter.metric])) as unknown as Newest[]
  for (const row of found) newest[places.get(row[0]) as number] = row
  const rows: LatestRow[] = []
  const add = (kind: LatestRow['kind'], id: number | null, attributes: GpuAttributes): void => {
    for (const { place, metric, labels } of byGpu.get(id) ?? []) {
      const row = newest[place]
      if (row !== undefined) rows.push(latestRow(kind, attributes, metric, labels, times.of(row[1], row[2]), row[3]))
    }
  }
  if (gpus === directory.gpus()) add('metric', null, noGpu)
  for (const { id, attributes } of gpus) add('gpu', id, attributes)
  return rows
}

function readLatestOfFew(
  db: DatabaseSync,
  gpus: readonly ListedGpu[],
  metric: string | undefined,
  times: Times,
): LatestRow[] {
  const text = `
    SELECT sr.metric, sr.labels, l.s, l.ns, l.value FROM series sr JOIN latest l ON l.series = sr.id
    WHERE sr.gpu = ? ${metric === undefined ? '' : 'AND sr.metric = ?'} ORDER BY sr.metric, sr.key
  `
  const statement = prepared(db, text, 'array')
  const labelsOf = remembering((text: string) => JSON.parse(text) as Labels)
  return gpus.flatMap(({ id, attributes }) => {
    const found = statement.all(id, ...(metric === undefined ? [] : [metric])) as unknown as NewestOfGpu[]
    return found.map(([name, labels, s, ns, value]) =>
      latestRow('gpu', attributes, name, labelsOf(labels), times.of(s, ns), value),
    )
  })
}

const newestOfMetric = `
  SELECT l.series, l.s, l.ns, l.value FROM series sr CROSS JOIN latest l ON l.series = sr.id WHERE sr.metric = ?
`

/** Written out: spreading nine fields takes as long as reading the row. */
function latestRow(
  kind: LatestRow['kind'],
  of: GpuAttributes,
  metric: string,
  labels: Labels,
  time: string,
  value: number | null,
): LatestRow {
  return {
    kind,
    uuid: of.uuid,
    gpu_i_id: of.gpu_i_id,
    hostname: of.hostname,
    gpu_id: of.gpu_id,
    device_id: of.device_id,
    model_name: of.model_name,
    container: of.container,
    pod: of.pod,
    namespace: of.namespace,
    metric,
    labels,
    time,
    value,
  }
}

export function readGpus(db: DatabaseSync, directory: Directory, filter: GpuFilter): GpuRow[] {
  const gpus = directory.gpusOf(filter)
  const few = isFew(gpus, directory) ? gpus : undefined
  const seen = readSeen(db, few)
  const metricsOf = few === undefined ? metricsOfAll(directory) : metricsByGpu(db)
  return gpus.flatMap(({ id, attributes, labels }) => {
    const own = seen.get(id)
    if (own === undefined) return []
    const [, firstS, firstNs, s, ns] = own
    const times = { first_seen: timeOf(firstS, firstNs), last_seen: timeOf(s, ns) }
    return [{ ...attributes, labels, ...times, metrics: metricsOf(id) }]
  })
}

function metricsOfAll(directory: Directory): (gpu: number) => string[] {
  const { byGpu } = directory.series()
  return (gpu) => [...new Set(byGpu.get(gpu)?.map(({ metric }) => metric))]
}

function metricsByGpu(db: DatabaseSync): (gpu: number) => string[] {
  const statement = prepared(db, 'SELECT DISTINCT metric FROM series WHERE gpu = ? ORDER BY metric')
  return (gpu) => (statement.all(gpu) as { metric: string }[]).map(({ metric }) => metric)
}

export function readHosts(db: DatabaseSync, directory: Directory): HostRow[] {
  const seen = readSeen(db)
  const hosts = new Map<string, { readonly uuids: Set<string>; s: number; ns: number }>()
  for (const { id, attributes } of directory.gpus()) {
    const own = seen.get(id)
    if (own === undefined) continue
    let host = hosts.get(attributes.hostname)
    if (host === undefined) hosts.set(attributes.hostname, (host = { uuids: new Set(), s: -1, ns: 0 }))
    host.uuids.add(attributes.uuid)
    const [, , , s, ns] = own
    if (s > host.s || (s === host.s && ns > host.ns)) Object.assign(host, { s, ns })
  }
  return [...hosts].map(([hostname, { uuids, s, ns }]) => ({ hostname, gpus: uuids.size, last_seen: timeOf(s, ns) }))
}

/** When each GPU was first and last seen; of those given, or of all. */
function readSeen(db: DatabaseSync, gpus?: readonly ListedGpu[]): Map<number, Seen> {
  const text = `
    SELECT sr.gpu, min(${firstNs}) / 1000000000, min(${firstNs}) % 1000000000,
      max(${latestNs}) / 1000000000, max(${latestNs}) % 1000000000
    FROM series sr CROSS JOIN latest l ON l.series = sr.id
    WHERE sr.gpu ${gpus === undefined ? 'IS NOT NULL' : 'IN (SELECT value FROM json_each(?))'} GROUP BY sr.gpu
  `
  const of = gpus === undefined ? [] : [JSON.stringify(gpus.map(({ id }) => id))]
  return new Map((prepared(db, text, 'array').all(...of) as unknown as Seen[]).map((row) => [row[0], row]))
}

/** Nanoseconds since 1970: exact inside SQLite, and taken apart again before JavaScript sees them. */
const firstNs = 'l.first_s * 1000000000 + l.first_ns'
const latestNs = 'l.s * 1000000000 + l.ns'

export function readNamespaces(directory: Directory): NamespaceRow[] {
  const namespaces = new Map<string, { readonly gpus: Set<string>; readonly pods: Set<string> }>()
  for (const { attributes } of directory.gpus()) {
    const { namespace: name, uuid, pod } = attributes
    let namespace = namespaces.get(name)
    if (namespace === undefined) namespaces.set(name, (namespace = { gpus: new Set(), pods: new Set() }))
    namespace.gpus.add(uuid)
    if (pod !== '') namespace.pods.add(pod)
  }
  return [...namespaces]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([namespace, { gpus, pods }]) => ({ namespace, gpus: gpus.size, pods: pods.size }))
}

function isFew(gpus: readonly ListedGpu[], directory: Directory): boolean {
  return gpus.length < directory.gpus().length * fewShare
}

type Newest = [series: number, s: number, ns: number, value: number | null]
type NewestOfGpu = [metric: string, labels: string, s: number, ns: number, value: number | null]
type Seen = [gpu: number, firstS: number, firstNs: number, s: number, ns: number]

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
