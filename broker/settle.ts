/** `POST /ack`, `/nack` and `/extend`: what a consumer says of records that it was given. */

import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { formatId, parseId, type Partition, type RecordId } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import type { Group } from './groups/group.ts'
import type { AckRefusal } from './groups/progress.ts'
import { notWritten, topicOf } from './produce.ts'
import type { Topic } from './topic.ts'

/** An acknowledgement of 10,000 ids of the longest kind. */
export const settleBytesMax = 512 * 1024

/** A record that is to wait longer than this is better produced again. */
const delayMsMax = 12 * 3600 * 1000

/** Acknowledges records; answered when that is as durable as the topic says. */
export async function acknowledge(broker: Broker, request: Request, body: Uint8Array): Promise<Answer> {
  const { topic, group, partition } = groupOf(broker, request)
  const { ids, upTo } = idsIn(objectIn(body, []), true)
  if (upTo.length > 0 && group.kind.mode === 'shared') {
    throw new Problem('bad_request', 'up_to is for exclusive groups: in a shared one others have what stands between')
  }
  const say = sayer(broker, topic, partition, [...ids, ...upTo])
  const now = broker.clock.monotonicMs()
  say(ids, (id) => group.acknowledge(id.partition, id.offset, now))
  const { refused, touched } = say(upTo, (id) => group.acknowledgeUpTo(id.partition, id.offset, now))
  topic.groups.touch(group.name, now)
  if (touched.size > 0) {
    const outcome = await topic.groups.settle(group.name, touched, broker.clock.wallMs())
    if (outcome !== 'durable') throw notWritten(outcome)
  }
  return answerOf('acknowledged', ids.length + upTo.length, refused)
}

/** Takes records back, to be sent again after `delay_ms`. */
export function nack(broker: Broker, request: Request, body: Uint8Array): Answer {
  const { topic, group, partition } = groupOf(broker, request)
  const given = objectIn(body, ['delay_ms'])
  const { ids } = idsIn(given, false)
  const delayMs = given['delay_ms'] ?? 0
  if (typeof delayMs !== 'number' || !(delayMs >= 0 && delayMs <= delayMsMax)) {
    throw new Problem('bad_request', `delay_ms=${JSON.stringify(delayMs)}: want 0 to ${delayMsMax}`)
  }
  const now = broker.clock.monotonicMs()
  const { refused } = sayer(
    broker,
    topic,
    partition,
    ids,
  )(ids, (id) => group.giveBack(id.partition, id.offset, delayMs, now))
  return answerOf('given_back', ids.length, refused)
}

/** Gives more time for records, as much as their consumer asked for when it came. */
export function extend(broker: Broker, request: Request, body: Uint8Array): Answer {
  const { topic, group, partition } = groupOf(broker, request)
  const { ids } = idsIn(objectIn(body, []), false)
  const now = broker.clock.monotonicMs()
  const { refused } = sayer(broker, topic, partition, ids)(ids, (id) => group.extend(id.partition, id.offset, now))
  return answerOf('extended', ids.length, refused)
}

function groupOf(
  broker: Broker,
  request: Request,
): { readonly topic: Topic; readonly group: Group; readonly partition: number | undefined } {
  const asked = readQuery(request, {
    topic: query.text({ required: true }),
    group: query.text({ required: true }),
    partition: query.integer({ min: 0 }),
  })
  const topic = topicOf(broker, asked.topic)
  const group = topic.groups.named(asked.group)
  if (group === undefined) throw new Problem('unknown_group', `topic ${topic.name} has no group ${asked.group}`)
  return { topic, group, partition: asked.partition }
}

interface Refused {
  readonly id: string
  readonly code: AckRefusal
}

/** Checks all ids before the first is touched. Returns what says something of some of them, and adds up what came of it. */
function sayer(broker: Broker, topic: Topic, partition: number | undefined, named: readonly RecordId[]) {
  for (const id of named) check(broker, id, topic, partition)
  const refused: Refused[] = []
  const touched = new Set<Partition>()
  return (ids: readonly RecordId[], change: (id: RecordId) => AckRefusal | 'ok') => {
    for (const id of ids) {
      const outcome = change(id)
      if (outcome === 'ok') touched.add(id.partition)
      else refused.push({ id: formatId(id.broker, id.partition, id.offset), code: outcome })
    }
    return { refused, touched }
  }
}

function check(broker: Broker, id: RecordId, topic: Topic, partition: number | undefined): void {
  const text = formatId(id.broker, id.partition, id.offset)
  if (id.broker !== broker.ordinal) {
    throw new Problem('wrong_broker', `${text} is of broker ${id.broker}, this is broker ${broker.ordinal}`)
  }
  if (topic.logs[id.partition] === undefined) {
    throw new Problem('unknown_partition', `${text}: ${topic.name} has the partitions 0 to ${topic.logs.length - 1}`)
  }
  if (partition !== undefined && partition !== id.partition) {
    throw new Problem('bad_parameter', `${text} is not of partition=${partition}`)
  }
}

function answerOf(verb: string, count: number, refused: readonly Refused[]): Answer {
  const done = count - refused.length
  if (refused.length === 0) return { json: { [verb]: done } }
  const isLost = refused.every(({ code }) => code === 'lease_lost')
  const detail = `${refused.length} of ${count} ids are not in flight`
  throw new Problem(isLost ? 'lease_lost' : 'not_delivered', detail, { [verb]: done, refused })
}

const wants = 'want {"id":"0/3/17"}, {"ids":["0/3/17"]}'

/** @param options what may stand beside the ids */
function objectIn(body: Uint8Array, options: readonly string[]): Readonly<Record<string, unknown>> {
  let given: unknown
  try {
    given = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    throw new Problem('bad_request', `the body is no JSON: ${wants}`)
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new Problem('bad_request', wants)
  const known = ['id', 'ids', 'up_to', ...options]
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new Problem('bad_request', `${unknown} is not known: this path takes ${known.join(', ')}`)
  return given as Record<string, unknown>
}

function idsIn(
  given: Readonly<Record<string, unknown>>,
  mayBeUpTo: boolean,
): { readonly ids: readonly RecordId[]; readonly upTo: readonly RecordId[] } {
  const want = mayBeUpTo ? `${wants} or {"up_to":["0/3/17"]}` : wants
  if (!mayBeUpTo && given['up_to'] !== undefined) throw new Problem('bad_request', `up_to is for /ack alone: ${want}`)
  const ids = readIds(given['ids'] ?? (given['id'] === undefined ? [] : [given['id']]), want)
  const upTo = readIds(given['up_to'] ?? [], want)
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
