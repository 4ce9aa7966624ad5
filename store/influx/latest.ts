/** The reads of the newest and the first rows: the newest values, and who is there. */

import { noGpu } from '../attributes.ts'
import { gpusAt, latestAt, ownersAt } from '../past.ts'
import { lookBackMs } from '../store.ts'
import type { GpuFilter, GpuRow, HostRow, LatestFilter, LatestRow, NamespaceRow } from '../store.ts'
import { formatTime, type Instant } from '#telemetry/time'
import { type Cell, instantOf, oneOf, quoted, timeFrom, where } from './influxql.ts'
import { type Gpu, readInventory, readOwners } from './inventory.ts'
import { headOf, labelsOf, type Tags, tagText, timeDigits } from './lines.ts'
import { namesMax } from './lookup.ts'
import { gpuKeyOf, isBefore } from './memory.ts'
import { type Databases, measurements } from './schema.ts'
import type { Server } from './server.ts'
import { readTexts } from './texts.ts'

interface Row {
  readonly kind: (typeof measurements)[number]
  readonly tags: Tags
  readonly at: Instant
  readonly value: number | null
}

/** A row of the answer, and what it is sorted by. */
interface Ordered {
  readonly place: number
  readonly head: string
  readonly row: LatestRow
}

export async function readLatest(server: Server, databases: Databases, filter: LatestFilter): Promise<LatestRow[]> {
  const gpus = await selected(server, databases, filter)
  const isAll = isUnfiltered(filter)
  if (!isAll && gpus.length === 0) return []
  const ofMetric = filter.metric === undefined ? undefined : `metric = ${quoted(tagText(filter.metric))}`
  const rows = await newestRows(
    server,
    databases.data,
    isAll ? measurements : ['gpu'],
    where(ofMetric, ofGpus(gpus, isAll), ...(filter.at === undefined ? [] : upTo(filter.at))),
  )
  const textOf = await readTexts(
    server,
    databases.state,
    rows.map(({ tags }) => tags),
  )
  const byGpu = new Map(gpus.map((gpu, place) => [gpuKeyOf(gpu), { gpu, place }]))
  const latest = rows.flatMap(({ kind, tags, at, value }): Ordered[] => {
    const own = {
      metric: textOf(tags['metric'] ?? ''),
      labels: labelsOf(kind, tags, textOf),
      time: formatTime(at),
      value,
    }
    const head = headOf(kind, tags)
    if (kind === 'metric') return [{ place: -1, head, row: { kind, ...noGpu, ...own } }]
    const known = byGpu.get(keyOf(tags, textOf))
    if (known === undefined) return []
    const { labels: _, said: __, ...attributes } = known.gpu
    return [{ place: known.place, head, row: { kind, ...attributes, ...own } }]
  })
  const order = (a: Ordered, b: Ordered): number =>
    a.place - b.place || compare(a.row.metric, b.row.metric) || compare(a.head, b.head)
  return latest.sort(order).map(({ row }) => row)
}

/** What a moment has: `lookBackMs` of `store/store.ts`. */
function upTo({ ms, ns }: Instant): string[] {
  return [timeFrom({ ms: Math.max(0, ms - lookBackMs), ns }), `time <= ${timeDigits({ ms, ns })}`]
}

/** Of a moment in the past. */
export async function readLatestAt(server: Server, databases: Databases, filter: LatestFilter, at: Instant) {
  const { namespace, ...others } = filter
  const [rows, owners] = await Promise.all([
    readLatest(server, databases, { ...others, at }),
    readOwners(server, databases.state, ownersAt(filter.uuid, at)),
  ])
  return latestAt(rows, owners, namespace)
}

/** Of a moment in the past. */
export async function readGpusAt(server: Server, databases: Databases, filter: GpuFilter, at: Instant) {
  const [inventory, latest] = await Promise.all([
    readGpus(server, databases, { ...filter, namespace: undefined, at: undefined }),
    readLatestAt(server, databases, filter, at),
  ])
  return gpusAt(inventory, latest)
}

function isUnfiltered({ hostname, uuid, namespace }: GpuFilter): boolean {
  return hostname === undefined && uuid === undefined && namespace === undefined
}

async function selected(
  server: Server,
  { state }: Databases,
  { hostname, uuid, namespace }: GpuFilter,
): Promise<Gpu[]> {
  const gpus = await readInventory(server, state, uuid === undefined ? undefined : [uuid])
  return gpus.filter(
    (gpu) =>
      (hostname === undefined || gpu.hostname === hostname) && (namespace === undefined || gpu.namespace === namespace),
  )
}

/** The condition by which only these GPUs are read, where they are few. */
function ofGpus(gpus: readonly Gpu[], isAll: boolean): string | undefined {
  const uuids = new Set(gpus.map(({ uuid }) => tagText(uuid)))
  return isAll || uuids.size > namesMax ? undefined : oneOf('uuid', uuids)
}

