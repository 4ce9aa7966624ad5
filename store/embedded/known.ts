/**
 * What the writer keeps in memory of what the file holds: series and their newest value, GPUs and their attributes, where
 * each log is settled. It is read when the store opens, and again after a write that failed, since it may then be ahead.
 */

import type { DatabaseSync } from 'node:sqlite'
import { gpuLabels, isSeriesLabel, sightedAttributes } from '../attributes.ts'
import type { LedgerRow } from '../store.ts'
import { type Holder, noHolder, readHolders } from './owners.ts'
import type { GpuRecord, Labels, MetricRecord } from '#telemetry/record'

/** A value of a series, as the writer handles it: all but transfers. */
export type PointRecord = GpuRecord | MetricRecord

export interface GpuState {
  readonly id: number
  /** What its newest sighting said. */
  attributes: Attributes
  /** When that was: whole seconds since 1970, and nanoseconds. */
  s: number
  ns: number
  readonly holder: Holder
  /**
   * Its series that are told apart by the metric alone, which most are, so that finding one needs no key to be put together:
   * that took a quarter of a write.
   */
  readonly plain: Map<string, SeriesState>
}

export interface SeriesState {
  readonly id: number
  readonly gpu: GpuState | undefined
  firstS: number
  firstNs: number
  /** Its newest row. */
  s: number
  ns: number
  value: number | null
  /** Whether this write changed one of the above. */
  touched: boolean
  /** The record that this write made the newest, and its place among the records of the write. */
  newest: PointRecord | undefined
  newestPlace: number
}

export interface Known {
  readonly series: Map<string, SeriesState>
  readonly gpus: Map<string, GpuState>
  /** Those that are not sliced, by uuid. */
  readonly whole: Map<string, GpuState>
  readonly logs: Map<string, LedgerRow>
  nextSeriesId: number
  nextGpuId: number
}

export function readKnown(db: DatabaseSync): Known {
  const known: Known = {
    series: new Map(),
    gpus: new Map(),
    whole: new Map(),
    logs: new Map(),
    nextSeriesId: 1,
    nextGpuId: 1,
  }
  const gpuById = new Map<number, GpuState>()
  const holders = readHolders(db)
  for (const row of db.prepare('SELECT * FROM gpus').iterate() as Iterable<Record<string, string>>) {
    const id = Number(row.id)
    const holder = { ...noHolder(), ...holders.get(id) }
    const gpu = { id, attributes: storedAttributes(row), s: -1, ns: 0, holder, plain: new Map() }
    gpuById.set(gpu.id, gpu)
    addGpu(known, row as { uuid: string; gpu_i_id: string }, gpu)
    known.nextGpuId = Math.max(known.nextGpuId, gpu.id + 1)
  }
  for (const row of db.prepare('SELECT * FROM series JOIN latest ON series = id').iterate() as Iterable<SeriesRow>) {
    const gpu = row.gpu === null ? undefined : gpuById.get(row.gpu)
    if (gpu !== undefined && isNewer(row.s, row.ns, gpu)) Object.assign(gpu, { s: row.s, ns: row.ns })
    addSeries(known, row.key, row.metric, row.labels === '{}', {
      id: row.id,
      gpu,
      firstS: row.first_s,
      firstNs: row.first_ns,
      s: row.s,
      ns: row.ns,
      value: row.value,
      touched: false,
      newest: undefined,
      newestPlace: 0,
    })
    known.nextSeriesId = Math.max(known.nextSeriesId, row.id + 1)
  }
  for (const { holder, s, ns } of gpuById.values()) Object.assign(holder, { seenS: s, seenNs: ns })
  for (const row of readLedger(db)) known.logs.set(logKey(row.topic, row.log_id), row)
  return known
}

export function addGpu(known: Known, { uuid, gpu_i_id }: Pick<GpuRecord, 'uuid' | 'gpu_i_id'>, gpu: GpuState): void {
  known.gpus.set(gpuKey({ uuid, gpu_i_id: gpu_i_id ?? '' }), gpu)
  if ((gpu_i_id ?? '') === '') known.whole.set(uuid, gpu)
}

/** @param isPlain whether no label makes it a series of its own */
export function addSeries(known: Known, key: string, metric: string, isPlain: boolean, series: SeriesState): void {
  known.series.set(key, series)
  if (isPlain) series.gpu?.plain.set(metric, series)
}

/** The series of the record, if it is told apart by GPU and metric alone and there is one. */
export function plainSeries(known: Known, record: GpuRecord): SeriesState | undefined {
  if (record.gpu_i_id !== undefined && record.gpu_i_id !== '') return undefined
  const { labels } = record
  for (const name in labels) if (isSeriesLabel(name) && labels[name] !== '') return undefined
  return known.whole.get(record.uuid)?.plain.get(record.metric)
}

export function readLedger(db: DatabaseSync): LedgerRow[] {
  return db.prepare('SELECT * FROM ledger ORDER BY topic, partition, broker, log_id').all() as unknown as LedgerRow[]
}

export function logKey(topic: string, logId: string): string {
  return `${topic}\0${logId}`
}

/** Slices of one GPU share its uuid, and each is a row of the inventory. */
export function gpuKey(record: Pick<GpuRecord, 'uuid' | 'gpu_i_id'>): string {
  return `${record.uuid}\0${record.gpu_i_id ?? ''}`
}

/** What a sighting says of a GPU: {@link sightedAttributes}, and the labels that make no series of their own. */
export type Attributes = Readonly<Record<(typeof sightedAttributes)[number], string>> & { readonly labels: Labels }

export function attributesOf(record: GpuRecord): Attributes {
  const { hostname, gpu_id, device_id, model_name, container, pod, namespace } = record
  const labels = gpuLabels(record.labels)
  return { hostname, gpu_id, device_id, model_name, container, pod, namespace, labels }
}

/** Whether {@link attributesOf} of the record would say the same; makes nothing, as it is asked of each GPU in each batch. */
export function hasAttributes(record: GpuRecord, attributes: Attributes): boolean {
  return (
    record.hostname === attributes.hostname &&
    record.pod === attributes.pod &&
    record.namespace === attributes.namespace &&
    record.container === attributes.container &&
    record.gpu_id === attributes.gpu_id &&
    record.device_id === attributes.device_id &&
    record.model_name === attributes.model_name &&
    hasLabels(record.labels, attributes.labels)
  )
}

function hasLabels(given: Labels, known: Labels): boolean {
  let missing = 0
  for (const _ in known) missing++
  for (const name in given) {
    if (isSeriesLabel(name)) continue
    if (known[name] !== given[name]) return false
    missing--
  }
  return missing === 0
}

/** In the order of {@link sightedAttributes}, the labels behind them. */
export function attributeValues(attributes: Attributes): string[] {
  return [...sightedAttributes.map((name) => attributes[name]), JSON.stringify(attributes.labels)]
}

function storedAttributes(row: Record<string, string>): Attributes {
  return { ...(row as unknown as Attributes), labels: JSON.parse(row.labels as string) as Labels }
}

export function isNewer(s: number, ns: number, than: { readonly s: number; readonly ns: number }): boolean {
  return s > than.s || (s === than.s && ns > than.ns)
}

interface SeriesRow {
  readonly id: number
  readonly key: string
  readonly metric: string
  readonly labels: string
  readonly gpu: number | null
  readonly first_s: number
  readonly first_ns: number
  readonly s: number
  readonly ns: number
  readonly value: number | null
}
