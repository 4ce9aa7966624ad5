import { statSync } from 'node:fs'
import { type Counts, type Store, type Totals, totalsOf, type WriteBatch } from '../store.ts'
import type { AcrossQuery, GpuFilter, LatestFilter, OwnerQuery, RangeQuery, TransferQuery } from '../store.ts'
import type { TransferSumQuery } from '../transfer-sums.ts'
import { StoreError } from '../errors.ts'
import { gpusAt } from '../past.ts'
import { type Database, guarded, openDatabase, type OpenOptions } from './database.ts'
import { countRows } from './count.ts'
import { Directory } from './directory.ts'
import { readLedger } from './known.ts'
import * as inventory from './inventory.ts'
import type { Limits } from './limits.ts'
import { readOwners } from './owners.ts'
import { readLatestAt } from './past.ts'
import { readAcross, readRange } from './ranges.ts'
import { freePages, removeOld } from './retention.ts'
import { Sealer } from './sealer.ts'
import { readTransferSums } from './transfer-sums.ts'
import { readSites, readTransfers } from './transfers.ts'
import { Writer } from './writer.ts'
import { type Clock, systemClock } from '#lib/clock'

export interface EmbeddedOptions extends OpenOptions, Partial<Limits> {
  /** What retention is measured by. */
  readonly clock?: Clock
}

/**
 * The engine of `penstock up`: one SQLite file, one writer, any number of readers in other processes.
 *
 * It runs in the thread that calls it: handing the records to another thread would cost more than half of the write again
 * (docs/decisions/051-store-in-the-callers-thread.md). The promises are there for engines that sit behind a network.
 */
export class EmbeddedStore implements Store {
  readonly engine = 'embedded'
  readonly #database: Database
  readonly #writer: Writer | undefined
  readonly #sealer: Sealer | undefined
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #directory: Directory

  /** @throws StoreError */
  static async open(path: string, options: EmbeddedOptions = {}): Promise<EmbeddedStore> {
    const { retentionMs = 0, seriesMax = Infinity, clock = systemClock } = options
    const limits = { retentionMs, seriesMax }
    const database = openDatabase(path, options)
    try {
      const isReader = options.readOnly === true
      const sealer = isReader ? undefined : guarded(path, () => new Sealer(database.db, clock))
      const writer = sealer && guarded(path, () => new Writer(database.db, sealer, limits))
      return new EmbeddedStore(database, sealer, writer, limits, clock)
    } catch (error) {
      database.close()
      throw error
    }
  }

  private constructor(
    database: Database,
    sealer: Sealer | undefined,
    writer: Writer | undefined,
    limits: Limits,
    clock: Clock,
  ) {
    this.#database = database
    this.#sealer = sealer
    this.#writer = writer
    this.#limits = limits
    this.#clock = clock
    this.#directory = new Directory(database.db)
  }

  async write(batch: WriteBatch): Promise<Counts> {
    return this.#change((writer) => writer.write(batch, this.#clock.wallMs()))
  }

  async latest(filter: LatestFilter = {}) {
    const { at } = filter
    return this.#read((db) =>
      at === undefined ? inventory.readLatest(db, this.#directory, filter) : readLatestAt(db, filter, at),
    )
  }

  async gpus(filter: GpuFilter = {}) {
    const { at } = filter
    return this.#read((db) => {
      if (at === undefined) return inventory.readGpus(db, this.#directory, filter)
      const all = inventory.readGpus(db, this.#directory, { ...filter, namespace: undefined })
      return gpusAt(all, readLatestAt(db, filter, at))
    })
  }

  async hosts() {
    return this.#read((db) => inventory.readHosts(db, this.#directory))
  }

  async namespaces() {
    return this.#read(() => inventory.readNamespaces(this.#directory))
  }

  async range(query: RangeQuery) {
    return this.#read((db) => readRange(db, query))
  }

  async across(query: AcrossQuery) {
    return this.#read((db) => readAcross(db, query))
  }

  async transfers(query: TransferQuery = {}) {
    return this.#read((db) => readTransfers(db, query))
  }

  async sites() {
    return this.#read(readSites)
  }

  async transferSums(query: TransferSumQuery) {
    return this.#read((db) => readTransferSums(db, query))
  }

  async owners(query: OwnerQuery = {}) {
    return this.#read((db) => readOwners(db, query))
  }

  async totals(): Promise<Totals> {
    return this.#read((db) => totalsOf(readLedger(db)))
  }

  async rows() {
    return this.#read(countRows)
  }

  async bytes(): Promise<number> {
    const { path } = this.#database
    return ['', '-wal', '-shm'].reduce(
      (sum, end) => sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
  }

  async upkeep(nowMs: number): Promise<boolean> {
    return this.#change((writer, db) => {
      const { retentionMs } = this.#limits
      const cutS = Math.floor((nowMs - retentionMs) / 1000)
      // What is old goes first, so that it is not sealed before.
      if (retentionMs > 0 && (removeOld(db, cutS) || writer.trim(cutS))) return true
      return this.#sealer?.piece(nowMs) === true || freePages(db)
    })
  }

  async close(): Promise<void> {
    guarded(this.#database.path, () => this.#database.close())
  }

  #change<T>(work: (writer: Writer, db: Database['db']) => T): T {
    const { path, db } = this.#database
    const writer = this.#writer
    if (writer === undefined) throw new StoreError('read_only', `${path}: it was opened for reading`)
    return guarded(path, () => work(writer, db))
  }

  #read<T>(work: (db: Database['db']) => T): T {
    const { db, path } = this.#database
    return guarded(path, () => {
      // One state of the file for all statements of a read: rows move from table to table while another process writes.
      db.exec('BEGIN')
      try {
        return work(db)
      } finally {
        db.exec('COMMIT')
      }
    })
  }
}
