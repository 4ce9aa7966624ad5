/**
 * One topic's way from the broker to the store: gather, settle, then acknowledge. Each log in its order, several beside each
 * other where the store gains by that.
 *
 * What is in memory is bounded: the broker delivers no more than a consumer may hold unacknowledged, and beyond some bytes
 * nothing is read. While the store is away the broker keeps the rest, and is asked for more time for what was delivered.
 */

import type { Clock } from '#lib/clock'
import type { Log } from '#lib/log'
import type { Backoff } from '#wire/retry'
import { Backlog, placeOf, runsOf, type Taken } from './backlog.ts'
import { type BatchLimits, type Delivered, settlementOf } from './batch.ts'
import { Bell } from './bell.ts'
import type { Figures } from './figures.ts'
import { Leases } from './leases.ts'
import type { Settler } from './settle.ts'
import type { Traces } from './traces.ts'
import { Transformer } from './transform.ts'

/** What the collector needs of a consumer (`wire/consumer.ts`). */
export interface Subscription {
  batches(): AsyncIterable<readonly Delivered[]>
  /** The logs of the stream, by `<broker>/<partition>`. */
  readonly logs: ReadonlyMap<string, { readonly logId: string }>
  ack(upTo: readonly string[]): Promise<unknown>
  extend(ids: readonly string[]): Promise<unknown>
}

export interface CollectorParts {
  readonly clock: Clock
  readonly backoff: Backoff
  readonly settler: Settler
  readonly subscription: Subscription
  /** What the ledger has of the topic's logs: the offset below which all is counted, by log id. */
  readonly settled: () => Promise<ReadonlyMap<string, number>>
  readonly log: Log
  readonly figures: Figures
  /** Told of the batches that are part of a trace. */
  readonly traces?: Traces | undefined
}

export interface CollectorOptions {
  readonly topic: string
  readonly group: string
  readonly limits: BatchLimits
  /** How long a record waits for its batch to fill. */
  readonly waitMs: number
  /** How long the broker waits for an acknowledgement. */
  readonly visibilityMs: number
  /** How many writes may be under way at once. */
  readonly writesAtOnce: number
  /** By how much a write may exceed the limit of records while there is more to write; left out: not at all. */
  readonly growth?: number | undefined
}

/** So many full batches wait at most for those that are written; nothing more is read meanwhile. */
const backlogBatches = 4

export class TopicCollector {
  readonly #parts: CollectorParts
  readonly #options: CollectorOptions
  /** Something arrived, or a write is over. */
  readonly #stirred = new Bell()
  readonly #room = new Bell()
  readonly #leases: Leases
  readonly #backlog: Backlog
  readonly #transformer = new Transformer()
  /** Offsets that the ledger has counted up to, by log. */
  #settled = new Map<string, number>()
  #writing = 0
  readonly #writes = new Set<Promise<void>>()
  /** The last acknowledgement of each broker. */
  readonly #acknowledged = new Map<string, Promise<void>>()
  #isEnding = false
  /** The oldest record waits for others to be written with it. */
  #isGathering = false

  constructor(parts: CollectorParts, options: CollectorOptions) {
    this.#parts = parts
    this.#options = options
    this.#leases = new Leases(options.visibilityMs)
    this.#backlog = new Backlog(options.limits, options.waitMs, options.growth)
  }

  /** Records received and not yet written. */
  get pending(): number {
    return this.#backlog.records + this.#writing
  }

