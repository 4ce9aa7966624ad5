/**
 * The consumer: an event stream that is opened again whenever it ends, from where it stopped.
 *
 * In a group the broker knows what was acknowledged; without one the consumer keeps an id a log. A stream on which nothing
 * comes, not even a heartbeat, is taken for dead and opened anew.
 */

import { parseBatchHead, parseLogHead, traceOf, type HeadTrace, type LogHead } from './frames.ts'
import { parseId } from './ids.ts'
import { Problem } from './problems.ts'
import { backoffMs, retry } from './retry.ts'
import { SseParser, type SseEvent } from './sse.ts'
import { asProblem, retryAfterMs, type Transport } from './transport.ts'

/** One record as it was delivered. */
export interface Message {
  /** `<broker>/<partition>/<offset>`: what an acknowledgement names. */
  readonly id: string
  readonly broker: number
  readonly partition: number
  readonly offset: number
  /** 1 for the first delivery. */
  readonly attempt: number
  /** The record's text; nothing is parsed. */
  readonly data: string
}

/** Records that are lost, as `event: gap` tells. */
export interface Gap {
  readonly first: string
  readonly last: string
  readonly reason: string
}

/** A batch that is part of a trace, delivered for the first time and whole. */
export interface TracedBatch {
  readonly trace: HeadTrace
  readonly broker: number
  readonly partition: number
  readonly firstOffset: number
  readonly count: number
}

/** What a consumer reads, for whom, and whom it tells. */
export interface ConsumerOptions {
  readonly topic: string
  /** With a group the broker remembers what is acknowledged; without one this is a plain reader. */
  readonly group?: string | undefined
  /** The name by which the broker knows this consumer again. */
  readonly consumer?: string | undefined
  /** Only this partition. */
  readonly partition?: number | undefined
  /** `earliest`, `latest`, a time or ids, as docs/PROTOCOL.md says. */
  readonly from?: string | undefined
  /** Records delivered and not acknowledged, at most; the broker's default unless told. */
  readonly maxInFlight?: number | undefined
  /** How the group shares its records; `exclusive` unless told. In a shared one acknowledge by {@link Consumer.ackEach}. */
  readonly mode?: 'exclusive' | 'shared' | undefined
  /** How long a record may stay unacknowledged, in ms. */
  readonly visibilityMs?: number | undefined
  /** Ends {@link Consumer.batches}, without an error. */
  readonly signal?: AbortSignal | undefined
  /** Nothing for so long, in ms, and the stream is opened anew (30 s: three heartbeats). */
  readonly silenceMs?: number | undefined
  readonly onGap?: ((gap: Gap) => void) | undefined
  /** The broker ended the stream, and why; unless it was replaced, the consumer connects again by itself. */
  readonly onCut?: ((reason: string) => void) | undefined
  /** Another consumer of the group takes this partition. */
  readonly onRevoke?: ((partition: number) => void) | undefined
  /** A batch of a trace begins: told before its records. */
  readonly onTrace?: ((batch: TracedBatch) => void) | undefined
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

/** What one connection brought, until it is taken. */
class Inbox {
  readonly #options: ConsumerOptions
  readonly #logs: Map<string, LogHead>
  readonly #cursors: Map<string, number>
  #messages: Message[] = []
  #attempt = 1
  /** A batch header with a trace, whose log the next record tells. */
  #traced: string | undefined
  /** The log of the last record, as its ids begin: they come in runs of one log. */
  #prefix = ''
  #log = ''
  #broker = 0
  #partition = 0
  /** Why the broker ended the stream. */
  cut: Problem | undefined

  constructor(options: ConsumerOptions, logs: Map<string, LogHead>, cursors: Map<string, number>) {
    this.#options = options
    this.#logs = logs
    this.#cursors = cursors
  }

  take(): readonly Message[] {
    const messages = this.#messages
    this.#messages = []
    return messages
  }

