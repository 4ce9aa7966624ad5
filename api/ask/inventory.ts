/** GPUs with their newest values, read for all who ask at once; and the one GPU that an id means. */

import type { GpuFilter, GpuRow, LatestRow } from '#store/store'
import { Problem } from '#wire/problems'
import type { Gpu, GpuList } from '../contract.ts'
import type { Bounds } from '../keys/bounds.ts'
import type { StoreView } from './bounded.ts'
import { gpuMaker, gpusOf, matching, placeOf, referenceOf, searchesFor, unitsOf } from './gpus.ts'
import { pageOf } from './pages.ts'
import { at } from './parameters.ts'
import type { StoreReader } from './reader.ts'
import { isFresh, keepMs } from './fresh.ts'
import { shared } from './shared.ts'

/** The inventory, and the newest value of each series. */
export interface FleetRows {
  readonly rows: readonly GpuRow[]
  readonly latest: readonly LatestRow[]
  /** All GPUs of the hosts of `rows`. */
  readonly around: readonly GpuRow[]
}

/** GPUs that are made before others have their turn: a thousand at once took 4 ms. */
const gpusATurn = 250

/** Of one answer. */
export const gpusMax = 10_000

/** Of an ambiguous id no more are named than a person would read. */
const candidatesMax = 100

/** More hosts than this are read by one question for all. */
const hostsApartMax = 8

/** The inventory, as a key may see it. */
export type BoundInventory = Pick<Inventory, 'gpus' | 'theGpu' | 'fleet'>

export class Inventory {
  readonly #reader: StoreReader
  readonly #staleAfterMs: number
  readonly #nextTurn: () => Promise<unknown>
  #last: { readonly atMs: number; readonly rows: Promise<FleetRows> } | undefined

  /** @param nextTurn resolves when those who wait for the event loop had theirs */
  constructor(reader: StoreReader, staleAfterMs: number, nextTurn: () => Promise<unknown>) {
    this.#reader = reader
    this.#nextTurn = nextTurn
    this.#staleAfterMs = staleAfterMs
  }

  /** The same for a key: what it does not see is not there. */
  within(bounds: Bounds): BoundInventory {
    return {
      gpus: (filter, nowMs) => this.gpus(filter, nowMs, bounds),
      theGpu: (id) => this.theGpu(id, bounds),
      fleet: async (nowMs) => rowsWithin(await this.fleet(nowMs), bounds),
    }
  }

  /** GPUs with their newest values. @param nowMs what ages count from */
  async gpus(filter: GpuFilter, nowMs: number, bounds?: Bounds): Promise<Gpu[]> {
    const isAll = Object.values(filter).every((value) => value === undefined)
    const { rows, latest, around } = await (isAll ? this.fleet(nowMs) : this.#read(filter))
    const own = bounds === undefined ? rows : rows.filter(({ hostname }) => bounds.seesHost(hostname))
    return gpusOf(own, latest, { nowMs, staleAfterMs: this.#staleAfterMs }, around)
  }

  /** All GPUs of this moment, as the first page of those who see them all, written. */
  async list(nowMs: number): Promise<GpuList> {
    // Others, who take what was read a moment ago, then have this.
    this.#last = undefined
    const { rows, latest, around } = await this.fleet(nowMs)
    await this.#nextTurn()
    const make = gpuMaker(latest, { nowMs, staleAfterMs: this.#staleAfterMs }, around)
    const all: Gpu[] = []
    for (let from = 0; from < rows.length; from += gpusATurn) {
      await this.#nextTurn()
      for (const row of rows.slice(from, from + gpusATurn)) all.push(make(row))
    }
    await this.#nextTurn()
    const { items: gpus, ...page } = pageOf(all, placeOf, { limit: gpusMax, cursor: undefined })
    return shared({ as_of: at(nowMs), units: unitsOf(gpus), gpus, ...page }, this.#nextTurn)
  }

  /** @throws Problem `unknown_gpu`, `ambiguous_gpu` */
  async theGpu(id: string, bounds?: Bounds): Promise<GpuRow> {
    for (const filter of searchesFor(id)) {
      const rows = await this.#reader.ask((store) => store.gpus(filter), [])
      const found = matching(bounds === undefined ? rows : rows.filter(({ hostname }) => bounds.seesHost(hostname)), id)
      const [only, ...others] = found
      if (only === undefined) continue
      if (others.length === 0) return only
      const candidates = found.slice(0, candidatesMax).map(referenceOf)
      throw new Problem('ambiguous_gpu', `${id} fits ${found.length} GPUs`, { candidates, fits: found.length })
    }
    throw new Problem('unknown_gpu', `there is no GPU ${id}`)
  }

  #read(filter: GpuFilter): Promise<FleetRows> {
    const read = async (store: StoreView) => {
      const rows = await store.gpus(filter)
      // Here and in the list: a fleet of 1,000 GPUs takes 80 ms from the store to the wire, and nobody else should wait for it all.
      await this.#nextTurn()
      return { rows, latest: await store.latest(filter), around: await aroundOf(store, filter, rows) }
    }
    return this.#reader.ask(read, { rows: [], latest: [], around: [] })
  }

  /** A page asks for the list, the hosts and the totals at once: the store is read for all of them together. */
  fleet(nowMs: number): Promise<FleetRows> {
    const last = this.#last
    if (last !== undefined && isFresh(last.atMs, nowMs, keepMs)) return last.rows
    const rows = this.#read({})
    this.#last = { atMs: nowMs, rows }
    // What failed is asked anew by the next one.
    rows.catch(() => (this.#last = undefined))
    return rows
  }
}

function rowsWithin({ rows, latest, around }: FleetRows, bounds: Bounds): FleetRows {
  const isOwn = ({ hostname }: { readonly hostname: string }) => bounds.seesHost(hostname)
  return {
    rows: rows.filter(isOwn),
    latest: latest.filter((row) => (row.kind === 'gpu' ? isOwn(row) : bounds.seesMetrics)),
    around: around.filter(isOwn),
  }
}

/** The GPUs beside those that a filter found, without which nobody can say that one of them is missing. */
async function aroundOf(
  store: Pick<StoreView, 'gpus'>,
  filter: GpuFilter,
  rows: readonly GpuRow[],
): Promise<readonly GpuRow[]> {
  if (filter.uuid === undefined && filter.namespace === undefined) return rows
  const hosts = [...new Set(rows.map(({ hostname }) => hostname))]
  if (hosts.length > hostsApartMax) return store.gpus()
  return (await Promise.all(hosts.map((hostname) => store.gpus({ hostname })))).flat()
}
