/**
 * The consumer: an event stream that is opened again whenever it ends, from where it stopped.
 *
 * In a group the broker knows what was acknowledged; without one the consumer keeps an id a log. A stream on which nothing
 * comes, not even a heartbeat, is taken for dead and opened anew.
 */

import type { LogHead } from './frames.ts'
import { Inbox, type InboxOptions, type Message } from './inbox.ts'
import { Problem } from './problems.ts'
import { backoffMs, retry } from './retry.ts'
import { SseParser } from './sse.ts'
import { asProblem, retryAfterMs, type Transport } from './transport.ts'

/** What a consumer reads, for whom, and whom it tells. */
export interface ConsumerOptions extends InboxOptions {
  readonly topic: string
  /** Only this partition. */
  readonly partition?: number | undefined
  /** `earliest`, `latest`, a time or ids, as docs/PROTOCOL.md says. */
  readonly from?: string | undefined
  /** Records delivered and not acknowledged, at most; the broker's default unless told. */
  readonly maxInFlight?: number | undefined
  /** How long a record may stay unacknowledged, in ms. */
  readonly visibilityMs?: number | undefined
  /** Ends {@link Consumer.batches}, without an error. */
  readonly signal?: AbortSignal | undefined
  /** Nothing for so long, in ms, and the stream is opened anew (30 s: three heartbeats). */
  readonly silenceMs?: number | undefined
}

/** Reads one topic, and acknowledges for its group. Made by `Client.consumer`. */
export class Consumer {
  readonly #transport: Transport
  readonly #options: ConsumerOptions
  readonly #logs = new Map<string, LogHead>()
  /** The last offset seen of each log, by `broker/partition`; -1 before its first record. */
  readonly #cursors = new Map<string, number>()

  constructor(transport: Transport, options: ConsumerOptions) {
    this.#transport = transport
    this.#options = options
  }

  /** The logs that the stream has told of, by `broker/partition`. */
  get logs(): ReadonlyMap<string, LogHead> {
    return this.#logs
  }

  /**
   * The records, a piece of the network's at a time, until the loop is left or the signal aborts. While the caller is busy
   * nothing is read, and the broker holds the rest.
   *
   * @throws Problem what refuses the stream for good, such as a topic that is not there; what a callback throws
   */
  async *batches(): AsyncGenerator<readonly Message[], void, void> {
    const { signal } = this.#options
    for (let failures = 0; ;) {
      if (signal?.aborted) return
      const stream = new AbortController()
      const abort = (): void => stream.abort(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      const openedMs = performance.now()
      let ending: unknown = new Problem('unavailable', 'the stream ended')
      try {
        for await (const messages of this.#stream(stream)) {
          failures = 0
          yield messages
        }
      } catch (error) {
        ending = error
      } finally {
        signal?.removeEventListener('abort', abort)
        // The caller may have left the loop in the middle of a stream.
        stream.abort()
      }
      if (signal?.aborted) return
      const atLeastMs = retryAfterMs(ending)
      if (atLeastMs === false) throw ending
      // A stream that stood was no failure, silent or not; one that ends at once, again and again, is.
      if (performance.now() - openedMs > this.#transport.backoff.longestMs) failures = 0
      await this.#pause(++failures, atLeastMs, (ending as Problem).message)
    }
  }

  /**
   * Acknowledges everything up to these records, one id a log; tried again until it is answered.
   *
   * A proxy passes it on to all their brokers at once, but it resolves when the last of them has heard it, also one that is
   * away. Where that must hold nobody up, call it for a broker at a time, and do not wait. It is not taken apart here: with
   * many brokers that would be many requests for each one of now, and the promise would wait all the same.
   *
   * @throws Problem `lease_lost` or `not_delivered` when the records are not this consumer's any more: they come again
   */
  async ack(upTo: readonly string[]): Promise<void> {
    await this.#settle('/ack', { up_to: upTo })
  }

  /** Acknowledges single records. */
  async ackEach(ids: readonly string[]): Promise<void> {
    await this.#settle('/ack', { ids })
  }

  /** Gives records back, to be delivered again after a delay in ms. */
  async nack(ids: readonly string[], options: { readonly delayMs?: number } = {}): Promise<void> {
    await this.#settle('/nack', { ids, ...(options.delayMs === undefined ? {} : { delay_ms: options.delayMs }) })
  }

  /** Asks for more time for records that are being worked on. */
  async extend(ids: readonly string[]): Promise<void> {
    await this.#settle('/extend', { ids })
  }

  async #settle(path: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    // What names no record has nothing to say, and the broker refuses it.
    if (Object.values(body).some((ids) => Array.isArray(ids) && ids.length === 0)) return
    const { topic, group, signal } = this.#options
    const call = { query: { topic, group }, body: JSON.stringify(body), headers: jsonType, signal }
    await retry(() => this.#transport.json('POST', path, call), {
      backoff: this.#transport.backoff,
      signal,
      again: retryAfterMs,
      onFailure: (error, tries, waitMs) => {
        this.#transport.warn(`${path}: try ${tries}: ${(error as Error).message}; again in ${waitMs} ms`)
      },
    })
  }

