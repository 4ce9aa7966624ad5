/**
 * GPUs and series as lists need them, kept from read to read: they change seldom, and reading them takes ten times as long
 * as reading the newest values. Triggers count their changes, and a new series has a higher id than all others; so a glance tells whether what is kept still holds,
 * whichever process wrote.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { GpuAttributes, GpuFilter } from '../store.ts'
import { gpuTexts, gpuOrder } from './where.ts'
import type { Labels } from '#telemetry/record'

export interface ListedGpu {
  readonly id: number
  readonly attributes: GpuAttributes
  readonly labels: Labels
}

export interface ListedSeries {
  /** Its place among all of its list, whatever the order. */
  readonly place: number
  readonly metric: string
  readonly labels: Labels
}

/** Series by the GPU that they belong to; `null`: to none. */
export interface SeriesList {
  /** Of each GPU by metric and labels. */
  readonly byGpu: ReadonlyMap<number | null, readonly ListedSeries[]>
  /** The place of each by its id. */
  readonly places: ReadonlyMap<number, number>
}

/** Ask it within a read transaction, and use the answer within the same one. */
export class Directory {
  readonly #db: DatabaseSync
  /** Prepared at the first use: a reader may be there before the writer has made the tables. */
  #changes: StatementSync | undefined
  #gpus: { readonly version: string; readonly all: readonly ListedGpu[] } | undefined
  #series: { readonly version: string; readonly lists: Map<string | undefined, SeriesList> } | undefined

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** By host, then by the number that the index is. */
  gpus(): readonly ListedGpu[] {
    const version = this.#version('gpus')
    if (this.#gpus?.version !== version) this.#gpus = { version, all: readListedGpus(this.#db) }
    return this.#gpus.all
  }

  /** Those that the filter is for, in the same order. */
  gpusOf({ hostname, uuid, namespace }: GpuFilter): readonly ListedGpu[] {
    const all = this.gpus()
    if (hostname === undefined && uuid === undefined && namespace === undefined) return all
    return all.filter(
      ({ attributes }) =>
        (hostname === undefined || attributes.hostname === hostname) &&
        (uuid === undefined || attributes.uuid === uuid) &&
        (namespace === undefined || attributes.namespace === namespace),
    )
  }

  /** Of one metric, or of all. */
  series(metric?: string): SeriesList {
    const version = this.#version('series')
    if (this.#series?.version !== version) this.#series = { version, lists: new Map() }
    const { lists } = this.#series
    let list = lists.get(metric)
    if (list === undefined) {
      list = readSeriesList(this.#db, metric)
      // A metric that nobody has is not worth keeping: whoever asks may make up any number of names.
      if (list.places.size > 0) lists.set(metric, list)
    }
    return list
  }

  #version(of: 'gpus' | 'series'): string {
    this.#changes ??= this.#db.prepare(`
      SELECT CAST(gpus AS TEXT) AS gpus, series || ' ' || (SELECT coalesce(max(id), 0) FROM series) AS series FROM changes
    `)
    return this.#changes.get()?.[of] as string
  }
}

function readListedGpus(db: DatabaseSync): ListedGpu[] {
  const rows = db.prepare(`SELECT g.id, g.labels, ${gpuTexts} FROM gpus g ORDER BY ${gpuOrder}`)
  rows.setReturnArrays(true)
  const labelsOf = remembering((text: string) => JSON.parse(text) as Labels)
  return (rows.all() as unknown as GpuColumns[]).map(([id, labels, ...texts]) => {
    const [uuid, gpu_i_id, hostname, gpu_id, device_id, model_name, container, pod, namespace] = texts
    const attributes = { uuid, gpu_i_id, hostname, gpu_id, device_id, model_name, container, pod, namespace }
    return { id, attributes, labels: labelsOf(labels) }
  })
}

function readSeriesList(db: DatabaseSync, metric: string | undefined): SeriesList {
  const where = metric === undefined ? '' : 'WHERE metric = ?'
  const rows = db.prepare(`SELECT id, gpu, metric, labels FROM series ${where} ORDER BY metric, gpu, key`)
  rows.setReturnArrays(true)
  // One text and one object for all series that have the same ones.
  const nameOf = remembering((text: string) => text)
  const labelsOf = remembering((text: string) => JSON.parse(text) as Labels)
  const byGpu = new Map<number | null, ListedSeries[]>()
  const places = new Map<number, number>()
  const all = rows.all(...(metric === undefined ? [] : [metric])) as unknown as SeriesColumns[]
  for (const [place, [id, gpu, name, labels]] of all.entries()) {
    const series = { place, metric: nameOf(name), labels: labelsOf(labels) }
    const own = byGpu.get(gpu)
    if (own === undefined) byGpu.set(gpu, [series])
    else own.push(series)
    places.set(id, place)
  }
  return { byGpu, places }
}

/** Makes a thing of a text once. */
export function remembering<T>(make: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return (text) => {
    let value = known.get(text)
    if (value === undefined) known.set(text, (value = make(text)))
    return value
  }
}

type Nine<T> = [T, T, T, T, T, T, T, T, T]
type GpuColumns = [id: number, labels: string, ...texts: Nine<string>]
type SeriesColumns = [id: number, gpu: number | null, metric: string, labels: string]
