/**
 * Writes a batch: asks what is there, says what it is about to do (`ledger.ts`), writes the points, settles the account.
 * Nothing is tried again here: a write that failed is made again by the collector, whole or in pieces.
 */

import { RefusedRecords, StoreError } from '../errors.ts'
import { addCounts, type BatchPart, type Counts, noCounts, type WriteBatch } from '../store.ts'
import { sightingLines } from './inventory.ts'
import { type Account, accountLine, Draft, newAccount, readAccounts } from './ledger.ts'
import { timeDigits } from './lines.ts'
import { readExisting } from './lookup.ts'
import { type GpuState, isBefore, isSameInstant, type PointRecord, type SeriesState, Sightings } from './memory.ts'
import type { Outcome } from './outcomes.ts'
import { type Placed, Recogniser } from './recogniser.ts'
import { Refusals } from './refusals.ts'
import { Rows } from './rows.ts'
import type { Databases } from './schema.ts'
import type { Server } from './server.ts'
import { textLines } from './texts.ts'
import { planTransfers, tagTextsOf } from './transfers.ts'
import { Turns } from './turns.ts'
import type { TelemetryRecord, TransferRecord } from '#telemetry/record'
import { formatTime, type Instant, parseTime } from '#telemetry/time'

export interface WriterOptions {
  readonly databases: Databases
  /** Names this collector among those that write to the same database. */
  readonly id: string
  /** Records older than this are refused; 0: none. */
  readonly retentionMs: number
  readonly seriesMax: number
  readonly nowMs: () => number
}

/** A record on its way. */
interface Item {
  readonly record: TelemetryRecord
  readonly at: Instant
  readonly logId: string
  readonly offset: number
  /** Whether the ledger has counted it: it was delivered again. */
  readonly isSettled: boolean
  outcome: Outcome
  /** Of a point: what it belongs to, once that is known. */
  state: SeriesState | undefined
}

/** By log. */
type Accounts = ReadonlyMap<string, Account>

type PointItem = Item & { readonly record: PointRecord }
type TransferItem = Item & { readonly record: TransferRecord }

/** Writes with transfers go one after the other. */
const anyTransfer = 'transfers'

/**
 * Several writes may be under way. Those that share a log, a GPU, or a series without one, go one after the other, so that
 * each knows what the one before it wrote; the rest of what they share is what is remembered of series.
 */
export class Writer {
  readonly #server: Server
  readonly #options: WriterOptions
  readonly #recogniser: Recogniser
  /** Of the accounts that this collector wrote, which version it left. */
  readonly #left = new Map<string, number>()
  readonly #logs = new Turns<string>()
  readonly #states = new Turns<GpuState | SeriesState | typeof anyTransfer>()
  /** Writes that work with what is remembered. */
  #working = 0
  /** What is remembered may be ahead of the database, or behind it: to be forgotten once nobody works with it. */
  #isStale = false
  #idle: (() => void)[] = []

  constructor(server: Server, options: WriterOptions) {
    this.#server = server
    this.#options = options
    this.#recogniser = new Recogniser(server, options.databases, options.seriesMax)
  }

  /** @throws StoreError; then the ledger is as it was */
  async write(batch: WriteBatch): Promise<Counts> {
    for (const part of batch.parts) assertRising(part)
    const release = await this.#logs.take(new Set(batch.parts.map(({ logId }) => `${batch.topic} ${logId}`)))
    try {
      const accounts = await this.#accounts(batch.topic, batch.parts)
      for (;;) {
        const counts = await this.#remembering(() => this.#write(batch, accounts))
        if (counts !== undefined) return counts
      }
    } finally {
      release()
    }
  }

