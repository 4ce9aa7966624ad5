/**
 * What the writer keeps in memory of what the file holds: series and their newest value, GPUs and their attributes, where
 * each log is settled. It is read when the store opens, and again after a write that failed, since it may then be ahead.
 */

import type { DatabaseSync } from 'node:sqlite'
import type { LedgerRow } from '../store.ts'
import { type Holder, noHolder, readHolders } from './owners.ts'
import type { GpuRecord, Labels, MetricRecord } from '#telemetry/record'
import { seriesLabels } from '#telemetry/identity'

/** A value of a series, as the writer handles it: all but transfers. */
export type PointRecord = GpuRecord | MetricRecord

export interface GpuState {
  readonly id: number
  /** What its newest sighting said, as {@link attributesOf} writes it. */
  attributes: string
  /** When that was: whole seconds since 1970, and nanoseconds. */
  s: number
  ns: number
  readonly holder: Holder
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
  readonly logs: Map<string, LedgerRow>
  nextSeriesId: number
  nextGpuId: number
}

export function readKnown(db: DatabaseSync): Known {
  const known: Known = { series: new Map(), gpus: new Map(), logs: new Map(), nextSeriesId: 1, nextGpuId: 1 }
  const gpuById = new Map<number, GpuState>()
  const holders = readHolders(db)
  for (const row of db.prepare('SELECT * FROM gpus').iterate() as Iterable<Record<string, string>>) {
    const id = Number(row.id)
    const holder = { ...noHolder(), ...holders.get(id) }
    const gpu = { id, attributes: storedAttributes(row), s: -1, ns: 0, holder }
    gpuById.set(gpu.id, gpu)
    known.gpus.set(gpuKey(row as unknown as GpuRecord), gpu)
    known.nextGpuId = Math.max(known.nextGpuId, gpu.id + 1)
  }
  for (const row of db.prepare('SELECT * FROM series JOIN latest ON series = id').iterate() as Iterable<SeriesRow>) {
    const gpu = row.gpu === null ? undefined : gpuById.get(row.gpu)
    if (gpu !== undefined && isNewer(row.s, row.ns, gpu)) Object.assign(gpu, { s: row.s, ns: row.ns })
    known.series.set(row.key, {
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

/** The columns of `gpus` that a sighting sets, besides the labels. */
export const attributeColumns = [
  'hostname',
  'gpu_id',
  'device_id',
  'model_name',
  'container',
  'pod',
  'namespace',
] as const

/** The attributes as one text that is equal when all of them are: a JSON list in the order of the columns, labels last. */
export function attributesOf(record: GpuRecord): string {
  return JSON.stringify([...attributeColumns.map((name) => record[name]), gpuLabels(record.labels)])
}

function storedAttributes(row: Record<string, string>): string {
  return JSON.stringify([...attributeColumns.map((name) => row[name]), JSON.parse(row.labels as string)])
}

/** The labels that describe the GPU; those that make a series of its own describe the series. Sorted by name. */
function gpuLabels(labels: Labels): Labels {
  const names = Object.keys(labels).filter((name) => !isSeriesLabel(name))
  return Object.fromEntries(names.sort().map((name) => [name, labels[name] as string]))
}

export function isSeriesLabel(name: string): boolean {
  return (seriesLabels as readonly string[]).includes(name)
}

export function isNewer(s: number, ns: number, than: { readonly s: number; readonly ns: number }): boolean {
  return s > than.s || (s === than.s && ns > than.ns)
}

interface SeriesRow {
  readonly id: number
  readonly key: string
  readonly gpu: number | null
  readonly first_s: number
  readonly first_ns: number
  readonly s: number
  readonly ns: number
  readonly value: number | null
}
