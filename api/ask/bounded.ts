/**
 * The store as a bound key may see it. Whatever a handler asks goes through here, so that none has to remember what to leave
 * out; a question that is not here cannot be asked for a bound key at all.
 *
 * A GPU belongs to the host that reported it last, and so do its values of before.
 */

import type { AcrossQuery, AcrossValue, GpuFilter, GpuRow, NamespaceRow, Store, TransferRow } from '#store/store'
import { type Instant, parseTime } from '#telemetry/time'
import type { Bounds } from '../keys/bounds.ts'
import { isBefore } from './times.ts'

type Question = 'latest' | 'gpus' | 'hosts' | 'namespaces' | 'range' | 'transfers' | 'transferSums' | 'sites' | 'owners'

/** What may be asked of the store for a key that may be bound. */
export interface StoreView extends Pick<Store, Question> {
  /** Over the GPUs of all hosts that the key sees. */
  across(query: Omit<AcrossQuery, 'by'>): Promise<AcrossValue[]>
}

const transfersDefault = 100

export function boundedStore(store: Store, bounds: Bounds): StoreView {
  if (!bounds.isBound) return store
  const gpus = async (filter?: GpuFilter) =>
    (await store.gpus(filter)).filter(({ hostname }) => bounds.seesHost(hostname))
  const uuids = async (uuid: string | undefined) => new Set((await gpus({ uuid })).map((gpu) => gpu.uuid))
  return {
    gpus,
    async latest(filter) {
      const rows = await store.latest(filter)
      return rows.filter(({ kind, hostname }) => (kind === 'gpu' ? bounds.seesHost(hostname) : bounds.seesMetrics))
    },
    async hosts() {
      return (await store.hosts()).filter(({ hostname }) => bounds.seesHost(hostname))
    },
    namespaces: async () => (bounds.hosts === undefined ? store.namespaces() : namespacesOf(await gpus())),
    async range(query) {
      const own = await uuids(query.uuid)
      const rows = await store.range(query)
      return rows.filter(({ kind, uuid }) => (kind === 'gpu' ? own.has(uuid) : bounds.seesMetrics))
    },
    async across(query) {
      if (bounds.hosts === undefined) return store.across(query)
      const rows = await store.across({ ...query, by: 'hostname' })
      return joined(
        rows.filter(({ group }) => bounds.seesHost(group as string)),
        query.fn,
      )
    },
    async transfers(query = {}) {
      if (bounds.sites === undefined) return store.transfers(query)
      const sites = [...bounds.sites].filter((site) => query.site === undefined || site === query.site)
      const pages = await Promise.all(sites.map((site) => store.transfers({ ...query, site })))
      return pages
        .flat()
        .toSorted(newestFirst)
        .slice(0, query.limit ?? transfersDefault)
    },
    transferSums: ({ sites, ...query }) =>
      store.transferSums({
        ...query,
        sites: bounds.sites === undefined ? sites : (sites ?? [...bounds.sites]).filter((own) => bounds.seesSite(own)),
      }),
    async sites() {
      return (await store.sites()).filter(({ site }) => bounds.seesSite(site))
    },
    async owners(query) {
      const own = await uuids(query?.uuid)
      return (await store.owners(query)).filter(({ uuid }) => own.has(uuid))
    },
  }
}

/** As `Store.namespaces`, of some GPUs. */
function namespacesOf(gpus: readonly GpuRow[]): NamespaceRow[] {
  const byNamespace = [...Map.groupBy(gpus, ({ namespace }) => namespace)]
  return byNamespace
    .map(([namespace, own]) => ({
      namespace,
      gpus: new Set(own.map(({ uuid }) => uuid)).size,
      pods: new Set(own.map(({ pod }) => pod).filter((pod) => pod !== '')).size,
    }))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.namespace), Buffer.from(b.namespace)))
}

/** The values of several hosts as one a window: each stands for the GPUs that reported. */
function joined(rows: readonly AcrossValue[], fn: AcrossQuery['fn']): AcrossValue[] {
  return [...Map.groupBy(rows, ({ time }) => time)].map(([time, own]) => {
    const told = own.filter((row): row is AcrossValue & { value: number } => row.value !== null)
    const series = own.reduce((total, row) => total + row.series, 0)
    return { time, value: told.length === 0 ? null : valueOf(told, fn), series }
  })
}

function valueOf(told: readonly { readonly value: number; readonly series: number }[], fn: AcrossQuery['fn']): number {
  if (fn === 'sum') return told.reduce((total, { value }) => total + value, 0)
  if (fn === 'min') return told.reduce((least, { value }) => Math.min(least, value), Infinity)
  if (fn === 'max') return told.reduce((most, { value }) => Math.max(most, value), -Infinity)
  const series = told.reduce((total, row) => total + row.series, 0)
  return told.reduce((total, { value, series: own }) => total + value * own, 0) / series
}

/** The order of `Store.transfers`. */
function newestFirst(a: TransferRow, b: TransferRow): number {
  const [at, bt] = [parseTime(a.time) as Instant, parseTime(b.time) as Instant]
  if (isBefore(at, bt)) return 1
  return isBefore(bt, at) ? -1 : Buffer.compare(Buffer.from(b.id), Buffer.from(a.id))
}
