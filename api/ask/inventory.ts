/** GPUs with their newest values, read for all who ask at once; and the one GPU that an id means. */

import type { GpuFilter, GpuRow, LatestRow, Store } from '#store/store'
import { Problem } from '#wire/problems'
import type { Gpu, GpuList } from '../contract.ts'
import { gpusOf, matching, referenceOf, searchesFor, unitsOf } from './gpus.ts'
import { at } from './parameters.ts'
import type { StoreReader } from './reader.ts'
import { shared } from './shared.ts'

interface FleetRows {
  readonly rows: readonly GpuRow[]
  readonly latest: readonly LatestRow[]
}

/** How old an answer about the whole fleet may be: less than any source's interval. */
const keepMs = 500

/** Of an ambiguous id no more are named than a person would read. */
const candidatesMax = 100

export class Inventory {
  readonly #reader: StoreReader
  readonly #staleAfterMs: number
  #last: { readonly atMs: number; readonly rows: Promise<FleetRows>; list?: Promise<GpuList> } | undefined

  constructor(reader: StoreReader, staleAfterMs: number) {
    this.#reader = reader
    this.#staleAfterMs = staleAfterMs
  }

  /** GPUs with their newest values. */
  async gpus(filter: GpuFilter, nowMs: number): Promise<Gpu[]> {
    const isAll = Object.values(filter).every((value) => value === undefined)
    const { rows, latest } = await (isAll ? this.#wholeFleet(nowMs) : this.#read(filter))
    return gpusOf(rows, latest, { nowMs, staleAfterMs: this.#staleAfterMs })
  }

  /** All GPUs as an answer, made and written once for all who ask within {@link keepMs}: its `as_of` is when it was made. */
  async list(nowMs: number): Promise<GpuList> {
    const rows = this.#wholeFleet(nowMs)
    const last = this.#last
    if (last === undefined) throw new Error('the fleet was read and is not kept')
    last.list ??= rows.then(({ rows: inventory, latest }) => {
      const gpus = gpusOf(inventory, latest, { nowMs: last.atMs, staleAfterMs: this.#staleAfterMs })
      return shared({ as_of: at(last.atMs), units: unitsOf(gpus), gpus })
    })
    return last.list
  }

  /** @throws Problem `unknown_gpu`, `ambiguous_gpu` */
  async theGpu(id: string): Promise<GpuRow> {
    for (const filter of searchesFor(id)) {
      const found = matching(await this.#reader.ask((store) => store.gpus(filter), []), id)
      const [only, ...others] = found
      if (only === undefined) continue
      if (others.length === 0) return only
      const candidates = found.slice(0, candidatesMax).map(referenceOf)
      throw new Problem('ambiguous_gpu', `${id} fits ${found.length} GPUs`, { candidates, fits: found.length })
    }
    throw new Problem('unknown_gpu', `there is no GPU ${id}`)
  }

  #read(filter: GpuFilter): Promise<FleetRows> {
    const read = async (store: Store) => ({ rows: await store.gpus(filter), latest: await store.latest(filter) })
    return this.#reader.ask(read, { rows: [], latest: [] })
  }

  /** A page asks for the list, the hosts and the totals at once: the store is read for all of them together. */
  #wholeFleet(nowMs: number): Promise<FleetRows> {
    const last = this.#last
    if (last !== undefined && nowMs >= last.atMs && nowMs - last.atMs < keepMs) return last.rows
    const rows = this.#read({})
    this.#last = { atMs: nowMs, rows }
    // What failed is asked anew by the next one.
    rows.catch(() => (this.#last = undefined))
    return rows
  }
}
