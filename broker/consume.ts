/** `GET /consume` and `POST /ack`: who is connected, what they asked for, and what they acknowledge. */

import type { Answer, Request, Sink } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { formatId, isName, parseId, type Offset, type Partition, type RecordId } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import type { Group, Member } from './groups/group.ts'
import type { Log } from './log/log.ts'
import { notWritten, topicOf } from './produce.ts'
import { GroupSession, PlainSession, type Session } from './groups/session.ts'
import { ConsumeStream } from './stream.ts'
import type { GroupStart, Topic } from './topic.ts'

/** What consumers get that do not ask for another. */
export interface ConsumeDefaults {
  readonly visibilityMs: number
  readonly maxInFlight: number
}

/** Told of records that were sent. */
export type OnConsumed = (topic: string, records: number) => void

/** All consume streams of a broker. */
export class Consumers {
  readonly #broker: Broker
  readonly #defaults: ConsumeDefaults
  readonly #onConsumed: OnConsumed
  readonly #streams = new Set<ConsumeStream>()
  readonly #members = new Map<Member, ConsumeStream>()
  #unnamed = 0

  constructor(broker: Broker, defaults: ConsumeDefaults, onConsumed: OnConsumed) {
    this.#broker = broker
    this.#defaults = defaults
    this.#onConsumed = onConsumed
  }

