/**
 * `GET /dead`, `POST /dead/retry` and `POST /dead/drop`: a person looks through the dead letters of a topic, sends their
 * records again, or puts them away.
 *
 * A letter that was dealt with counts as acknowledged in a group that is kept for this: so it is known after a crash, and
 * the letter itself stays in the log for whoever wants to know what was.
 */

import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { deadSuffix, formatId, parseId, type Offset, type Partition } from '#wire/ids'
import { lettersDealtMax, lettersListedDefault, lettersListedMax } from '#wire/letters'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import type { Log } from './log/log.ts'
import { readRecords, type Records } from './log/records.ts'
import { openLetters, type Found, type Letter } from './open_letters.ts'
import { notWritten, type OnProduced, refuseWhenFull, topicOf, write } from './produce.ts'
import { deskGroup, type Topic } from './topic.ts'

/** A list of 10,000 ids of the longest kind. */
export const deskBytesMax = 512 * 1024

/** An answer ends where it has grown to this. */
const answerBytesMax = 4 * 1024 * 1024

/** The letters of a topic that nobody has dealt with, the oldest first. */
export async function listLetters(broker: Broker, request: Request): Promise<Answer> {
  const asked = readQuery(request, {
    topic: query.text({ required: true }),
    after: query.text(),
    limit: query.integer({ min: 0, max: lettersListedMax }),
  })
  const dead = deadOf(broker, asked.topic)
  const after = asked.after === undefined ? undefined : parseId(asked.after)
  if (asked.after !== undefined && after?.broker !== broker.ordinal) {
    throw new Problem('bad_parameter', `after=${asked.after}: want the id of a letter of broker ${broker.ordinal}`)
  }
  const { limit = lettersListedDefault } = asked
  const letters: Record<string, unknown>[] = []
  let bytes = 0
  let next: string | null = null
  for await (const { log, offset, atMs, letter } of openLetters(dead)) {
    const id = formatId(log.broker, log.partition, offset)
    if (
      after !== undefined &&
      (log.partition < after.partition || (log.partition === after.partition && offset <= after.offset))
    )
      continue
    if (letters.length === limit || bytes > answerBytesMax) {
      next = limit === 0 ? null : String(letters.at(-1)?.['id'])
      break
    }
    letters.push({ id, time: new Date(atMs).toISOString(), ...letter })
    bytes += JSON.stringify(letter).length
  }
  return { json: { topic: asked.topic, open: openCount(dead), letters, next } }
}

/** How many letters of a topic nobody has dealt with. */
export function openCount(dead: Topic): number {
  const desk = dead.groups.named(deskGroup)
  return dead.logs.reduce((sum, log) => sum + (desk?.figures(log.partition).lag ?? log.records), 0)
}

/** Sends the records of letters to their topic again, and then counts the letters as dealt with. */
export async function retryLetters(
  broker: Broker,
  request: Request,
  body: Uint8Array,
  recordBytesMax: number,
  onProduced: OnProduced,
): Promise<Answer> {
  return deal(broker, request, body, 'retried', async (topic, found) => {
    const kept: { readonly id: string; readonly why: string }[] = []
    const sent: Found[] = []
    const byLog = new Map<Log, Buffer[]>()
    for (const each of found) {
      const row = rowOf(each.letter, recordBytesMax)
      if ('why' in row) {
        kept.push({ id: formatId(each.log.broker, each.log.partition, each.offset), why: row.why })
        continue
      }
      const log = logFor(topic, each.letter)
      byLog.set(log, [...(byLog.get(log) ?? []), row.bytes])
      sent.push(each)
    }
    // Before the first of them, since what is written to one would be sent again when another refuses.
    for (const log of byLog.keys()) refuseWhenFull(broker, topic, log)
    for (const [log, rows] of byLog) {
      const records = readRecords(joined(rows), 'ndjson', recordBytesMax) as Records
      await write(broker, topic, log, records, undefined, onProduced)
    }
    return { done: sent, kept }
  })
}

/** Counts letters as dealt with. */
export function dropLetters(broker: Broker, request: Request, body: Uint8Array): Promise<Answer> {
  return deal(broker, request, body, 'dropped', async (_topic, found) => ({ done: found, kept: [] }))
}

/** Of each topic: requests go one after the other, or two would send one record twice. */
const turns = new WeakMap<Topic, Promise<unknown>>()

