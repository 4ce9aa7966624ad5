/**
 * Writes a batch: rows, inventory, newest values and ledger in one transaction. It is the hot half of the collector (a write
 * takes what `JSON.parse` of its records does; `npm run bench -- store`), so the loop over the records makes no
 * object and no text that it can do without.
 */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { type RefusedRecord, RefusedRecords } from '../errors.ts'
import { isSeriesLabel, sightedAttributes } from '../attributes.ts'
import { addCounts, type BatchPart, type Counts, type LedgerRow, noCounts, type WriteBatch } from '../store.ts'
import {
  addGpu,
  addSeries,
  attributesOf,
  attributeValues,
  type GpuState,
  gpuKey,
  hasAttributes,
  isNewer,
  type Known,
  logKey,
  plainSeries,
  type PointRecord,
  readKnown,
  type SeriesState,
} from './known.ts'
import { type Limits, refusalsOf, seriesKeyOf } from './limits.ts'
import { LateRows } from './late.ts'
import { MultiRow } from './multirow.ts'
import { noHolder, OwnerWriter } from './owners.ts'
import { hourS } from './rows.ts'
import type { Sealer } from './sealer.ts'
import { TransferWriter } from './transfers.ts'
import { Trimmer } from './trim.ts'
import type { GpuRecord, TelemetryRecord } from '#telemetry/record'
import { parseTime } from '#telemetry/time'

const pointColumns = 'INSERT INTO points (s, series, ns, value) VALUES'

export class Writer {
  readonly #db: DatabaseSync
  readonly #limits: Limits
  readonly #sealer: Sealer
  readonly #late: LateRows
  readonly #numbers: MultiRow
  readonly #nulls: MultiRow
  readonly #latest: MultiRow
  readonly #transfers: TransferWriter
  readonly #owners: OwnerWriter
  readonly #trimmer: Trimmer
  readonly #insertSeries: StatementSync
  readonly #insertGpu: StatementSync
  readonly #updateGpu: StatementSync
  readonly #upsertLedger: StatementSync
  /** `undefined` after a write that failed. */
  #known: Known | undefined
  readonly #touched: SeriesState[] = []
  #place = 0