function keyOf(tags: Tags, textOf: (content: string) => string): string {
  const sliced = tags['gpu_i_id'] ?? ''
  return gpuKeyOf({ uuid: textOf(tags['uuid'] ?? ''), gpu_i_id: sliced === '' ? '' : textOf(sliced) })
}

/** The newest row of each series. Rows with a value and those without are two fields, so they are asked for apart. */
async function newestRows(
  server: Server,
  database: string,
  kinds: readonly Row['kind'][],
  which: string,
): Promise<Row[]> {
  const statements = kinds.flatMap((kind) =>
    ['value', 'reported'].map((field) => `SELECT last(${field}) FROM ${kind}${which} GROUP BY *`),
  )
  const answers = await server.query(database, statements)
  const newest = new Map<string, Row>()
  for (const [index, series] of answers.entries()) {
    const kind = kinds[index >> 1] as Row['kind']
    for (const { tags, values } of series) {
      const [time, cell] = values[0] as readonly Cell[]
      const row = { kind, tags, at: instantOf(time), value: index % 2 === 0 ? Number(cell) : null }
      const head = headOf(kind, tags)
      const rival = newest.get(head)
      if (rival === undefined || isBefore(rival.at, row.at)) newest.set(head, row)
    }
  }
  return [...newest.values()]
}

export async function readGpus(server: Server, databases: Databases, filter: GpuFilter): Promise<GpuRow[]> {
  const gpus = await selected(server, databases, filter)
  if (gpus.length === 0) return []
  const which = where(ofGpus(gpus, isUnfiltered(filter)))
  const by = 'GROUP BY uuid, gpu_i_id, metric'
  const select = (fn: string) => ['value', 'reported'].map((field) => `SELECT ${fn}(${field}) FROM gpu${which} ${by}`)
  const answers = await server.query(databases.data, [...select('first'), ...select('last')])
  const textOf = await readTexts(server, databases.state, [])
  const seen = new Map<string, { first: Instant; last: Instant; metrics: Set<string> }>()
  for (const { tags, values } of answers.flat()) {
    const at = instantOf(values[0]?.[0])
    const key = keyOf(tags, textOf)
    const own = seen.get(key) ?? { first: at, last: at, metrics: new Set() }
    seen.set(key, own)
    if (isBefore(at, own.first)) own.first = at
    if (isBefore(own.last, at)) own.last = at
    own.metrics.add(textOf(tags['metric'] ?? ''))
  }
  return gpus.flatMap(({ said, ...gpu }) => {
    const own = seen.get(gpuKeyOf(gpu))
    // Its rows are gone with the database's retention: then it is as it was when that was said.
    const { first, last, metrics } = own ?? { first: said, last: said, metrics: new Set<string>() }
    return [{ ...gpu, first_seen: formatTime(first), last_seen: formatTime(last), metrics: [...metrics].sort() }]
  })
}

export async function readHosts(server: Server, databases: Databases): Promise<HostRow[]> {
  const gpus = await readInventory(server, databases.state)
  const select = (field: string): string => `SELECT last(${field}) FROM gpu GROUP BY uuid, gpu_i_id`
  const answers = gpus.length === 0 ? [] : await server.query(databases.data, [select('value'), select('reported')])
  const textOf = await readTexts(server, databases.state, [])
  const seen = new Map<string, Instant>()
  for (const { tags, values } of answers.flat()) {
    const at = instantOf(values[0]?.[0])
    const key = keyOf(tags, textOf)
    const rival = seen.get(key)
    if (rival === undefined || isBefore(rival, at)) seen.set(key, at)
  }
  const hosts = new Map<string, { uuids: Set<string>; last: Instant }>()
  for (const gpu of gpus) {
    const at = seen.get(gpuKeyOf(gpu)) ?? gpu.said
    const host = hosts.get(gpu.hostname) ?? { uuids: new Set(), last: at }
    hosts.set(gpu.hostname, host)
    host.uuids.add(gpu.uuid)
    if (isBefore(host.last, at)) host.last = at
  }
  return [...hosts].map(([hostname, { uuids, last }]) => ({ hostname, gpus: uuids.size, last_seen: formatTime(last) }))
}

export async function readNamespaces(server: Server, databases: Databases): Promise<NamespaceRow[]> {
  const namespaces = new Map<string, { uuids: Set<string>; pods: Set<string> }>()
  for (const { uuid, pod, namespace } of await readInventory(server, databases.state)) {
    const own = namespaces.get(namespace) ?? { uuids: new Set(), pods: new Set() }
    namespaces.set(namespace, own)
    own.uuids.add(uuid)
    if (pod !== '') own.pods.add(pod)
  }
  const rows = [...namespaces].map(([namespace, own]) => ({ namespace, gpus: own.uuids.size, pods: own.pods.size }))
  return rows.sort((a, b) => compare(a.namespace, b.namespace))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