  /**
   * Collects until the signal aborts; then what has arrived is written and acknowledged.
   *
   * The caller closes the subscription afterwards, not before: an acknowledgement counts only while the stream that
   * delivered the records is open.
   *
   * @throws StoreError when the store fails in a way that no waiting mends; whatever ends the subscription
   */
  async run(signal: AbortSignal): Promise<void> {
    const { topic } = this.#options
    this.#settled = new Map(await this.#parts.settled())
    const over = new AbortController()
    const end = (): void => {
      this.#isEnding = true
      this.#stirred.ring()
      this.#room.ring()
    }
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    let failure: unknown
    // Not awaited on a stop: it may wait for the next record of a stream that the caller closes later.
    void this.#read().then(end, (error: unknown) => {
      failure = error
      end()
    })
    void this.#keep(over.signal)
    try {
      await this.#writeAll(signal)
    } catch (error) {
      if (!signal.aborted) throw error
      this.#parts.log.warn(
        { topic, pending: this.pending, error: messageOf(error) },
        'stopped with records not written: they are delivered again',
      )
    } finally {
      this.#isEnding = true
      over.abort()
      signal.removeEventListener('abort', end)
    }
    if (failure !== undefined && !signal.aborted) throw failure
  }

  async #read(): Promise<void> {
    const { subscription, figures, clock } = this.#parts
    const logIdOf = (place: string): string => {
      const log = subscription.logs.get(place)
      if (log === undefined) throw new Error(`the broker sent a record of ${place} and did not name its log`)
      return log.logId
    }
    for await (const messages of subscription.batches()) {
      // What comes after a stop stays unacknowledged, and is delivered again.
      if (this.#isEnding) return
      const nowMs = clock.monotonicMs()
      this.#backlog.add(messages, logIdOf, nowMs)
      for (const run of runsOf(messages)) {
        const last = run.at(-1) as Delivered
        this.#leases.delivered(placeOf(last), last.id, last.offset, nowMs)
      }
      figures.consumed(messages.length)
      // A piece of the stream has some 150 records: who waits for a full batch is not woken by each.
      if (!this.#isGathering || this.#backlog.isEnough) this.#stirred.ring()
      while (this.#backlog.batches >= backlogBatches && !this.#isEnding) await this.#room.heard()
    }
  }

  async #writeAll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    const failures: unknown[] = []
    let hasWaited = false
    for (;;) {
      if (failures.length > 0) {
        // What else is under way ends soon once the signal has aborted, and may still succeed.
        if (signal.aborted) await Promise.all(this.#writes)
        throw failures[0]
      }
      const isFree = this.#writes.size < this.#options.writesAtOnce
      const next: Taken | number | undefined = isFree
        ? this.#backlog.take(clock.monotonicMs(), hasWaited || this.#isEnding)
        : undefined
      hasWaited = false
      if (typeof next === 'object') {
        this.#room.ring()
        const write: Promise<void> = this.#write(next, signal)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => {
            this.#writes.delete(write)
            this.#stirred.ring()
          })
        this.#writes.add(write)
        continue
      }
      if (this.#isEnding && this.#writes.size === 0) break
      if (next === undefined) await this.#stirred.heard()
      else hasWaited = await this.#gather(next)
    }
    await Promise.all(this.#acknowledged.values())
  }

  /** Whether the time is over, and not something else happened. */
  async #gather(leftMs: number): Promise<boolean> {
    this.#isGathering = true
    const over = new AbortController()
    const slept = this.#parts.backoff.sleep(leftMs, over.signal).then(
      () => true,
      () => false,
    )
    const hasWaited = await Promise.race([slept, this.#stirred.heard().then(() => false)])
    over.abort()
    this.#isGathering = false
    return hasWaited
  }

  async #write(taken: Taken, signal: AbortSignal): Promise<void> {
    const { clock, figures, settler, traces } = this.#parts
    const { topic, group } = this.#options
    const { batch } = taken
    this.#writing += batch.records
    const spans = traces?.begin(batch)
    const settledTo = (id: string): number => this.#settled.get(id) ?? 0
    const transformed = spans?.step('collector transform')
    const settlement = settlementOf(batch, topic, group, settledTo, (text) => this.#transformer.transform(text))
    transformed?.()
    const written = spans?.step('store write')
    try {
      await settler.settle(settlement, signal)
    } catch (error) {
      written?.(error)
      spans?.end(error)
      throw error
    }
    written?.()
    for (const { logId, next } of settlement.write.parts) {
      this.#settled.set(logId, Math.max(next, this.#settled.get(logId) ?? 0))
    }
    this.#writing -= batch.records
    figures.processed((clock.monotonicMs() - batch.openedMs) / 1000)
    this.#backlog.done(taken)
    // What follows is written while the acknowledgement is on its way; those of one broker go out in order. Each broker has
    // its own, so that one that is down keeps no other's records in flight.
    const acks: Promise<void>[] = []
    const acknowledged = spans?.step('collector ack')
    for (const [broker, upTo] of Map.groupBy(settlement.upTo, (id) => id.slice(0, id.indexOf('/')))) {
      const before = this.#acknowledged.get(broker) ?? Promise.resolve()
      const ack = before.then(() => this.#acknowledge(upTo))
      this.#acknowledged.set(broker, ack)
      acks.push(ack)
    }
    if (spans !== undefined) {
      const end = async (): Promise<void> => {
        await Promise.all(acks)
        acknowledged?.()
        spans.end()
      }
      void end()
    }
  }

  /** A lost acknowledgement costs a redelivery, which the ledger knows: it stops nothing. */
  async #acknowledge(upTo: readonly string[]): Promise<void> {
    try {
      await this.#parts.subscription.ack(upTo)
    } catch (error) {
      this.#parts.log.warn(
        { topic: this.#options.topic, error: String(error) },
        'not acknowledged: it is delivered again',
      )
    }
    const nowMs = this.#parts.clock.monotonicMs()
    for (const id of upTo) {
      const end = id.lastIndexOf('/')
      this.#leases.acknowledged(id.slice(0, end), Number(id.slice(end + 1)), nowMs)
    }
  }

  /** Asks for more time for what is held, until it is over. */
  async #keep(over: AbortSignal): Promise<void> {
    const { backoff, clock, subscription, log } = this.#parts
    while (!over.aborted) {
      await backoff.sleep(this.#leases.everyMs / 2, over).catch(() => undefined)
      for (const id of over.aborted ? [] : this.#leases.due(clock.monotonicMs())) {
        try {
          await subscription.extend([id])
        } catch (error) {
          this.#leases.lost(id)
          log.debug({ topic: this.#options.topic, id, error: messageOf(error) }, 'no more time: it is delivered again')
        }
      }
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