  constructor(db: DatabaseSync, sealer: Sealer, limits: Limits) {
    this.#db = db
    this.#limits = limits
    this.#sealer = sealer
    this.#late = new LateRows(db, sealer)
    this.#known = readKnown(db)
    // Nearly every row is new, so the cheap statement comes first. It tells exactly how many were; only a chunk in which
    // some were not is run again, as an update.
    this.#numbers = new MultiRow(
      db,
      4,
      (values) => `${pointColumns} ${values} ON CONFLICT DO NOTHING`,
      (values) =>
        `${pointColumns} ${values} ON CONFLICT DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value`,
    )
    this.#nulls = new MultiRow(db, 4, (values) => `${pointColumns} ${values} ON CONFLICT DO NOTHING`)
    this.#latest = new MultiRow(
      db,
      6,
      (values) => `INSERT OR REPLACE INTO latest (series, first_s, first_ns, s, ns, value) VALUES ${values}`,
    )
    this.#transfers = new TransferWriter(db)
    this.#owners = new OwnerWriter(db)
    this.#trimmer = new Trimmer(db)
    this.#insertSeries = db.prepare('INSERT INTO series (id, key, metric, gpu, labels) VALUES (?, ?, ?, ?, ?)')
    const columns = sightedAttributes.join(', ')
    this.#insertGpu = db.prepare(
      `INSERT INTO gpus (id, uuid, gpu_i_id, ${columns}, labels) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#updateGpu = db.prepare(`UPDATE gpus SET (${columns}, labels) = (?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ? `)
    this.#upsertLedger = db.prepare(`
      INSERT OR REPLACE INTO ledger
      VALUES (:topic, :log_id, :broker, :partition, :next, :received, :stored, :duplicate, :not_reported, :dead)
    `)
  }

  /** @throws RefusedRecords, or what SQLite throws; then nothing of the batch is written */
  write(batch: WriteBatch, nowMs: number): Counts {
    const known = (this.#known ??= readKnown(this.#db))
    const parts = this.#taken(known, batch, nowMs)
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      let counts = noCounts
      for (const part of parts) {
        counts = addCounts(counts, this.#writePart(known, batch.topic, part, nowMs))
      }
      this.#writeInventory()
      this.#writeLatest()
      this.#db.exec('COMMIT')
      return counts
    } catch (error) {
      this.#known = undefined
      this.#touched.length = 0
      // SQLite has rolled back already after some errors, a full disk among them.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    } finally {
      this.#owners.forget()
      this.#late.forget()
    }
  }

  /**
   * Forgets a piece of what was last seen before `cutS`, once the rows are gone.
   *
   * @returns whether there is more
   */
  trim(cutS: number): boolean {
    return this.#trimmer.piece((this.#known ??= readKnown(this.#db)), cutS)
  }

  /** @throws RefusedRecords */
  #taken(known: Known, { topic, parts }: WriteBatch, nowMs: number): readonly BatchPart[] {
    const refusals = refusalsOf(
      parts.flatMap(({ records }) => records),
      this.#limits,
      known.series,
      nowMs,
    )
    if (refusals.size === 0) return parts
    const refused: RefusedRecord[] = []
    let first = 0
    const taken = parts.map((part) => {
      const { logId, offsets, records } = part
      const reasons = offsets.map((_, place) => refusals.get(first + place))
      first += records.length
      const settled = known.logs.get(logKey(topic, logId))?.next ?? 0
      for (const [place, offset] of offsets.entries()) {
        const reason = reasons[place]
        // What is settled went to the dead letters when it came first, or has become too old since.
        if (reason !== undefined && offset >= settled) refused.push({ logId, offset, reason })
      }
      const isTaken = (_: unknown, place: number): boolean => reasons[place] === undefined
      return { ...part, records: records.filter(isTaken), offsets: offsets.filter(isTaken) }
    })
    if (refused.length > 0) throw new RefusedRecords('embedded', refused)
    return taken
  }

  #writePart(known: Known, topic: string, part: BatchPart, nowMs: number): Counts {
    assertRising(part)
    const key = logKey(topic, part.logId)
    const log = known.logs.get(key)
    const settled = log?.next ?? 0
    const firstNew = part.offsets.findIndex((offset) => offset >= settled)
    const split = firstNew < 0 ? part.records.length : firstNew
    this.#writeRecords(known, part.records.slice(0, split), nowMs)
    const { stored, notReported } = this.#writeRecords(known, part.records.slice(split), nowMs)
    const written = part.records.length - split
    const dead = part.dead.filter((offset) => offset >= settled).length
    const counts: Counts = {
      received: written + dead,
      stored,
      duplicate: written - stored - notReported,
      not_reported: notReported,
      dead,
    }
    const sum = log === undefined ? counts : addCounts(log, counts)
    const row: LedgerRow = {
      topic,
      log_id: part.logId,
      broker: part.broker,
      partition: part.partition,
      next: log === undefined || part.next > log.next ? part.next : log.next,
      ...sum,
    }
    this.#upsertLedger.run({ ...row })
    known.logs.set(key, row)
    return counts
  }

  /** Says how many rows of each sort were new. */
  #writeRecords(
    known: Known,
    records: readonly TelemetryRecord[],
    nowMs: number,
  ): { stored: number; notReported: number } {
    let stored = 0
    let hour = -1
    let isSealed = false
    const ids: number[] = []
    const seconds: number[] = []
    const nanoseconds: number[] = []
    const values: number[] = []
    const numbers: number[] = []
    const nulls: number[] = []
    // Most records have the time of the one before.
    let time: string | undefined
    let s = 0
    let ns = 0
    for (const record of records) {
      if (record.time !== time) {
        const instant = parseTime((time = record.time))
        if (instant === undefined) throw new Error(`a record of time ${time} got past readRecord`)
        s = Math.floor(instant.ms / 1000)
        ns = (instant.ms - s * 1000) * 1_000_000 + instant.ns
      }
      if (record.kind === 'transfer') {
        if (this.#transfers.write(record, s, ns)) stored++
        continue
      }
      const ownHour = Math.floor(s / hourS)
      if (ownHour !== hour) {
        hour = ownHour
        this.#sealer.written(hour, nowMs)
        isSealed = this.#sealer.isSealed(hour)
      }
      const series = this.#seriesOf(known, record)
      const mayBeSealed = isSealed && !isNewer(s, ns, series)
      this.#sight(series, s, ns, record)
      if (series.gpu !== undefined) this.#owners.sight(series.gpu, record as GpuRecord, s, ns)
      if (mayBeSealed && this.#late.write(hour, series.id, s, ns, record.value)) continue
      const row = ids.push(series.id) - 1
      seconds.push(s)
      nanoseconds.push(ns)
      values.push(record.value ?? 0)
      ;(record.value === null ? nulls : numbers).push(row)
    }
    // In the order of the table, so that a page is visited once. Batches come nearly so: the sort is one pass. It is stable,
    // so of rows with one identity the one that arrived last is the last.
    const order = (a: number, b: number): number =>
      (seconds[a] as number) - (seconds[b] as number) ||
      (ids[a] as number) - (ids[b] as number) ||
      (nanoseconds[a] as number) - (nanoseconds[b] as number)
    const fill = (rows: readonly number[], reported: boolean) => (args: SQLInputValue[], at: number, place: number) => {
      const row = rows[place] as number
      args[at] = seconds[row] as number
      args[at + 1] = ids[row] as number
      args[at + 2] = nanoseconds[row] as number
      args[at + 3] = reported ? (values[row] as number) : null
    }
    stored += this.#numbers.run(numbers.length, fill(numbers.sort(order), true))
    const notReported = this.#nulls.run(nulls.length, fill(nulls.sort(order), false))
    return { stored, notReported }
  }

  #seriesOf(known: Known, record: PointRecord): SeriesState {
    const plain = record.kind === 'gpu' ? plainSeries(known, record) : undefined
    if (plain !== undefined) return plain
    const key = seriesKeyOf(record)
    const found = known.series.get(key)
    if (found !== undefined) return found
    const gpu = record.kind === 'gpu' ? this.#gpuOf(known, record) : undefined
    const labels = record.kind === 'gpu' ? seriesLabelsOf(record) : record.tags
    const id = known.nextSeriesId++
    const labelText = JSON.stringify(labels)
    this.#insertSeries.run(id, key, record.metric, gpu?.id ?? null, labelText)
    const series: SeriesState = {
      id,
      gpu,
      firstS: Infinity,
      firstNs: 0,
      s: -1,
      ns: 0,
      value: null,
      touched: false,
      newest: undefined,
      newestPlace: 0,
    }
    addSeries(known, key, record.metric, labelText === '{}', series)
    return series
  }

  #gpuOf(known: Known, record: GpuRecord): GpuState {
    const key = gpuKey(record)
    const found = known.gpus.get(key)
    if (found !== undefined) return found
    const attributes = attributesOf(record)
    const gpu: GpuState = { id: known.nextGpuId++, attributes, s: -1, ns: 0, holder: noHolder(), plain: new Map() }
    this.#insertGpu.run(gpu.id, record.uuid, record.gpu_i_id ?? '', ...attributeValues(gpu.attributes))
    addGpu(known, record, gpu)
    return gpu
  }

  /** Takes a record into the series' first and newest time. */
  #sight(series: SeriesState, s: number, ns: number, record: PointRecord): void {
    if (s < series.firstS || (s === series.firstS && ns < series.firstNs)) {
      series.firstS = s
      series.firstNs = ns
      this.#touch(series)
    }
    if (isNewer(s, ns, series)) {
      series.s = s
      series.ns = ns
      series.value = record.value
    } else if (s === series.s && ns === series.ns) {
      series.value = record.value ?? series.value
    } else return
    series.newest = record
    series.newestPlace = this.#place++
    this.#touch(series)
  }

  #touch(series: SeriesState): void {
    if (series.touched) return
    series.touched = true
    this.#touched.push(series)
  }

  /** Attributes are those of the GPU's newest sighting, so late rows leave them alone. */
  #writeInventory(): void {
    const sighted = new Map<GpuState, SeriesState>()
    for (const series of this.#touched) {
      const { gpu } = series
      if (gpu === undefined || series.newest === undefined || isNewer(gpu.s, gpu.ns, series)) continue
      const rival = sighted.get(gpu)
      if (rival === undefined || isLaterSighting(series, rival)) sighted.set(gpu, series)
    }
    for (const [gpu, series] of sighted) {
      gpu.s = series.s
      gpu.ns = series.ns
      const newest = series.newest as GpuRecord
      if (hasAttributes(newest, gpu.attributes)) continue
      gpu.attributes = attributesOf(newest)
      this.#updateGpu.run(...attributeValues(gpu.attributes), gpu.id)
    }
  }

  #writeLatest(): void {
    const touched = this.#touched.sort((a, b) => a.id - b.id)
    this.#latest.run(touched.length, (args, at, row) => {
      const series = touched[row] as SeriesState
      args[at] = series.id
      args[at + 1] = series.firstS
      args[at + 2] = series.firstNs
      args[at + 3] = series.s
      args[at + 4] = series.ns
      args[at + 5] = series.value
    })
    for (const series of touched) {
      series.touched = false
      series.newest = undefined
    }
    touched.length = 0
  }
}

/** The ledger rests on the order of a log: what is below its next offset is settled. */
function assertRising({ records, offsets, next }: BatchPart): void {
  if (records.length !== offsets.length) throw new Error(`${records.length} records with ${offsets.length} offsets`)
  let above = -1
  for (const offset of offsets) {
    if (offset <= above || offset >= next)
      throw new Error(`offset ${offset} after ${above}, in a part that ends at ${next}`)
    above = offset
  }
}

function seriesLabelsOf(record: GpuRecord): Record<string, string> {
  return Object.fromEntries(Object.entries(record.labels).filter(([name, text]) => isSeriesLabel(name) && text !== ''))
}

function isLaterSighting(a: SeriesState, b: SeriesState): boolean {
  return isNewer(a.s, a.ns, b) || (!isNewer(b.s, b.ns, a) && a.newestPlace > b.newestPlace)
}
