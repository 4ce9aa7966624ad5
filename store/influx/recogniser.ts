/** Finds the series of each point: by memory, or by asking the database for those that are not remembered. */

import { StoreError } from '../errors.ts'
import type { Instant } from '#telemetry/time'
import { readOwnerChanges, readStates } from './inventory.ts'
import { gpuTags, headBytesMax, headOf, longTexts, metricTags, textOfTag } from './lines.ts'
import { namesMax, readNewest } from './lookup.ts'
import {
  before,
  gpuKeyOf,
  type GpuState,
  isBefore,
  Memory,
  type PointRecord,
  seriesKeyOf,
  type SeriesState,
  Sightings,
} from './memory.ts'
import type { Databases } from './schema.ts'
import { type Newcomer, SeriesLimit } from './serieslimit.ts'
import type { Server } from './server.ts'
import { textLines } from './texts.ts'

/** A point on its way. */
export interface PointItem {
  readonly record: PointRecord
  readonly at: Instant
  /** Whether it was taken before, and comes again. */
  readonly isSettled: boolean
}

/** A point and the series that it belongs to. */
export type Placed<Item extends PointItem> = readonly [Item, SeriesState]

export class Recogniser {
  readonly #server: Server
  readonly #databases: Databases
  readonly #memory = new Memory()
  readonly #limit: SeriesLimit
  /** Texts of the series that this write met first. */
  #texts = new Set<string>()

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

  /** All of the write is in the database. */
  commit(): void {
    this.#texts.clear()
  }

  textLines(): string[] {
    return textLines(this.#texts)
  }

  /**
   * The points with their series; those that were taken once, and would not be taken now, are left out.
   *
   * @throws StoreError code `refused`
   */
  async place<Item extends PointItem>(items: readonly Item[]): Promise<Placed<Item>[]> {
    const { series } = this.#memory
    const keyed = items.map((item) => ({ item, key: seriesKeyOf(item.record) }))
    const unknown = keyed.filter(({ key }) => !series.has(key))
    if (unknown.length > 0) await this.#learn(unknown)
    const placed = keyed.flatMap(({ item, key }): Placed<Item>[] => {
      const state = series.get(key)
      return state === undefined ? [] : [[item, state]]
    })
    await this.#completeOwners(placed)
    return placed
  }

  async #learn(unknown: readonly { readonly item: PointItem; readonly key: string }[]): Promise<void> {
    const first = new Map<string, PointItem>()
    let from: Instant | undefined
    for (const { item, key } of unknown) {
      if (!first.has(key)) first.set(key, item)
      if (from === undefined || isBefore(item.at, from)) from = item.at
    }
    const since = from as Instant
    const met = new Map([...first].map(([key, item]) => [key, { item, ...this.#seriesOf(item) }]))
    const records = [...first.values()].map(({ record }) => record)
    const uuids = new Set(records.flatMap((record) => (record.kind === 'gpu' ? [record.uuid] : [])))
    const [newest, states] = await Promise.all([
      readNewest(this.#server, this.#databases.data, records, since),
      uuids.size === 0
        ? []
        : readStates(this.#server, this.#databases.state, uuids.size > namesMax ? undefined : [...uuids]),
    ])
    const newcomers = [...met.values()].filter(({ head }) => !newest.has(head))
    const tooMany = await this.#limit.refuse(newcomers)
    const learnt = this.#gpusOf(states, newest.values())
    for (const [key, { item, head }] of met) {
      if (tooMany.has(head)) {
        if (item.isSettled) continue
        const { record } = item
        const what = `${record.metric}${record.kind === 'gpu' ? ` of ${record.uuid}` : ''}`
        throw new StoreError(
          'refused',
          `${what} is a new series, and there are SERIES_MAX of them: raise it, or drop labels`,
        )
      }
      const row = newest.get(head)
      for (const text of longTexts(item.record, !this.#server.dialect.takesTags).values()) this.#texts.add(text)
      this.#memory.series.set(key, {
        head,
        gpu: item.record.kind === 'gpu' ? this.#gpuOf(item.record, learnt) : undefined,
        newest: row?.at ?? before(since),
        hasValue: row?.hasValue,
      })
    }
  }

  #seriesOf({ record }: PointItem): Newcomer {
    const tags = record.kind === 'gpu' ? gpuTags(record) : metricTags(record, !this.#server.dialect.takesTags)
    const head = headOf(record.kind, tags)
    const bytes = Buffer.byteLength(head)
    if (bytes <= headBytesMax) return { measurement: record.kind, tags, head }
    throw new StoreError('refused', `the tags of ${record.metric} take ${bytes} bytes: want at most ${headBytesMax}`)
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
    const state = this.#memory.gpus.get(key) ??
      learnt.get(key) ?? { uuid, gpu_i_id, attributes: '', seen: undefined, owners: [], isWhole: true }
    this.#memory.gpus.set(key, state)
    return state
  }

  /** Reads all changes of owner of the GPUs that have a point from before those that are remembered. */
  async #completeOwners(placed: readonly Placed<PointItem>[]): Promise<void> {
    const lacking = new Set<GpuState>()
    for (const [{ at }, { gpu }] of placed) if (gpu !== undefined && Sightings.isBeyond(gpu, at)) lacking.add(gpu)
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
