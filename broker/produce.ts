/** `POST /produce` and `POST /dead`: a body becomes one append to one log, and is answered when that is durable. */

import type { Answer, Request } from '#lib/http/http'
import { readQuery, query } from '#lib/http/query'
import type { Tracer } from '#lib/tracing'
import type { BatchHead } from '#wire/frames'
import { deadSuffix, formatId, isName, type Offset } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import type { Log } from './log/log.ts'
import type { Appended, NotWritten, Numbered } from './log/types.ts'
import { readRecords, type BodyKind, type Records } from './log/records.ts'
import type { Topic } from './topic.ts'
import { inTrace } from './traces.ts'

/** Told of each append that was acknowledged. */
export type OnProduced = (topic: string, records: number) => void

const kinds: ReadonlyMap<string, BodyKind> = new Map([
  ['application/x-ndjson', 'ndjson'],
  ['application/json', 'json'],
  ['text/plain', 'text'],
])

/** Made once: four objects a request otherwise (decision 180). */
const produceParameters = {
  topic: query.text({ required: true }),
  partition: query.integer({ min: 0 }),
  key: query.text(),
  unwrap: query.choice(['payload']),
} as const

/** Seconds after which a producer may try again when the disk, or the partition, is full: consumers need time to free it. */
const fullRetryS = 5
const memoryFullRetryS = 1
const drainingRetryS = 1

/** Writes the records of a body to the log of their partition. */
export function produce(
  broker: Broker,
  request: Request,
  body: Uint8Array,
  recordBytesMax: number,
  onProduced: OnProduced,
  tracer?: Tracer,
): Promise<Answer> {
  const { topic: name, partition, key, unwrap } = readQuery(request, produceParameters)
  if (name.endsWith(deadSuffix)) throw new Problem('dead_topic', `${name} holds dead letters; send to /dead?topic=T`)
  if (partition !== undefined && key !== undefined) {
    throw new Problem('bad_parameter', 'partition and key exclude each other: give the one or the other')
  }
  const topic = topicOf(broker, name)
  const kind = kindOf(request)
  const records =
    unwrap === undefined ? accepted(readRecords(body, kind, recordBytesMax)) : unwrapped(body, kind, recordBytesMax)
  const appended = (fields?: BatchHead['fields']): Promise<Answer> =>
    append(broker, topic, request, records, partition, key, onProduced, fields)
  const { trace } = request
  return trace?.sampled === true ? inTrace(tracer, trace, { 'messaging.destination.name': name }, appended) : appended()
}

/** Writes dead letters: lines of JSON with at least a `reason`. */
export function bury(
  broker: Broker,
  request: Request,
  body: Uint8Array,
  recordBytesMax: number,
  onProduced: OnProduced,
): Promise<Answer> {
  const { topic: name } = readQuery(request, { topic: query.text({ required: true }) })
  if (name.endsWith(deadSuffix)) throw new Problem('dead_topic', 'dead letters have no dead letters of their own')
  topicOf(broker, name)
  const topic = topicOf(broker, name + deadSuffix)
  const kind = kindOf(request)
  if (kind === 'text')
    throw new Problem('unsupported_type', 'send application/x-ndjson: a dead letter is an object with a reason')
  const records = accepted(readRecords(body, kind, recordBytesMax))
  checkLetters(records)
  return append(broker, topic, request, records, 0, undefined, onProduced)
}

/** The topic of that name, or the problem that there is none. */
export function topicOf(broker: Broker, name: string): Topic {
  if (!isName(name)) throw new Problem('bad_name', `topic=${name} is not a name`)
  const topic = broker.topic(name)
  if (topic?.isClosed) {
    throw new Problem('starting', `${name} is being opened with other options`, { retry_after_s: 1 })
  }
  if (topic !== undefined) return topic
  const known = [...broker.topics].filter((each) => !each.isDead).map((each) => each.name)
  throw new Problem('unknown_topic', `there is no topic ${name}; there are ${known.join(', ')}`)
}

/** The problem that stands for a write that did not come to be. */
export function notWritten(outcome: NotWritten): Problem {
  if (outcome === 'memory_full') {
    return new Problem('memory_full', 'nothing was written', { retry_after_s: memoryFullRetryS })
  }
  return outcome === 'disk_full'
    ? new Problem('disk_full', 'nothing was written', { retry_after_s: fullRetryS })
    : new Problem('not_writable', 'the disk refused a write; nothing of this request was kept', {
        retry_after_s: fullRetryS,
      })
}

async function append(
  broker: Broker,
  topic: Topic,
  request: Request,
  records: Records,
  partition: number | undefined,
  key: string | undefined,
  onProduced: OnProduced,
  fields?: BatchHead['fields'],
): Promise<Answer> {
  const numbered = numberOf(request)
  const log = topic.logFor(partition, key)
  if (log === undefined) {
    throw new Problem('unknown_partition', `${topic.name} has the partitions 0 to ${topic.logs.length - 1}`)
  }
  if (numbered !== undefined && partition === undefined) {
    throw new Problem('bad_sequence', 'a producer numbers its records for one partition: name it by partition=P')
  }
  if (broker.draining) {
    throw new Problem('draining', `broker ${broker.ordinal} is being emptied; nothing was written`, {
      retry_after_s: drainingRetryS,
    })
  }
  refuseWhenFull(broker, topic, log)
  const { first, count, duplicate } = await write(broker, topic, log, records, numbered, onProduced, fields)
  return { json: answerOf(topic, log, first, count, duplicate) }
}

