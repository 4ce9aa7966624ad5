/** `GET /consume`: who is connected, and what they asked for. */

import type { Answer, Request, Sink } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { isName, type Offset, type Partition } from '#wire/ids'
import { Problem } from '#wire/problems'
import { linesType, pullLimits, wantsLines } from '#wire/pull'

import type { Broker } from './broker.ts'
import { areIds, startsOf } from './from.ts'
import type { Group } from './groups/group.ts'
import type { Log } from './log/log.ts'
import { notWritten, topicOf } from './produce.ts'
import { Pull, pullParameters } from './pull.ts'
import { GroupSession, PlainSession, type Session } from './groups/session.ts'
import type { Member, Mode } from './groups/sharing.ts'
import { ConsumeStream } from './stream.ts'
import type { Topic } from './topic.ts'

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
  readonly #pulls = new Set<Pull>()
  /** Streams that were ended because nobody reads them: the end is behind what nobody reads. */
  #overdue: Sink[] = []
  #unnamed = 0

  constructor(broker: Broker, defaults: ConsumeDefaults, onConsumed: OnConsumed) {
    this.#broker = broker
    this.#defaults = defaults
    this.#onConsumed = onConsumed
  }

  /** How many streams are open. */
  get streams(): number {
    return this.#streams.size
  }

  /** Says on each idle stream that we are alive. */
  beat(): void {
    for (const sink of this.#overdue.splice(0)) sink.abort()
    for (const stream of this.#streams) {
      const sink = stream.beat()
      if (sink !== undefined) this.#overdue.push(sink)
    }
  }

  /** Ends all streams, as when the process stops. */
  cutAll(): void {
    for (const stream of this.#streams) stream.cut('stopping', 'the broker is stopping')
    for (const pull of this.#pulls) pull.end()
  }

  /** Opens an endless event stream of a topic; or answers with some records, where lines of JSON are asked for. */
  async open(request: Request): Promise<Answer> {
    if (wantsLines(request.header('accept'))) return this.#pull(request)
    const asked = readQuery(request, {
      topic: query.text({ required: true }),
      group: query.text(),
      mode: query.choice(['exclusive', 'shared']),
      partition: query.integer({ min: 0 }),
      consumer: query.text(),
      max_in_flight: query.integer({ min: 1, max: 10_000_000 }),
      visibility: query.duration({ min: '1s', max: '12h' }),
      from: query.text(),
    })
    const topic = topicOf(this.#broker, asked.topic)
    const logs = logsOf(topic, asked.partition)
    if (asked.group === undefined) {
      if (asked.mode !== undefined) throw new Problem('bad_parameter', 'mode is of a group: name one by group=G')
      const starts = await this.#startsOf(cursorOf(asked.from, request, logs), logs)
      return this.#stream(topic, logs, (stream) => {
        // The end is looked up here, when the stream begins: what is appended after that belongs to it.
        const from = new Map(logs.map((log) => [log.partition, starts.get(log.partition) ?? log.end]))
        stream.announce(from)
        return new PlainSession(logs, from, () => stream.wake())
      })
    }
    const group = await this.#group(topic, asked.group, asked.from, asked.mode ?? 'exclusive')
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

  /** Answers with the records that there are, or that come while the caller waits. */
  async #pull(request: Request): Promise<Answer> {
    const asked = readQuery(request, pullParameters)
    const topic = topicOf(this.#broker, asked.topic)
    logsOf(topic, asked.partition)
    const group = await this.#group(topic, asked.group, asked.from, 'shared')
    const pull = new Pull(this.#broker.clock, topic, group, {
      partition: asked.partition as Partition | undefined,
      recordsMax: asked.max ?? pullLimits.recordsUsual,
      waitMs: asked.wait_ms ?? 0,
      visibilityMs: asked.visibility ?? this.#defaults.visibilityMs,
    })
    this.#pulls.add(pull)
    try {
      const { lines, records } = await pull.run(request.closed)
      this.#onConsumed(topic.name, records)
      return { type: linesType, bytes: lines }
    } finally {
      this.#pulls.delete(pull)
    }
  }

  async #startsOf(from: string | undefined, logs: readonly Log[]): Promise<ReadonlyMap<Partition, Offset>> {
    if (from === undefined) return new Map()
    const starts = await startsOf(from, logs, this.#broker)
    if (!areIds(from)) return starts
    // A log that the reader has no id of is one that it has seen nothing of.
    return new Map(logs.map((log) => [log.partition, starts.get(log.partition) ?? log.first]))
  }

  /** The group, made when there is none; the one who comes first says its mode. */
  async #group(topic: Topic, name: string, from: string | undefined, mode: Mode): Promise<Group> {
    if (!isName(name)) throw new Problem('bad_name', `group=${name} is not a name`)
    if (from !== undefined && from !== 'earliest' && from !== 'latest') {
      throw new Problem(
        'bad_parameter',
        `from=${from}: a group begins at earliest or latest, and then where it stopped`,
      )
    }
    const begin = { start: from ?? 'earliest', mode } as const
    let group: Group
    try {
      group = await topic.groups.open(name, begin, this.#broker.clock.wallMs())
    } catch (error) {
      const { outcome } = error as { readonly outcome?: 'disk_full' | 'not_writable' }
      throw outcome === undefined ? error : notWritten(outcome)
    }
    if (group.kind.mode === mode) return group
    throw new Problem('mode_mismatch', `group ${name} is ${group.kind.mode}, and this asks for ${mode}`)
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