  onEvent({ id, event, data }: SseEvent): void {
    if (event !== 'message') {
      this.#onNotice(event, data)
      return
    }
    if (this.#prefix === '' || !id.startsWith(this.#prefix)) this.#enter(id)
    if (this.#traced !== undefined) this.#onTraced(this.#traced)
    const offset = Number(id.slice(this.#prefix.length))
    if (!Number.isSafeInteger(offset)) throw noId(id)
    this.#messages.push({ id, broker: this.#broker, partition: this.#partition, offset, attempt: this.#attempt, data })
    this.#cursors.set(this.#log, offset)
  }

  onComment(line: string): void {
    if (line.startsWith(': batch ')) {
      this.#attempt = 1
      if (this.#options.onTrace !== undefined && line.includes(' trace=')) this.#traced = line
    } else if (line.startsWith(': attempt ')) this.#attempt = Number(line.slice(10)) || 1
    else if (line.startsWith(': penstock ')) this.#onLogHead(line)
  }

  #onTraced(line: string): void {
    this.#traced = undefined
    const head = parseBatchHead(line)
    const trace = head === undefined ? undefined : traceOf(head)
    if (head === undefined || trace === undefined) return
    const { firstOffset, count } = head
    this.#options.onTrace?.({ trace, broker: this.#broker, partition: this.#partition, firstOffset, count })
  }

  #onLogHead(line: string): void {
    const head = parseLogHead(line)
    if (head === undefined) return
    if ('foreignVersion' in head) {
      throw new Problem(
        'bad_request',
        `the broker speaks version ${head.foreignVersion} of the protocol, this client version 1`,
      )
    }
    const log = `${head.broker}/${head.partition}`
    const known = this.#logs.get(log)
    this.#logs.set(log, head)
    if (known === undefined || known.logId === head.logId) {
      if (!this.#cursors.has(log)) this.#cursors.set(log, head.firstOffset - 1)
      return
    }
    // Our cursor was of the log that is gone. Without one, the new log comes from its first record.
    this.#cursors.set(log, -1)
    if (this.#options.group === undefined && head.firstOffset > 0)
      throw new Problem('unavailable', `the log ${log} was made anew, and is read from its start`)
  }

  #enter(id: string): void {
    const parsed = parseId(id)
    if (parsed === undefined) throw noId(id)
    this.#broker = parsed.broker
    this.#partition = parsed.partition
    this.#log = `${parsed.broker}/${parsed.partition}`
    this.#prefix = `${this.#log}/`
  }

  #onNotice(event: string, data: string): void {
    const { consumer, onGap, onCut, onRevoke } = this.#options
    // Later versions may have other events.
    if (event !== 'gap' && event !== 'cut' && event !== 'revoke') return
    const notice = readNotice(event, data)
    if (event === 'gap') {
      const gap = { first: String(notice['first']), last: String(notice['last']), reason: String(notice['reason']) }
      const last = parseId(gap.last)
      if (last !== undefined) this.#cursors.set(`${last.broker}/${last.partition}`, last.offset)
      onGap?.(gap)
    } else if (event === 'cut') {
      const reason = String(notice['reason'])
      // To come back would take the name away again.
      this.cut =
        notice['code'] === 'replaced'
          ? new Problem('replaced', `another consumer ${consumer ?? ''} has connected`)
          : new Problem('unavailable', reason)
      onCut?.(reason)
    } else onRevoke?.(Number(notice['partition']))
  }
}

function noId(text: string): Problem {
  return new Problem('bad_request', `${JSON.stringify(text)} is no id of a record: is this a broker?`)
}

function readNotice(event: string, data: string): Readonly<Record<string, unknown>> {
  try {
    const notice: unknown = JSON.parse(data)
    if (typeof notice === 'object' && notice !== null) return notice as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new Problem('bad_request', `event: ${event} comes without a JSON object: is this a broker?`)
}