  /** Works with what is remembered, which nobody may forget meanwhile. */
  async #remembering<T>(work: () => Promise<T>): Promise<T> {
    while (this.#isStale && this.#working > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
    if (this.#isStale) this.#recogniser.forget()
    this.#isStale = false
    this.#working++
    try {
      return await work()
    } catch (error) {
      // Refused before anything was written: what is remembered is as it was.
      if (!(error instanceof RefusedRecords)) this.#isStale = true
      throw error
    } finally {
      this.#working--
      if (this.#working === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** @returns `undefined`: a write that this one waited for failed, so it is to begin anew */
  async #write({ topic, parts }: WriteBatch, accounts: Accounts): Promise<Counts | undefined> {
    const byPart = parts.map((part) => itemsOf(part, (accounts.get(part.logId) as Account).row.next))
    const refusals = new Refusals()
    const { points, transfers } = this.#taken(byPart, refusals)
    const placed = await this.#recogniser.place(points, refusals)
    refusals.throwIfAny(this.#server.http.where)
    const states = new Set<GpuState | SeriesState | typeof anyTransfer>()
    // Marked as well: a mark is read faster than a set is asked, and a GPU has many points.
    for (const { state } of placed) {
      const owner = state.gpu ?? state
      if (owner.claim === states) continue
      owner.claim = states
      states.add(owner)
    }
    if (transfers.length > 0) states.add(anyTransfer)
    const release = await this.#states.take(states)
    try {
      return this.#isStale ? undefined : await this.#writePlaced(topic, parts, byPart, placed, transfers, accounts)
    } catch (error) {
      // Before others go on with the same series.
      this.#isStale = true
      throw error
    } finally {
      release()
    }
  }

  async #writePlaced(
    topic: string,
    parts: readonly BatchPart[],
    byPart: readonly (readonly Item[])[],
    placed: readonly Placed<PointItem>[],
    transfers: readonly TransferItem[],
    accounts: Accounts,
  ): Promise<Counts> {
    const { databases, id } = this.#options
    const server = this.#server
    await this.#recogniser.completeOwners(placed)
    const rows = await this.#rowsOf(placed)
    const { lines, removals } = await planTransfers(server, databases.data, transfers)

    const drafts = new Map([...accounts].map(([logId, account]) => [logId, new Draft(account)]))
    for (const [index, part] of parts.entries()) {
      const own = byPart[index] as readonly Item[]
      drafts.get(part.logId)?.add(part, (place) => (own[place] as Item).outcome)
    }
    const { overwrites } = server.dialect
    const ledger = (accountOf: (draft: Draft) => Account): string[] =>
      [...drafts.values()].map((draft) => accountLine(accountOf(draft), overwrites))

    const sightings = sightingsOf(placed)
    const { texts } = this.#recogniser
    // Before the points: were they cut off, the same sightings would come again as late ones.
    await server.write(databases.state, [
      ...ledger((draft) => draft.intended(id)),
      ...sightings.flatMap((sighting) => sightingLines(sighting, overwrites)),
      ...textLines(texts),
      ...textLines(transfers.flatMap(({ record }) => tagTextsOf(record))),
    ])
    await server.query(databases.data, removals)
    await server.writeRows(databases.data, rows.all)
    await server.write(databases.data, lines)
    await server.write(
      databases.state,
      ledger((draft) => draft.settled(id)),
    )

    rows.commit()
    this.#recogniser.commit(texts)
    for (const sighting of sightings) sighting.commit()
    let counts = noCounts
    for (const [logId, draft] of drafts) {
      this.#left.set(`${topic} ${logId}`, draft.settled(id).version)
      counts = addCounts(counts, draft.counts)
    }
    return counts
  }

  /** The accounts of the logs of a batch, by log. What others wrote since is not remembered here. */
  async #accounts(topic: string, parts: readonly BatchPart[]): Promise<Accounts> {
    const logIds = [...new Set(parts.map(({ logId }) => logId))]
    const stored = await readAccounts(this.#server, this.#options.databases.state, topic, logIds)
    const accounts = new Map(stored.map((account) => [account.row.log_id, account]))
    for (const part of parts) {
      const account = accounts.get(part.logId) ?? newAccount(topic, part)
      accounts.set(part.logId, account)
      const isOurs = account.version === 0 || account.writer === this.#options.id
      if (!isOurs || account.version !== (this.#left.get(`${topic} ${part.logId}`) ?? 0)) this.#isStale = true
    }
    return accounts
  }

  /** Those that can be taken. One that was taken in its time, and comes again, is left as it is. */
  #taken(byPart: readonly (readonly Item[])[], refusals: Refusals): { points: PointItem[]; transfers: TransferItem[] } {
    const { retentionMs, nowMs } = this.#options
    const sinceMs = retentionMs === 0 ? 0 : Math.ceil(nowMs() - retentionMs)
    const points: PointItem[] = []
    const transfers: TransferItem[] = []
    for (const items of byPart) {
      for (const item of items) {
        const { record, at } = item
        if (record.kind !== 'transfer' && record.value !== null && !Number.isFinite(record.value)) {
          refusals.add(item, `its value is ${record.value}: want a finite number`)
        } else if (at.ms < sinceMs) {
          const since = formatTime({ ms: sinceMs, ns: 0 })
          refusals.add(item, `it is older than RETENTION keeps records: want a time from ${since} on`)
        } else if (record.kind === 'transfer') transfers.push(item as TransferItem)
        else points.push(item as PointItem)
      }
    }
    return { points, transfers }
  }

  async #rowsOf(placed: readonly Placed<PointItem>[]): Promise<Rows> {
    const asked = placed.filter(
      ({ at, state }) =>
        !isBefore(state.newest, at) && !(state.hasValue !== undefined && isSameInstant(state.newest, at)),
    )
    const existing = await readExisting(this.#server, this.#options.databases.data, asked)
    const rows = new Rows()
    for (const item of placed) {
      const { at, state } = item
      const inDatabase = isBefore(state.newest, at)
        ? undefined
        : isSameInstant(state.newest, at) && state.hasValue !== undefined
          ? state.hasValue
          : existing.get(state.head)?.get(timeDigits(at))
      item.outcome = rows.add(state, at, item.record.value, inDatabase)
    }
    return rows
  }
}

function itemsOf({ logId, records, offsets }: BatchPart, next: number): Item[] {
  // Most records have the time of the one before, as a text and so as an object.
  let text = ''
  let at: Instant | undefined
  return records.map((record, index) => {
    if (record.time !== text) at = parseTime((text = record.time))
    if (at === undefined) throw new Error(`a record of time ${text} got past readRecord`)
    const offset = offsets[index] as number
    return { record, at, logId, offset, isSettled: offset < next, outcome: 'd', state: undefined }
  })
}

/** What the batch says of each GPU. */
function sightingsOf(placed: readonly Placed<PointItem>[]): Sightings[] {
  const all: Sightings[] = []
  for (const { record, at, state } of placed) {
    const { gpu } = state
    if (gpu === undefined || record.kind !== 'gpu') continue
    if (gpu.sightings === undefined) all.push((gpu.sightings = new Sightings(gpu)))
    gpu.sightings.add(record, at)
  }
  return all
}

/** The ledger rests on the order of a log: what is below its next offset is settled. */
function assertRising({ records, offsets, next }: BatchPart): void {
  if (records.length !== offsets.length)
    throw new StoreError('internal', `${records.length} records with ${offsets.length} offsets`)
  let above = -1
  for (const offset of offsets) {
    if (offset <= above || offset >= next)
      throw new StoreError('internal', `offset ${offset} after ${above}, in a part that ends at ${next}`)
    above = offset
  }
}
