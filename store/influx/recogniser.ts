/** Finds the series of each point: by memory, or by asking the database for those that are not remembered. */

import type { Instant } from '#telemetry/time'
import { readOwnerChanges, readStates } from './inventory.ts'
import { gpuTags, headBytesMax, headOf, longTexts, metricTags, textOfTag } from './lines.ts'
import { namesMax, readNewest } from './lookup.ts'
import {
  before,
  gpuKeyOf,
  type GpuState,
  isBefore,
  isLike,
  Memory,
  newGpu,
  type PointRecord,
  seriesKeyOf,
  type SeriesState,
  Sightings,
} from './memory.ts'
import type { Databases } from './schema.ts'
import type { Delivered, Refusals } from './refusals.ts'
import { type Newcomer, SeriesLimit } from './serieslimit.ts'
import type { Server } from './server.ts'

/** A point on its way. */
export interface PointItem extends Delivered {
  readonly record: PointRecord
  readonly at: Instant
  state: SeriesState | undefined
}

/** A point of which the series is known. */
export type Placed<Item extends PointItem> = Item & { readonly state: SeriesState }

export class Recogniser {
  readonly #server: Server
  readonly #databases: Databases
  readonly #memory = new Memory()
  readonly #limit: SeriesLimit
  /** Texts of series that were met, until they are written. */
  readonly #texts = new Set<string>()
  /** Series are learnt one write after the other: of each there must be one state. */
  #learning: Promise<unknown> = Promise.resolve()

  constructor(server: Server, databases: Databases, seriesMax: number) {
    this.#server = server
    this.#databases = databases
    this.#limit = new SeriesLimit(server, databases.data, seriesMax)
  }

  /** What is remembered may be wrong: it is asked for again. */
  forget(): void {
    this.#memory.forget()
    this.#texts.clear()
  }

  /** Texts that a write is to write with its own. */
  get texts(): readonly string[] {
    return [...this.#texts]
  }

  /** These texts are in the database. */
  commit(texts: readonly string[]): void {
    for (const text of texts) this.#texts.delete(text)
  }

  /** The points with their series; those that get none are put to the refusals. */
  async place<Item extends PointItem>(items: readonly Item[], refusals: Refusals): Promise<Placed<Item>[]> {
    const unknown: Item[] = []
    // A log has its series in the same order at each moment, and no key is made of a record whose series can be guessed.
    let last: SeriesState | undefined
    for (const item of items) {
      const { record } = item
      const guess = last?.next
      const state = guess !== undefined && isLike(record, guess) ? guess : this.#known(record)
      item.state = state
      if (state === undefined) unknown.push(item)
      else {
        state.like = record
        if (last !== undefined && last.next !== state) last.next = state
      }
      last = state
    }
    if (unknown.length === 0) return items as Placed<Item>[]
    // Another write may have learnt some of them meanwhile.
    const lacking = (): { item: Item; key: string }[] =>
      unknown.flatMap((item) => {
        const key = seriesKeyOf(item.record)
        return this.#memory.series.has(key) ? [] : [{ item, key }]
      })
    const learnt = this.#learning.then(() => this.#learn(lacking()))
    this.#learning = learnt.catch(() => undefined)
    const troubles = await learnt
    for (const item of unknown) {
      item.state = this.#known(item.record)
      if (item.state === undefined) refusals.add(item, troubles.get(seriesKeyOf(item.record)) ?? '')
    }
    return items.filter((item) => item.state !== undefined) as Placed<Item>[]
  }

  #known(record: PointRecord): SeriesState | undefined {
    return this.#memory.series.get(seriesKeyOf(record))
  }

