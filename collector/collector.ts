/**
 * One topic's way from the broker to the store: gather, write, then acknowledge.
 *
 * What is in memory is at most one batch being written and one being filled: while the store fails, nothing more is read,
 * and the broker keeps the rest.
 */

import type { Clock } from '#lib/clock'
import type { Log } from '#lib/log'
import { StoreError } from '#store/errors'
import type { Store } from '#store/store'
import { Problem } from '#wire/problems'
import { type Backoff, retry } from '#wire/retry'
import { Batch, type BatchLimits, type Delivered, type Letter, settlementOf, type Settlement } from './batch.ts'
import { Bell } from './bell.ts'
import type { Figures } from './figures.ts'

/** What the collector needs of a consumer (`wire/consumer.ts`). */
export interface Subscription {
  batches(): AsyncIterable<readonly Delivered[]>
  /** The logs of the stream, by `<broker>/<partition>`. */
  readonly logs: ReadonlyMap<string, { readonly logId: string }>
  ack(upTo: readonly string[]): Promise<unknown>
}

export interface CollectorParts {
  readonly clock: Clock
  readonly backoff: Backoff
  readonly store: Store
  readonly subscription: Subscription
  /** Sends letters to the topic's dead letters; resolves when they are kept. */
  readonly dead: (letters: readonly Letter[]) => Promise<unknown>
  readonly log: Log
  readonly figures: Figures
}

export interface CollectorOptions {
  readonly topic: string
  readonly group: string
  readonly limits: BatchLimits
  /** How long a record waits for its batch to fill. */
  readonly waitMs: number
}

export class TopicCollector {
  readonly #parts: CollectorParts
  readonly #options: CollectorOptions
  readonly #arrived = new Bell()
  readonly #room = new Bell()
  /** Offsets that the ledger has counted up to, by log. */
  readonly #settled = new Map<string, number>()
  #open: Batch
  #openedMs = 0
  #writing = 0
  #isEnding = false
  /** Ends the wait for a batch to fill. */
  #hurry = new AbortController()
  #trouble: string | undefined

  constructor(parts: CollectorParts, options: CollectorOptions) {
    this.#parts = parts
    this.#options = options
    this.#open = new Batch(options.limits)
  }

  /** Records received and not yet written. */
  get pending(): number {
    return this.#open.records + this.#writing
  }

  /** Why nothing is written now; `undefined` when all is well. */
  get trouble(): string | undefined {
    return this.#trouble
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
    for (const log of (await this.#parts.store.totals()).logs) {
      if (log.topic === topic) this.#settled.set(log.log_id, log.next)
    }
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
      signal.removeEventListener('abort', end)
    }
    if (failure !== undefined && !signal.aborted) throw failure
  }

  async #read(): Promise<void> {
    const { subscription, figures, clock } = this.#parts
    for await (const messages of subscription.batches()) {
      // What comes after a stop stays unacknowledged, and is delivered again.
      if (this.#isEnding) return
      if (this.#open.isEmpty) this.#openedMs = clock.monotonicMs()
      this.#open.add(messages, (place) => {
        const log = subscription.logs.get(place)
        if (log === undefined) throw new Error(`the broker sent a record of ${place} and did not name its log`)
        return log.logId
      })
      figures.consumed(messages.length)
      this.#arrived.ring()
      if (this.#open.isFull) this.#hurry.abort()
      while (this.#open.isFull && !this.#isEnding) await this.#room.heard()
    }
  }

  async #writeAll(signal: AbortSignal): Promise<void> {
    const { clock, backoff, figures } = this.#parts
    let acknowledged: Promise<void> = Promise.resolve()
    for (;;) {
      if (this.#open.isEmpty) {
        if (this.#isEnding) break
        await this.#arrived.heard()
        continue
      }
      const leftMs = this.#openedMs + this.#options.waitMs - clock.monotonicMs()
      if (!this.#open.isFull && !this.#isEnding && leftMs > 0) {
        await backoff.sleep(leftMs, this.#hurry.signal).catch(() => undefined)
      }
      const batch = this.#open
      const openedMs = this.#openedMs
      this.#open = new Batch(this.#options.limits)
      this.#hurry = new AbortController()
      this.#writing = batch.records
      this.#room.ring()
      const settlement = settlementOf(
        batch,
        this.#options.topic,
        this.#options.group,
        (id) => this.#settled.get(id) ?? 0,
      )
      await this.#bury(settlement.letters, signal)
      await this.#write(settlement, signal)
      this.#writing = 0
      figures.processed((clock.monotonicMs() - openedMs) / 1000)
      // The next batch is written while the acknowledgement is on its way; acknowledgements go out in order.
      const before = acknowledged
      acknowledged = before.then(() => this.#acknowledge(settlement.upTo))
    }
    await acknowledged
  }

  async #bury(letters: readonly Letter[], signal: AbortSignal): Promise<void> {
    if (letters.length === 0) return
    await sendLetters(letters, (some) =>
      this.#untilDone(
        'dead letters',
        signal,
        () => this.#parts.dead(some),
        (error) => !isRefusal(error),
      ),
    )
  }

  async #write({ write }: Settlement, signal: AbortSignal): Promise<void> {
    const { store, clock, figures } = this.#parts
    const counts = await this.#untilDone(
      'the store',
      signal,
      () => {
        const startMs = clock.monotonicMs()
        return store.write(write).then((counts) => {
          figures.written(counts, (clock.monotonicMs() - startMs) / 1000)
          return counts
        })
      },
      (error) => error instanceof StoreError && error.retry,
      () => figures.failed(),
    )
    for (const { logId, next } of write.parts) {
      this.#settled.set(logId, Math.max(next, this.#settled.get(logId) ?? 0))
    }
    if (counts.dead > 0)
      this.#parts.log.warn({ topic: write.topic, dead: counts.dead }, 'records went to the dead letters')
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
  }

  /** Repeats what fails for now, with a growing pause; on a stop it is not repeated. */
  async #untilDone<T>(
    what: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    mayRepeat: (error: unknown) => boolean,
    onFailure: () => void = () => undefined,
  ): Promise<T> {
    const { backoff, log } = this.#parts
    // `retry` asks the signal before the first try, too; on a stop that one must still be made.
    const attempt = async (): Promise<T> => {
      try {
        return await work()
      } catch (error) {
        onFailure()
        throw error
      }
    }
    try {
      return await (signal.aborted
        ? attempt()
        : retry(attempt, {
            backoff,
            signal,
            again: (error) => (mayRepeat(error) ? 0 : false),
            onFailure: (error, tries, waitMs) => {
              this.#trouble = `${what}: ${messageOf(error)}`
              log.warn(
                { topic: this.#options.topic, tries, wait_ms: waitMs, error: messageOf(error) },
                `${what} failed`,
              )
            },
          }))
    } finally {
      this.#trouble = undefined
    }
  }
}

/** Sends letters; if the broker refuses them for good, one by one, and one that it refuses alone without its row. */
async function sendLetters(
  letters: readonly Letter[],
  send: (letters: readonly Letter[]) => Promise<unknown>,
): Promise<void> {
  try {
    await send(letters)
  } catch (error) {
    if (!isRefusal(error)) throw error
    const [only] = letters
    if (letters.length > 1) for (const letter of letters) await sendLetters([letter], send)
    else if (only === undefined || only.row === '') throw error
    else await send([{ ...only, row: '', reason: `${only.reason} (without its row: ${messageOf(error)})` }])
  }
}

/** Whether the broker said no, and would say it again. */
function isRefusal(error: unknown): boolean {
  return error instanceof Problem && !error.retry
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