  /** Says on each idle stream that we are alive. */
  beat(): void {
    for (const stream of this.#streams) stream.beat()
  }

  /** Ends all streams, as when the process stops. */
  cutAll(): void {
    for (const stream of this.#streams) stream.cut('stopping', 'the broker is stopping')
  }

  /** Opens an endless event stream of a topic. */
  async open(request: Request): Promise<Answer> {
    const asked = readQuery(request, {
      topic: query.text({ required: true }),
      group: query.text(),
      // Shared mode comes with the whole of the groups; until then the one mode there is may be named.
      mode: query.choice(['exclusive']),
      partition: query.integer({ min: 0 }),
      consumer: query.text(),
      max_in_flight: query.integer({ min: 1, max: 10_000_000 }),
      visibility: query.duration({ min: '1s', max: '12h' }),
      from: query.text(),
    })
    const topic = topicOf(this.#broker, asked.topic)
    const logs = logsOf(topic, asked.partition)
    if (asked.group === undefined) {
      const starts = await startsOf(cursorOf(asked.from, request, logs), logs, this.#broker)
      return this.#stream(topic, logs, (stream) => {
        // The end is looked up here, when the stream begins: what is appended after that belongs to it.
        const from = new Map(logs.map((log) => [log.partition, starts.get(log.partition) ?? log.end]))
        stream.announce(from)
        return new PlainSession(logs, from, () => stream.wake())
      })
    }
    const group = await this.#group(topic, asked.group, asked.from)
    const name = asked.consumer ?? `unnamed-${++this.#unnamed}`
    if (!isName(name)) throw new Problem('bad_name', `consumer=${name} is not a name`)
    return this.#stream(topic, logs, (stream) => {
      const member: Member = {
        name,
        partition: asked.partition as Partition | undefined,
        maxInFlight: asked.max_in_flight ?? this.#defaults.maxInFlight,
        visibilityMs: asked.visibility ?? this.#defaults.visibilityMs,
        wake: () => stream.wake(),
        revoked: (partition) => stream.revoked(partition),
      }
      const earlier = group.memberNamed(name)
      if (earlier !== undefined)
        this.#members.get(earlier)?.cut('replaced', `replaced by a new connection of consumer ${name}`)
      this.#members.set(member, stream)
      return new GroupSession(this.#broker.clock, group, member)
    })
  }

  /** Acknowledges records; answered when that is as durable as the topic says. */
  async acknowledge(request: Request, body: Uint8Array): Promise<Answer> {
    const asked = readQuery(request, {
      topic: query.text({ required: true }),
      group: query.text({ required: true }),
      partition: query.integer({ min: 0 }),
    })
    const topic = topicOf(this.#broker, asked.topic)
    const group = topic.groupNamed(asked.group)
    if (group === undefined) throw new Problem('unknown_group', `topic ${topic.name} has no group ${asked.group}`)
    const { ids, upTo } = readAck(body)
    const named = [...ids, ...upTo]
    for (const id of named) this.#check(id, topic, asked.partition)
    const now = this.#broker.clock.monotonicMs()
    const refused: { id: string; code: string }[] = []
    const touched = new Set<Partition>()
    const note = (id: RecordId, result: string): void => {
      if (result === 'ok') touched.add(id.partition)
      else refused.push({ id: formatId(id.broker, id.partition, id.offset), code: result })
    }
    for (const id of ids) note(id, group.acknowledge(id.partition, id.offset, now))
    for (const id of upTo) note(id, group.acknowledgeUpTo(id.partition, id.offset, now))
    if (touched.size > 0) {
      const outcome = await topic.settle(group.name, touched, this.#broker.clock.wallMs())
      if (outcome !== 'durable') throw notWritten(outcome)
    }
    const acknowledged = named.length - refused.length
    if (refused.length === 0) return { json: { acknowledged } }
    const lost = refused.every(({ code }) => code === 'lease_lost')
    throw new Problem(
      lost ? 'lease_lost' : 'not_delivered',
      `${refused.length} of ${named.length} ids are not in flight`,
      {
        acknowledged,
        refused,
      },
    )
  }

  async #group(topic: Topic, name: string, from: string | undefined): Promise<Group> {
    if (!isName(name)) throw new Problem('bad_name', `group=${name} is not a name`)
    if (from !== undefined && from !== 'earliest' && from !== 'latest') {
      throw new Problem(
        'bad_parameter',
        `from=${from}: a group begins at earliest or latest, and then where it stopped`,
      )
    }
    const start: GroupStart = from ?? 'earliest'
    try {
      return await topic.group(name, start, this.#broker.clock.wallMs())
    } catch (error) {
      const { outcome } = error as { readonly outcome?: 'disk_full' | 'not_writable' }
      throw outcome === undefined ? error : notWritten(outcome)
    }
  }

  #check(id: RecordId, topic: Topic, partition: number | undefined): void {
    const text = formatId(id.broker, id.partition, id.offset)
    if (id.broker !== this.#broker.ordinal) {
      throw new Problem('wrong_broker', `${text} is of broker ${id.broker}, this is broker ${this.#broker.ordinal}`)
    }
    if (topic.logs[id.partition] === undefined) {
      throw new Problem('unknown_partition', `${text}: ${topic.name} has the partitions 0 to ${topic.logs.length - 1}`)
    }
    if (partition !== undefined && partition !== id.partition) {
      throw new Problem('bad_parameter', `${text} is not of partition=${partition}`)
    }
  }

  #stream(topic: Topic, logs: readonly Log[], begin: (stream: ConsumeStream) => Session): Answer {
    return {
      type: 'text/event-stream; charset=utf-8',
      stream: (sink: Sink) => {
        const stream = new ConsumeStream(sink, logs, (records) => this.#onConsumed(topic.name, records))
        const unwatch = topic.watch({
          grown: (added) => {
            if (logs === topic.logs) stream.grow(added)
          },
          closing: () =>
            stream.cut('stopping', `${topic.name} is being opened with other options, or the broker stops`),
        })
        this.#streams.add(stream)
        sink.onClose(() => {
          unwatch()
          this.#streams.delete(stream)
          for (const [member, itsStream] of this.#members) if (itsStream === stream) this.#members.delete(member)
        })
        // It may have been closed while this reader waited for where to begin.
        if (topic.isClosed) stream.cut('stopping', `${topic.name} is being opened with other options`)
        else stream.start(begin(stream))
      },
    }
  }
}

function logsOf(topic: Topic, partition: number | undefined): readonly Log[] {
  if (partition === undefined) return topic.logs
  const log = topic.logs[partition]
  if (log === undefined) {
    throw new Problem('unknown_partition', `${topic.name} has the partitions 0 to ${topic.logs.length - 1}`)
  }
  return [log]
}

/**
 * What a plain reader asked for. A browser that reconnects has one id, which will do for one log; its address still holds
 * the `from` that it first came with.
 */
function cursorOf(from: string | undefined, request: Request, logs: readonly Log[]): string | undefined {
  const lastId = request.header('last-event-id')
  if (lastId === undefined || lastId === '') return from
  if (logs.length > 1) {
    if (from !== undefined) return from
    throw new Problem(
      'cursor_needed',
      `Last-Event-ID names one log, and there are ${logs.length}: give from=, or partition=`,
    )
  }
  return lastId
}

/** Where a plain reader begins in each log; the end of it where nothing is said. */
async function startsOf(
  from: string | undefined,
  logs: readonly Log[],
  broker: Broker,
): Promise<ReadonlyMap<Partition, Offset>> {
  if (from === undefined || from === 'latest') return new Map()
  if (from === 'earliest') return new Map(logs.map((log) => [log.partition, log.first]))
  const timeMs = /^\d{4}-/.test(from) ? Date.parse(from) : NaN
  if (!Number.isNaN(timeMs)) {
    return new Map(await Promise.all(logs.map(async (log) => [log.partition, await log.offsetAt(timeMs)] as const)))
  }
  return afterIds(from, logs, broker)
}

/** After the ids, one a log. A bare offset will do where there is one log. */
function afterIds(from: string, logs: readonly Log[], broker: Broker): ReadonlyMap<Partition, Offset> {
  const starts = new Map<Partition, Offset>()
  for (const text of from.split(',')) {
    const bare = /^\d{1,15}$/.test(text)
    if (bare && logs.length !== 1)
      throw new Problem('cursor_needed', `${text} is an offset, and there are ${logs.length} logs`)
    const id = bare
      ? { broker: broker.ordinal, partition: (logs[0] as Log).partition, offset: Number(text) as Offset }
      : parseId(text)
    if (id === undefined) {
      throw new Problem(
        'bad_parameter',
        `from=${from}: want earliest, latest, an RFC 3339 time, or ids such as 0/3/1234`,
      )
    }
    if (id.broker !== broker.ordinal) {
      throw new Problem('wrong_broker', `${text} is of broker ${id.broker}, this is broker ${broker.ordinal}`)
    }
    const log = logs.find((each) => each.partition === id.partition)
    if (log === undefined) throw new Problem('unknown_partition', `${text} is of no partition of this stream`)
    // Not moved up to the first record: what was removed meanwhile is to be told.
    starts.set(id.partition, Math.min(id.offset + 1, log.end) as Offset)
  }
  // A log that the reader has no id of is one that it has seen nothing of.
  for (const log of logs) if (!starts.has(log.partition)) starts.set(log.partition, log.first)
  return starts
}

function readAck(body: Uint8Array): { readonly ids: readonly RecordId[]; readonly upTo: readonly RecordId[] } {
  const want = 'want {"id":"0/3/17"}, {"ids":["0/3/17"]} or {"up_to":["0/3/17"]}'
  let given: { readonly id?: unknown; readonly ids?: unknown; readonly up_to?: unknown } | null
  try {
    given = JSON.parse(Buffer.from(body).toString('utf8')) as typeof given
  } catch {
    throw new Problem('bad_request', `the body is no JSON: ${want}`)
  }
  const ids = readIds(given?.ids ?? (given?.id === undefined ? [] : [given.id]), want)
  const upTo = readIds(given?.up_to ?? [], want)
  if (ids.length + upTo.length === 0) throw new Problem('bad_request', `the body names no id: ${want}`)
  return { ids, upTo }
}

function readIds(texts: unknown, want: string): RecordId[] {
  if (!Array.isArray(texts)) throw new Problem('bad_request', want)
  return texts.map((text: unknown) => {
    const id = typeof text === 'string' ? parseId(text) : undefined
    if (id === undefined) throw new Problem('bad_request', `${JSON.stringify(text)} is no id: ${want}`)
    return id
  })
}
