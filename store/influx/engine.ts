import { randomBytes } from 'node:crypto'
import { StoreError } from '../errors.ts'
import { type Counts, type Rows, type Store, type Totals, totalsOf, type WriteBatch } from '../store.ts'
import type { AcrossQuery, GpuFilter, LatestFilter, OwnerQuery, RangeQuery, TransferQuery } from '../store.ts'
import type { TransferSumQuery } from '../transfer-sums.ts'
import { countRows } from './count.ts'
import type { Version } from './dialect.ts'
import { Http } from './http.ts'
import { readOwners } from './inventory.ts'
import * as latest from './latest.ts'
import { readAccounts } from './ledger.ts'
import { readAcross, readRange } from './ranges.ts'
import { type Databases, databasesOf, dataTables, stateTables } from './schema.ts'
import { Server } from './server.ts'
import { readTransferSums } from './transfer-sums.ts'
import * as transfers from './transfers.ts'
import { Writer } from './writer.ts'

export interface InfluxOptions {
  readonly url: string
  readonly token?: string | undefined
  readonly org?: string | undefined
  /** The database of InfluxDB 1 and 3, the bucket of InfluxDB 2. */
  readonly bucket: string
  /** Left out: the server is asked. */
  readonly version?: Version | undefined
  readonly readOnly?: boolean | undefined
  readonly retentionMs: number
  readonly seriesMax: number
  /** Ms since 1970, for the retention. */
  readonly nowMs: () => number
}

/**
 * InfluxDB 1.x, 2.x and 3, by line protocol and InfluxQL. Any number of collectors write, any number of processes read.
 *
 * It opens also while the server is away: which version that is, and whether its databases are there, is asked with the first
 * call, and again until there is an answer. Each call makes one attempt.
 */
export class InfluxStore implements Store {
  readonly #http: Http
  readonly #options: InfluxOptions
  readonly #databases: Databases
  readonly #id = randomBytes(6).toString('hex')
  #server: Promise<Server> | undefined
  #writer: Promise<Writer> | undefined
  /** What a server of two cores takes best (`npm run bench -- collector influx-write`). */
  readonly writesAtOnce = 4
  /** A write costs four small requests beside its points: with four times as many a point costs the server a fifth less. */
  readonly writeGrowth = 4
  readonly #writing = new Set<Promise<unknown>>()
  #isClosed = false
  #engine = 'InfluxDB'

  constructor(options: InfluxOptions) {
    this.#http = new Http(options.url)
    this.#options = options
    this.#databases = databasesOf(options.bucket)
  }

  /** Its release is known once it has answered. */
  get engine(): string {
    return this.#engine
  }

  write(batch: WriteBatch): Promise<Counts> {
    const own = this.#write(batch)
    const ended: Promise<unknown> = own.then(
      () => this.#writing.delete(ended),
      () => this.#writing.delete(ended),
    )
    this.#writing.add(ended)
    return own
  }

  async #write(batch: WriteBatch): Promise<Counts> {
    const writer = await this.#prepared()
    try {
      return await writer.write(batch)
    } catch (error) {
      // The database may have been removed: it is looked for again.
      if (error instanceof StoreError && error.code === 'denied') this.#writer = undefined
      throw error
    }
  }

  async latest(filter: LatestFilter = {}) {
    const { at } = filter
    const server = await this.#met()
    return at === undefined
      ? latest.readLatest(server, this.#databases, filter)
      : latest.readLatestAt(server, this.#databases, filter, at)
  }

  async gpus(filter: GpuFilter = {}) {
    const { at } = filter
    const server = await this.#met()
    return at === undefined
      ? latest.readGpus(server, this.#databases, filter)
      : latest.readGpusAt(server, this.#databases, filter, at)
  }

  async hosts() {
    return latest.readHosts(await this.#met(), this.#databases)
  }

  async namespaces() {
    return latest.readNamespaces(await this.#met(), this.#databases)
  }

  async range(query: RangeQuery) {
    return readRange(await this.#met(), this.#databases, query)
  }

  async across(query: AcrossQuery) {
    return readAcross(await this.#met(), this.#databases, query)
  }

  async transfers(query: TransferQuery = {}) {
    return transfers.readTransfers(await this.#met(), this.#databases, query)
  }

  async sites() {
    return transfers.readSites(await this.#met(), this.#databases)
  }

  async transferSums(query: TransferSumQuery) {
    return readTransferSums(await this.#met(), this.#databases, query)
  }

  async totals(): Promise<Totals> {
    const accounts = await readAccounts(await this.#met(), this.#databases.state)
    return totalsOf(accounts.map(({ row }) => row))
  }

  async owners(query: OwnerQuery = {}) {
    return readOwners(await this.#met(), this.#databases.state, query)
  }

  /** What the retention of the server removes, the server does not count: they are told where it has none. */
  async rows(): Promise<Rows | undefined> {
    const server = await this.#met()
    const { data, state } = this.#databases
    return (await server.dialect.keepsAll(this.#http, data)) === true ? countRows(server, data, state) : undefined
  }

  /** The server keeps other data, too. */
  async bytes(): Promise<undefined> {
    await this.#met()
    return undefined
  }

  /** The server compacts and removes by itself. */
  async upkeep(): Promise<boolean> {
    return false
  }

  /** Cuts off what is on its way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#http.close()
    await Promise.all(this.#writing)
  }

  /** The server, once it has said what it is; for a collector, once it has the databases. */
  async #met(): Promise<Server> {
    if (this.#isClosed) throw new StoreError('closed', this.#http.where)
    if (this.#options.readOnly !== true) await this.#prepared()
    return this.#meeting()
  }

  #meeting(): Promise<Server> {
    const { token, org, version } = this.#options
    this.#server ??= Server.meet(this.#http, { token, org }, version).then(
      (server) => {
        this.#engine = `InfluxDB ${server.release}`
        return server
      },
      (error: unknown) => {
        this.#server = undefined
        throw error
      },
    )
    return this.#server
  }

  #prepared(): Promise<Writer> {
    if (this.#isClosed) throw new StoreError('closed', this.#http.where)
    if (this.#options.readOnly === true)
      throw new StoreError('read_only', `${this.#http.where}: it was opened for reading`)
    this.#writer ??= this.#prepare().catch((error: unknown) => {
      this.#writer = undefined
      throw error
    })
    return this.#writer
  }

  async #prepare(): Promise<Writer> {
    const server = await this.#meeting()
    const { data, state } = this.#databases
    await server.dialect.create(this.#http, data, dataTables)
    await server.dialect.create(this.#http, state, stateTables)
    const { retentionMs, seriesMax, nowMs } = this.#options
    return new Writer(server, { databases: this.#databases, id: this.#id, retentionMs, seriesMax, nowMs })
  }
}