/** Appends records to a log of a topic; resolves when they are as durable as the topic says. */
export async function write(
  broker: Broker,
  topic: Topic,
  log: Log,
  records: Records,
  numbered: Numbered | undefined,
  onProduced: OnProduced,
  fields?: BatchHead['fields'],
): Promise<Appended> {
  const count = records.count
  const appended = log.append(records, numbered, broker.clock.wallMs(), fields)
  if (typeof appended === 'string') throw notWritten(appended)
  if ('expected' in appended) {
    throw new Problem('sequence_overlap', `record ${appended.expected} is the next one of this producer`, {
      expected: appended.expected,
    })
  }
  if (!appended.duplicate) broker.floor.take(records.bytes.length)
  const outcome = await appended.done
  if (outcome !== 'durable') throw notWritten(outcome)
  if (!appended.duplicate) onProduced(topic.name, count)
  return appended
}

/** Nothing is taken over a limit; whoever reads and acknowledges goes on, and so makes room. */
export function refuseWhenFull({ floor }: Broker, topic: Topic, log: Log): void {
  const full = topic.isDead ? floor.reachedByDead : floor.reached
  if (full !== undefined) throw new Problem('disk_full', `nothing was written: ${full}`, { retry_after_s: fullRetryS })
  const { maxBytes } = topic.options
  if (log.bytes < maxBytes) return
  throw new Problem(
    'partition_full',
    `nothing was written: partition ${log.partition} of ${topic.name} takes ${log.bytes} bytes, its max_bytes is ${maxBytes}`,
    { retry_after_s: fullRetryS, limit_bytes: maxBytes },
  )
}

function answerOf(topic: Topic, log: Log, first: Offset, count: number, duplicate: boolean): Record<string, unknown> {
  const { durability } = topic.options
  // A batch that is known to be a repeat, but whose answer is forgotten: it stands somewhere, we do not say where.
  if (duplicate && count === 0) return { count, durability, duplicate }
  return {
    id: formatId(log.broker, log.partition, first),
    last_id: formatId(log.broker, log.partition, (first + count - 1) as Offset),
    count,
    durability,
    ...(duplicate ? { duplicate } : {}),
  }
}

function accepted(records: ReturnType<typeof readRecords>): Records {
  if (!('refused' in records)) return records
  const { refused, detail, line } = records
  throw new Problem(
    refused,
    line === undefined ? detail : `line ${line}: ${detail}`,
    line === undefined ? {} : { line },
  )
}

function unwrapped(body: Uint8Array, kind: BodyKind, recordBytesMax: number): Records {
  if (kind !== 'json') throw new Problem('unsupported_type', 'unwrap=payload takes application/json')
  const { bytes } = accepted(readRecords(body, 'json', Infinity))
  const payload = (JSON.parse(bytes.toString('utf8')) as { readonly payload?: unknown } | null)?.payload
  if (payload === undefined) throw new Problem('bad_record', 'unwrap=payload wants {"payload": …}')
  return typeof payload === 'string'
    ? accepted(readRecords(Buffer.from(payload), 'text', recordBytesMax))
    : accepted(readRecords(Buffer.from(JSON.stringify(payload)), 'ndjson', recordBytesMax))
}

function kindOf(request: Request): BodyKind {
  const given = request.header('content-type') ?? ''
  const kind = kinds.get(given) ?? kinds.get((given.split(';')[0] as string).trim().toLowerCase())
  if (kind === undefined) {
    const types = [...kinds.keys()].join(', ')
    throw new Problem('unsupported_type', `Content-Type is ${given === '' ? 'missing' : given}: send one of ${types}`)
  }
  return kind
}

function numberOf(request: Request): Numbered | undefined {
  const producer = request.header('producer-id')
  const sequence = request.header('producer-sequence')
  if (producer === undefined && sequence === undefined) return undefined
  if (producer === undefined || !isName(producer))
    throw new Problem('bad_sequence', 'Producer-Id is missing or not a name')
  if (sequence === undefined || !/^\d{1,16}$/.test(sequence) || !Number.isSafeInteger(Number(sequence))) {
    throw new Problem('bad_sequence', 'Producer-Sequence is missing or not a number from 0')
  }
  return { producer, sequence: Number(sequence) }
}

function checkLetters({ bytes, lines, lineCount }: Records): void {
  for (let line = 0; line < lineCount; line++) {
    let letter: unknown
    try {
      letter = JSON.parse(bytes.toString('utf8', lines[2 * line], lines[2 * line + 1]))
    } catch {
      letter = undefined
    }
    if (typeof (letter as { reason?: unknown } | null | undefined)?.reason !== 'string') {
      throw new Problem('bad_record', `line ${line + 1} is no JSON object with a text "reason"`, { line: line + 1 })
    }
  }
}