  /** @returns what is wrong with those of the series that cannot be taken, by key */
  async #learn(unknown: readonly { readonly item: PointItem; readonly key: string }[]): Promise<Map<string, string>> {
    const troubles = new Map<string, string>()
    const first = new Map<string, PointItem>()
    for (const { item, key } of unknown) if (!first.has(key)) first.set(key, item)
    const met = new Map<string, Newcomer & { readonly record: PointRecord }>()
    for (const [key, { record }] of first) {
      const newcomer = this.#seriesOf(record)
      const bytes = Buffer.byteLength(newcomer.head)
      if (bytes <= headBytesMax) met.set(key, { ...newcomer, record })
      else troubles.set(key, `its tags take ${bytes} bytes: want at most ${headBytesMax}`)
    }
    if (met.size === 0) return troubles
    const since = unknown.map(({ item }) => item.at).reduce((a, b) => (isBefore(b, a) ? b : a))
    const records = [...met.values()].map(({ record }) => record)
    const uuids = new Set(records.flatMap((record) => (record.kind === 'gpu' ? [record.uuid] : [])))
    const [newest, states] = await Promise.all([
      readNewest(this.#server, this.#databases.data, records, since),
      uuids.size === 0
        ? []
        : readStates(this.#server, this.#databases.state, uuids.size > namesMax ? undefined : [...uuids]),
    ])
    const tooMany = await this.#limit.refuse([...met.values()].filter(({ head }) => !newest.has(head)))
    const learnt = this.#gpusOf(states, newest.values())
    for (const [key, { record, head }] of met) {
      if (tooMany.has(head)) {
        troubles.set(key, `it begins a new series, and there are ${this.#limit.max} already: raise SERIES_MAX`)
        continue
      }
      const row = newest.get(head)
      for (const text of longTexts(record, !this.#server.dialect.takesTags).values()) this.#texts.add(text)
      this.#memory.series.set(key, {
        head,
        gpu: record.kind === 'gpu' ? this.#gpuOf(record, learnt) : undefined,
        newest: row?.at ?? before(since),
        hasValue: row?.hasValue,
        row: undefined,
        like: record,
        next: undefined,
        claim: undefined,
      })
    }
    return troubles
  }

  #seriesOf(record: PointRecord): Newcomer {
    const tags = record.kind === 'gpu' ? gpuTags(record) : metricTags(record, !this.#server.dialect.takesTags)
    return { measurement: record.kind, tags, head: headOf(record.kind, tags) }
  }

  /** GPUs as the database has them, by key; a row may be newer than the sighting that changed the attributes. */
  #gpusOf(states: readonly GpuState[], newest: Iterable<{ readonly at: Instant; readonly tags: GpuTags }>) {
    const gpus = new Map(states.map((state) => [gpuKeyOf(state), state]))
    for (const { at, tags } of newest) {
      const { uuid = '', gpu_i_id = '' } = tags
      const gpu = gpus.get(
        gpuKeyOf({ uuid: textOfTag(uuid) ?? '', gpu_i_id: gpu_i_id === '' ? '' : (textOfTag(gpu_i_id) ?? '') }),
      )
      if (gpu !== undefined && (gpu.seen === undefined || isBefore(gpu.seen, at))) gpu.seen = at
    }
    return gpus
  }

  #gpuOf(
    record: { readonly uuid: string; readonly gpu_i_id?: string },
    learnt: ReadonlyMap<string, GpuState>,
  ): GpuState {
    const key = gpuKeyOf(record)
    const { uuid, gpu_i_id = '' } = record
    const state = this.#memory.gpus.get(key) ?? learnt.get(key) ?? newGpu(uuid, gpu_i_id)
    this.#memory.gpus.set(key, state)
    return state
  }

  /** Reads all changes of owner of the GPUs that have a point from before those that are remembered. */
  async completeOwners(placed: readonly Placed<PointItem>[]): Promise<void> {
    const lacking = new Set<GpuState>()
    for (const { at, state } of placed)
      if (state.gpu !== undefined && Sightings.isBeyond(state.gpu, at)) lacking.add(state.gpu)
    if (lacking.size === 0) return
    const all = await readOwnerChanges(
      this.#server,
      this.#databases.state,
      [...lacking].map(({ uuid }) => uuid),
    )
    const changes = new Map(all.map(({ gpu, changes }) => [gpuKeyOf(gpu), changes]))
    for (const gpu of lacking) {
      gpu.owners = changes.get(gpuKeyOf(gpu)) ?? []
      gpu.isWhole = true
    }
  }
}

type GpuTags = Readonly<{ uuid?: string; gpu_i_id?: string }>
