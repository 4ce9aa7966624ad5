/**
 * One topic's way from the broker to the store: gather, settle, then acknowledge.
 *
 * What is in memory is bounded: the broker delivers no more than a consumer may hold unacknowledged, and beyond some bytes
 * nothing is read. While the store is away the broker keeps the rest, and is asked for more time for what was delivered.
 */

import type { Clock } from '#lib/clock'
import type { Log } from '#lib/log'
import type { Backoff } from '#wire/retry'
import { Batch, type BatchLimits, type Delivered, settlementOf } from './batch.ts'
import { Bell } from './bell.ts'
import type { Figures } from './figures.ts'
import { Leases } from './leases.ts'
import type { Settler } from './settle.ts'

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
}

export interface CollectorOptions {
  readonly topic: string
  readonly group: string
  readonly limits: BatchLimits
  /** How long a record waits for its batch to fill. */
  readonly waitMs: number
  /** How long the broker waits for an acknowledgement. */
  readonly visibilityMs: number
}

/** So many full batches wait at most for the one that is written; nothing more is read meanwhile. */
const backlogBatches = 4

export class TopicCollector {
  readonly #parts: CollectorParts
  readonly #options: CollectorOptions
  readonly #arrived = new Bell()
  readonly #room = new Bell()
  readonly #leases: Leases
  /** Offsets that the ledger has counted up to, by log. */
  #settled = new Map<string, number>()
  /** In the order of arrival; the last one is being filled. */
  #queue: [Batch, ...Batch[]]
  #writing = 0
  #isEnding = false
  /** Ends the wait for a batch to fill. */
  #hurry = new AbortController()

  constructor(parts: CollectorParts, options: CollectorOptions) {
    this.#parts = parts
    this.#options = options
    this.#leases = new Leases(options.visibilityMs)
    this.#queue = [new Batch(options.limits)]
  }

  /** Records received and not yet written. */
  get pending(): number {
    return this.#queue.reduce((sum, { records }) => sum + records, this.#writing)
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
      this.#hurry.abort()
      this.#arrived.ring()
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
    for await (const messages of subscription.batches()) {
      // What comes after a stop stays unacknowledged, and is delivered again.
      if (this.#isEnding) return
      const nowMs = clock.monotonicMs()
      const open = this.#queue.at(-1) as Batch
      const logIdOf = (place: string): string => {
        const log = subscription.logs.get(place)
        if (log === undefined) throw new Error(`the broker sent a record of ${place} and did not name its log`)
        return log.logId
      }
      open.add(messages, logIdOf, nowMs)
      for (const [place, { id, offset }] of newestOf(messages)) this.#leases.delivered(place, id, offset, nowMs)
      figures.consumed(messages.length)
      if (open.isFull) {
        this.#queue.push(new Batch(this.#options.limits))
        this.#hurry.abort()
      }
      this.#arrived.ring()
      while (this.#queue.length > backlogBatches && !this.#isEnding) await this.#room.heard()
    }
  }

  async #writeAll(signal: AbortSignal): Promise<void> {
    const { clock, backoff, figures, settler } = this.#parts
    const { topic, group, waitMs } = this.#options
    let acknowledged: Promise<void> = Promise.resolve()
    for (;;) {
      if (this.#queue[0].isEmpty) {
        if (this.#isEnding) break
        await this.#arrived.heard()
        continue
      }
      const leftMs = this.#queue[0].openedMs + waitMs - clock.monotonicMs()
      if (this.#queue.length === 1 && !this.#isEnding && leftMs > 0) {
        await backoff.sleep(leftMs, this.#hurry.signal).catch(() => undefined)
      }
      const batch = this.#take()
      const settlement = settlementOf(batch, topic, group, (id) => this.#settled.get(id) ?? 0)
      await settler.settle(settlement, signal)
      for (const { logId, next } of settlement.write.parts) {
        this.#settled.set(logId, Math.max(next, this.#settled.get(logId) ?? 0))
      }
      this.#writing = 0
      figures.processed((clock.monotonicMs() - batch.openedMs) / 1000)
      // The next batch is written while the acknowledgement is on its way; acknowledgements go out in order.
      const before = acknowledged
      acknowledged = before.then(() => this.#acknowledge(settlement.upTo))
    }
    await acknowledged
  }

  #take(): Batch {
    const [batch, ...rest] = this.#queue
    const [next, ...others] = rest
    this.#queue = next === undefined ? [new Batch(this.#options.limits)] : [next, ...others]
    if (this.#queue.length === 1) this.#hurry = new AbortController()
    this.#writing = batch.records
    this.#room.ring()
    return batch
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

/** The last message of each log. */
function newestOf(messages: readonly Delivered[]): ReadonlyMap<string, Delivered> {
  const newest = new Map<string, Delivered>()
  let last: Delivered | undefined
  for (const message of messages) {
    // They come in runs of one log.
    if (last !== undefined && (last.partition !== message.partition || last.broker !== message.broker)) {
      newest.set(`${last.broker}/${last.partition}`, last)
    }
    last = message
  }
  if (last !== undefined) newest.set(`${last.broker}/${last.partition}`, last)
  return newest
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
