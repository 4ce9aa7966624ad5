/**
 * What one connection of a consumer brings: records, and what the broker says of them.
 *
 * The offsets of a log follow each other, unless the broker says otherwise: by a head line, where it goes on elsewhere, or by
 * `event: gap`, where there is no record. What is missing without a word was lost on the way, and an acknowledgement of what
 * came behind it would be one of what never came: so that ends the connection, and it comes again.
 */

import { parseBatchHead, parseLogHead, traceOf, type HeadTrace, type LogHead } from './frames.ts'
import { parseId } from './ids.ts'
import { Problem } from './problems.ts'
import type { SseEvent } from './sse.ts'

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

/** Who reads, and whom it tells. */
export interface InboxOptions {
  /** With a group the broker remembers what is acknowledged; without one this is a plain reader. */
  readonly group?: string | undefined
  /** The name by which the broker knows this consumer again. */
  readonly consumer?: string | undefined
  /** How the group shares its records; `exclusive` unless told. In a shared one acknowledge by {@link Consumer.ackEach}. */
  readonly mode?: 'exclusive' | 'shared' | undefined
  readonly onGap?: ((gap: Gap) => void) | undefined
  /** The broker ended the stream, and why; unless it was replaced, the consumer connects again by itself. */
  readonly onCut?: ((reason: string) => void) | undefined
  /** Another consumer of the group takes this partition. */
  readonly onRevoke?: ((partition: number) => void) | undefined
  /** A batch of a trace begins: told before its records. */
  readonly onTrace?: ((batch: TracedBatch) => void) | undefined
}

/** What one connection brought, until it is taken. */
export class Inbox {
  readonly #options: InboxOptions
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
  /** The offset that comes next in that log; `undefined` where any may: shared records, and a log of which there was no head line. */
  #next: number | undefined
  /** Why the broker ended the stream. */
  cut: Problem | undefined

  constructor(options: InboxOptions, logs: Map<string, LogHead>, cursors: Map<string, number>) {
    this.#options = options
    this.#logs = logs
    this.#cursors = cursors
  }

  take(): readonly Message[] {
    this.#leave()
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
    if (offset !== this.#next) this.#assertTold(id, offset)
    this.#next = offset + 1
    this.#messages.push({ id, broker: this.#broker, partition: this.#partition, offset, attempt: this.#attempt, data })
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
    this.#leave()
    this.#cursors.set(log, head.firstOffset - 1)
    if (known === undefined || known.logId === head.logId) return
    if (this.#options.group !== undefined || head.firstOffset === 0) return
    // Our cursor was of the log that is gone. Without one, the new log comes from its first record.
    this.#cursors.set(log, -1)
    throw new Problem('unavailable', `the log ${log} was made anew, and is read from its start`)
  }

  /** @throws Problem when records between the last one and this one did not come, and nobody said why */
  #assertTold(id: string, offset: number): void {
    if (!Number.isSafeInteger(offset)) throw noId(id)
    if (this.#next === undefined || this.#options.mode === 'shared') return
    const between = offset > this.#next ? `${offset - this.#next} records before it did not come` : 'it had come before'
    throw new Problem(
      'unavailable',
      `${id} came where ${this.#log}/${this.#next} is next: ${between}, and no line of the stream says why`,
    )
  }

  #enter(id: string): void {
    this.#leave()
    const parsed = parseId(id)
    if (parsed === undefined) throw noId(id)
    this.#broker = parsed.broker
    this.#partition = parsed.partition
    this.#log = `${parsed.broker}/${parsed.partition}`
    this.#prefix = `${this.#log}/`
    const cursor = this.#cursors.get(this.#log)
    this.#next = cursor === undefined ? undefined : cursor + 1
  }

  /** The run of one log ends: its cursor is kept here while it lasts, for a map is not to be asked for each record. */
  #leave(): void {
    if (this.#prefix !== '' && this.#next !== undefined) this.#cursors.set(this.#log, this.#next - 1)
    this.#prefix = ''
  }

  /** There is no record up to an offset. Where the stream goes on behind that, the gap is told after it. */
  #pass(log: string, last: number): void {
    this.#leave()
    this.#cursors.set(log, Math.max(last, this.#cursors.get(log) ?? -1))
  }

  #onNotice(event: string, data: string): void {
    const { consumer, onGap, onCut, onRevoke } = this.#options
    // Later versions may have other events.
    if (event !== 'gap' && event !== 'cut' && event !== 'revoke') return
    const notice = readNotice(event, data)
    if (event === 'gap') {
      const gap = { first: String(notice['first']), last: String(notice['last']), reason: String(notice['reason']) }
      const last = parseId(gap.last)
      if (last !== undefined) this.#pass(`${last.broker}/${last.partition}`, last.offset)
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