  async #pause(failures: number, atLeastMs: number, reason: string): Promise<void> {
    const { backoff, warn } = this.#transport
    const waitMs = backoffMs(backoff, failures, atLeastMs)
    warn(`${this.#options.topic}: ${reason}; connecting again in ${waitMs} ms`)
    try {
      await backoff.sleep(waitMs, this.#options.signal)
    } catch {
      // Aborted: the loop sees it.
    }
  }

  /** One connection, until it ends. */
  async *#stream(stream: AbortController): AsyncGenerator<readonly Message[], void, void> {
    const response = await this.#transport.open('/consume', {
      query: this.#query(),
      headers: { accept: 'text/event-stream' },
      signal: stream.signal,
    })
    if (response.body === null) throw new Problem('unavailable', 'the answer has no body')
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    const reader = response.body.getReader()
    const inbox = new Inbox(this.#options, this.#logs, this.#cursors)
    const parser = new SseParser(inbox)
    for (;;) {
      const { done, value } = await this.#read(reader, stream)
      if (done) return
      let broken: unknown
      try {
        parser.feed(decoder.decode(value, { stream: true }))
      } catch (error) {
        broken = error
      }
      // Also those before the place that broke: the cursors have passed them.
      const messages = inbox.take()
      if (messages.length > 0) yield messages
      if (broken !== undefined) throw broken
      if (inbox.cut !== undefined) throw inbox.cut
    }
  }

  /** The next piece; a stream that is silent for too long is ended. */
  async #read(reader: ReadableStreamDefaultReader<Uint8Array>, stream: AbortController) {
    const silenceMs = this.#options.silenceMs ?? 30_000
    const timer = setTimeout(() => {
      stream.abort(new Problem('unavailable', `nothing came for ${silenceMs / 1000} s`))
    }, silenceMs)
    try {
      return await reader.read()
    } catch (error) {
      throw asProblem(this.#transport.url, error)
    } finally {
      clearTimeout(timer)
    }
  }

  #query(): Record<string, string | number | undefined> {
    const { topic, group, consumer, partition, maxInFlight, mode, visibilityMs, from } = this.#options
    return {
      topic,
      group,
      consumer,
      partition,
      max_in_flight: maxInFlight,
      mode,
      visibility: visibilityMs === undefined ? undefined : `${visibilityMs}ms`,
      from: group === undefined && this.#cursors.size > 0 ? this.#resumeFrom() : from,
    }
  }

  /** One id a log: after these. A log of which nothing came begins at its first record, and so needs no id. */
  #resumeFrom(): string {
    const ids = [...this.#cursors].filter(([, offset]) => offset >= 0).map(([log, offset]) => `${log}/${offset}`)
    return ids.length === 0 ? 'earliest' : ids.join(',')
  }
}

const jsonType = { 'content-type': 'application/json' }
