/** `GET /consume`: who is connected, and what they asked for. */

import type { Answer, Request, Sink } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { isName, parseId, type Offset, type Partition } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import type { Group } from './groups/group.ts'
import type { Log } from './log/log.ts'
import { notWritten, topicOf } from './produce.ts'
import { GroupSession, PlainSession, type Session } from './groups/session.ts'
import type { Member } from './groups/sharing.ts'
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
        dismissed: () => stream.cut('seek', `group ${group.name} goes on elsewhere: come back`),
      }
      const earlier = group.memberNamed(name)
      if (earlier !== undefined)
        this.#members.get(earlier)?.cut('replaced', `replaced by a new connection of consumer ${name}`)
      this.#members.set(member, stream)
      return new GroupSession(this.#broker.clock, group, member)
    })
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