async function deal(
  broker: Broker,
  request: Request,
  body: Uint8Array,
  verb: string,
  work: (
    topic: Topic,
    found: readonly Found[],
  ) => Promise<{
    readonly done: readonly Found[]
    readonly kept: readonly { readonly id: string; readonly why: string }[]
  }>,
): Promise<Answer> {
  const asked = readQuery(request, { topic: query.text({ required: true }) })
  const dead = deadOf(broker, asked.topic)
  const topic = topicOf(broker, asked.topic)
  const ids = idsIn(body, broker, dead)
  // A turn that failed was told to who asked for it, and is no reason not to take the next.
  const turn = (turns.get(dead) ?? Promise.resolve())
    .catch(() => {})
    .then(async () => {
      const found: Found[] = []
      for await (const each of openLetters(dead)) {
        const id = formatId(each.log.broker, each.log.partition, each.offset)
        if (ids === undefined || ids.has(id)) found.push(each)
        if (found.length === (ids?.size ?? lettersDealtMax)) break
      }
      const { done, kept } = await work(topic, found)
      await settle(broker, dead, done)
      const unknown = ids === undefined ? 0 : ids.size - found.length
      return { json: { [verb]: done.length, kept, unknown, open: openCount(dead) } }
    })
  turns.set(dead, turn)
  return turn
}

async function settle(broker: Broker, dead: Topic, done: readonly Found[]): Promise<void> {
  if (done.length === 0) return
  const { clock } = broker
  const desk = await dead.groups.open(deskGroup, { start: 'earliest', mode: 'shared' }, clock.wallMs())
  for (const { log, offset } of done) desk.pass(log.partition, offset, (offset + 1) as Offset)
  const partitions = new Set<Partition>(done.map(({ log }) => log.partition))
  const outcome = await dead.groups.settle(deskGroup, partitions, clock.wallMs())
  if (outcome !== 'durable') throw notWritten(outcome)
}

function deadOf(broker: Broker, name: string): Topic {
  if (name.endsWith(deadSuffix))
    throw new Problem('dead_topic', `name the topic itself: ${name.slice(0, -deadSuffix.length)}`)
  topicOf(broker, name)
  return topicOf(broker, name + deadSuffix)
}

/** The record of a letter as a line; or why there is none. */
function rowOf({ row, origin }: Letter, recordBytesMax: number): { readonly bytes: Buffer } | { readonly why: string } {
  if (row === undefined || row === '') return { why: 'its row was not kept' }
  // What was a record once may be one again; a row of a file has to become one first.
  if (origin === undefined && !isObject(row)) return { why: 'it is a row of a file: mend the file and read that again' }
  const bytes = Buffer.from(row.replace(/\r?\n/g, ' '))
  const records = readRecords(bytes, 'ndjson', recordBytesMax)
  return 'refused' in records ? { why: records.detail } : { bytes }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** A record goes back to the partition that it came from, so that it stays with those of its key. */
function logFor(topic: Topic, { origin }: Letter): Log {
  const partition = origin === undefined ? undefined : parseId(origin)?.partition
  const own = partition === undefined ? undefined : topic.logs[partition]
  return own ?? (topic.logFor(undefined, undefined) as Log)
}

function joined(rows: readonly Buffer[]): Buffer {
  return Buffer.concat(rows.flatMap((row, at) => (at === 0 ? [row] : [Buffer.from('\n'), row])))
}

/** The ids that a body names; `undefined` for all. */
function idsIn(body: Uint8Array, { ordinal }: Broker, dead: Topic): ReadonlySet<string> | undefined {
  const want = 'want {"ids":["0/0/17"]} or {"all":true}'
  let given: unknown
  try {
    given = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    throw new Problem('bad_request', `the body is no JSON: ${want}`)
  }
  const { ids, all, ...rest } = (given ?? {}) as { readonly ids?: unknown; readonly all?: unknown }
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new Problem('bad_request', `${unknown} is not known here: ${want}`)
  if (all === true && ids === undefined) return undefined
  if (!Array.isArray(ids) || ids.length === 0 || all !== undefined) throw new Problem('bad_request', want)
  if (ids.length > lettersDealtMax)
    throw new Problem('bad_request', `${ids.length} ids: want ${lettersDealtMax} at most`)
  for (const id of ids) {
    const parsed = typeof id === 'string' ? parseId(id) : undefined
    if (parsed === undefined) throw new Problem('bad_request', `${JSON.stringify(id)} is no id: ${want}`)
    if (parsed.broker !== ordinal)
      throw new Problem('wrong_broker', `${id} is of broker ${parsed.broker}, this is broker ${ordinal}`)
    if (dead.logs[parsed.partition] === undefined)
      throw new Problem('unknown_partition', `${id}: ${dead.name} has one partition`)
  }
  return new Set(ids as string[])
}
