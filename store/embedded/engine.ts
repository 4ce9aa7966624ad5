import { statSync } from 'node:fs'
import { type Counts, type Store, type Totals, totalsOf, type WriteBatch } from '../store.ts'
import type { AcrossQuery, GpuFilter, LatestFilter, RangeQuery, TransferQuery } from '../store.ts'
import { StoreError } from '../errors.ts'
import { type Database, guarded, openDatabase, type OpenOptions } from './database.ts'
import { readLedger } from './known.ts'
import * as queries from './queries.ts'
import { Writer } from './writer.ts'

/**
 * The engine of `penstock up`: one SQLite file, one writer, any number of readers in other processes.
 *
 * It runs in the thread that calls it: handing the records to another thread would cost more than half of the write again
 * (docs/decisions/051-store-in-the-callers-thread.md). The promises are there for engines that sit behind a network.
 */
export class EmbeddedStore implements Store {
  readonly #database: Database
  readonly #writer: Writer | undefined

  /** @throws StoreError */
  static async open(path: string, options: OpenOptions = {}): Promise<EmbeddedStore> {
    const database = openDatabase(path, options)
    try {
      const writer = options.readOnly === true ? undefined : guarded(path, () => new Writer(database.db))
      return new EmbeddedStore(database, writer)
    } catch (error) {
      database.close()
      throw error
    }
  }

  private constructor(database: Database, writer: Writer | undefined) {
    this.#database = database
    this.#writer = writer
  }

  async write(batch: WriteBatch): Promise<Counts> {
    const { path } = this.#database
    const writer = this.#writer
    if (writer === undefined) throw new StoreError('read_only', `${path}: it was opened for reading`)
    return guarded(path, () => writer.write(batch))
  }

  async latest(filter: LatestFilter = {}) {
    return this.#read((db) => queries.readLatest(db, filter))
  }

  async gpus(filter: GpuFilter = {}) {
    return this.#read((db) => queries.readGpus(db, filter))
  }

  async hosts() {
    return this.#read(queries.readHosts)
  }

  async namespaces() {
    return this.#read(queries.readNamespaces)
  }

  async range(query: RangeQuery) {
    return this.#read((db) => queries.readRange(db, query))
  }

  async across(query: AcrossQuery) {
    return this.#read((db) => queries.readAcross(db, query))
  }

  async transfers(query: TransferQuery = {}) {
    return this.#read((db) => queries.readTransfers(db, query))
  }

  async sites() {
    return this.#read(queries.readSites)
  }

  async totals(): Promise<Totals> {
    return this.#read((db) => totalsOf(readLedger(db)))
  }

  async bytes(): Promise<number> {
    const { path } = this.#database
    return ['', '-wal', '-shm'].reduce(
      (sum, end) => sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
  }

  async close(): Promise<void> {
    guarded(this.#database.path, () => this.#database.close())
  }

  #read<T>(work: (db: Database['db']) => T): T {
    return guarded(this.#database.path, () => work(this.#database.db))
  }
}
