/** The handlers that pass a request on to one broker, or to several, and put their answers together. */

import type { Answer, Request } from '#lib/http/http'
import { formatTraceparent, type Trace } from '#lib/trace'
import type { Tracer } from '#lib/tracing'
import { deadSuffix, isName, partitionOfKey, type Partition } from '#wire/ids'
import { Problem } from '#wire/problems'

import { joinAcks, splitAck, verbs, type AckAnswer, type AckPart, type AckPath } from './acks.ts'
import type { Cluster } from './cluster.ts'
import type { Member } from './members.ts'
import type { Answered } from './answer.ts'
import { Parcel } from './parcel.ts'
import { GivenUp, isNobodyThere, type Upstream } from './upstream.ts'

/** What the handlers need of the proxy. */
export interface Gateway {
  readonly cluster: Cluster
  upstream(member: Member): Upstream
  upstreamAt(url: string): Upstream
  /** Bytes of bodies that are kept for another try, of all requests together. */
  held: number
  readonly heldBytesMax: number
  /** Tells the operator, in one line, what does not mend itself. */
  warn(line: string): void
  /** Seconds after which a client may ask again when nobody can answer. */
  readonly retryAfterS: number
  readonly tracer?: Tracer | undefined
}

/** Statuses of a broker that cannot serve now: the next one is asked, and the member is marked. */
const failing: ReadonlySet<number> = new Set([500, 502, 503])

/** Sends a produce request to the owner of its partition, or to the next broker on the ring that takes it. */
export async function forwardProduce(gateway: Gateway, request: Request, body: Uint8Array): Promise<Answer> {
  const topic = nameOf(request, 'topic')
  const table = tableOf(gateway, topic)
  const partition = partitionFor(gateway, request, table.partitions)
  let path = `/produce?partition=${partition}`
  for (const [name, value] of request.query) {
    if (name !== 'key' && name !== 'partition') path += `&${encodeURIComponent(name)}=${encodeURIComponent(value)}`
  }
  return send(gateway, request, path, body, topic, partition)
}

/** Dead letters go to the owner of the one partition of `<topic>.dead`. */
export async function forwardDead(gateway: Gateway, request: Request, body: Uint8Array): Promise<Answer> {
  const topic = nameOf(request, 'topic')
  tableOf(gateway, topic)
  return send(gateway, request, `/dead?${request.query.toString()}`, body, topic + deadSuffix, 0 as Partition)
}

/** Takes what is said of records apart by broker and puts the answers together. */
export async function forwardAck(gateway: Gateway, request: Request, path: AckPath, body: Uint8Array): Promise<Answer> {
  const parts = splitAck(body)
  const answers = await Promise.all(
    parts.map(async (part) => [part, await ackPart(gateway, request, path, part)] as const),
  )
  return { json: joinAcks(path, answers) }
}

/** The whole answer of one broker, as it came. */
function passed({ status, type, retryAfter, body }: Answered): Answer {
  return { status, type, bytes: body, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } }
}

async function send(
  gateway: Gateway,
  request: Request,
  path: string,
  view: Uint8Array,
  topic: string,
  partition: Partition,
): Promise<Answer> {
  const { cluster, retryAfterS: retry_after_s } = gateway
  if (gateway.held + view.length > gateway.heldBytesMax) {
    throw new Problem('unavailable', 'the proxy holds as many unanswered bodies as it may', { retry_after_s })
  }
  // The view is the engine's after the first await, and the body may have to be sent a second time.
  const parcel = new Parcel(view)
  const span = gateway.tracer?.child('proxy forward', request.trace, 'server')
  const headers = linesOf(request, span?.trace)
  gateway.held += parcel.length
  try {
    const tried = new Set<Member>()
    let last: Answered | undefined
    for (;;) {
      // Asked for anew each time: while one was tried others may have gone, or come.
      const member = untried(cluster.writersOf(topic, partition), tried)
      if (member === undefined) break
      tried.add(member)
      const answer = await attempt(gateway, member, path, headers, parcel)
      if (answer !== undefined && !failing.has(answer.status) && !isBehind(cluster, topic, problemCode(answer))) {
        return passed(answer)
      }
      last = answer ?? last
      // Nobody waits for the answer any more: who sent it will send it again, and must not find it written twice.
      if (request.closed.aborted) break
    }
    if (last !== undefined) return passed(last)
  } finally {
    gateway.held -= parcel.length
    parcel.done()
    span?.end({ 'messaging.destination.name': topic, 'messaging.destination.partition.id': String(partition) })
  }
  throw new Problem('unavailable', cluster.whyNoWriter(topic, partition), { retry_after_s })
}

function untried(writers: Iterable<Member>, tried: ReadonlySet<Member>): Member | undefined {
  for (const member of writers) if (!tried.has(member)) return member
  return undefined
}

/** Refusals of a broker that is well, and will take nothing for a while. */
const unwilling: ReadonlySet<string> = new Set(['starting', 'stopping', 'not_writable', 'draining'])

/** One broker's answer; nothing when there was none. Either way its member is told. */
async function attempt(
  gateway: Gateway,
  member: Member,
  path: string,
  headers: string,
  parcel: Parcel,
): Promise<Answered | undefined> {
  const { members } = gateway.cluster
  // It may have another address when the answer is there.
  const { url } = member
  try {
    const answer = await gateway.upstreamAt(url).post(path, headers, parcel)
    if (!failing.has(answer.status)) members.requestAnswered(url)
    else if (unwilling.has(problemCode(answer) ?? '')) {
      members.refusedRecords(url, `it answers ${answer.status}: ${String(jsonOf(answer.body)['detail'])}`)
    } else members.requestFailed(url, `it answers ${answer.status}`)
    return answer
  } catch (error) {
    // One that was given up is marked already, with the reason.
    if (!(error instanceof GivenUp)) members.requestFailed(url, (error as Error).message, isNobodyThere(error))
    return undefined
  }
}

async function ackPart(gateway: Gateway, request: Request, path: AckPath, part: AckPart): Promise<AckAnswer> {
  const member = gateway.cluster.members.byOrdinal(part.broker)
  if (member === undefined) {
    return gateway.cluster.complete
      ? { problem: { code: 'wrong_broker', extra: {} } }
      : { problem: { code: 'unavailable', extra: {} } }
  }
  // Its probes say when it can be asked again; one that hangs would keep the other brokers' answers waiting.
  if (member.state === 'down') return { problem: { code: 'unavailable', extra: {} } }
  const target = `${path}?${request.query.toString()}`
  const parcel = new Parcel(Buffer.from(JSON.stringify(part.body)))
  const answer = await attempt(gateway, member, target, linesOf(request), parcel)
  parcel.done()
  if (answer === undefined) return { problem: { code: 'unavailable', extra: {} } }
  const json = jsonOf(answer.body)
  if (answer.status === 200) return { done: Number(json[verbs[path]] ?? part.ids.length) }
  const { code, extra } = Problem.fromBody(answer.status, json)
  return { problem: { code, extra } }
}

/**
 * Whether a refusal says that a broker has not heard of a topic, or of its last partitions, that others have: one that has just
 * joined. Another one is asked meanwhile.
 */
export function isBehind(cluster: Cluster, topic: string, code: string | undefined): boolean {
  return (code === 'unknown_topic' || code === 'unknown_partition') && cluster.topic(topic) !== undefined
}

/** The code of a refusal; nothing of another answer. */
export function problemCode({ status, body }: Answered): string | undefined {
  return status < 400 ? undefined : String(jsonOf(body)['code'])
}

const passedOn = ['content-type', 'producer-id', 'producer-sequence', 'accept', 'last-event-id'] as const

/** What of a request's headers is the broker's business. */
export function headersOf(request: Request): Record<string, string> {
  const headers: Record<string, string> = { 'x-request-id': request.id }
  const { trace } = request
  if (trace !== undefined) headers['traceparent'] = formatTraceparent(trace)
  for (const name of passedOn) {
    const value = request.header(name)
    if (value !== undefined) headers[name] = value
  }
  return headers
}

/** What no line of a head may hold: a line end that it brings, or makes when it is written as one byte, would begin another. */
const notInHead = /[^\t\x20-\x7e\x80-\xff]/

/** The same as the lines of a head. `own`: the span that the request is sent on behalf of. */
function linesOf(request: Request, own?: Trace): string {
  let lines = `x-request-id: ${request.id}\r\n`
  const trace = own ?? request.trace
  if (trace !== undefined) lines += `traceparent: ${formatTraceparent(trace)}\r\n`
  for (const name of passedOn) {
    const value = request.header(name)
    if (value === undefined) continue
    if (notInHead.test(value)) throw new Problem('bad_request', `${name} holds what no header can hold`)
    lines += `${name}: ${value}\r\n`
  }
  return lines
}

/** A required parameter that must be a name. */
export function nameOf(request: Request, parameter: string): string {
  const name = request.query.get(parameter)
  if (name === null || name === '') throw new Problem('missing_parameter', `${parameter} is missing`)
  if (!isName(name)) throw new Problem('bad_name', `${parameter}=${name} is not a name`)
  return name
}

function tableOf(gateway: Gateway, topic: string): { readonly partitions: number } {
  const { cluster } = gateway
  if (!cluster.complete) {
    const silent = cluster.members.all.filter((member) => member.ordinal === undefined).map((member) => member.url)
    throw new Problem('starting', `not heard of yet: ${silent.join(', ') || 'the topics'}`, {
      retry_after_s: gateway.retryAfterS,
    })
  }
  const table = cluster.topic(topic)
  if (table !== undefined) return table
  const known = [...cluster.topics].filter((name) => !name.endsWith(deadSuffix))
  throw new Problem('unknown_topic', `there is no topic ${topic}; there are ${known.join(', ')}`)
}

function partitionFor({ cluster }: Gateway, request: Request, partitions: number): Partition {
  const given = request.query.get('partition')
  const key = request.query.get('key')
  if (given !== null && key !== null) {
    throw new Problem('bad_parameter', 'partition and key exclude each other: give the one or the other')
  }
  if (given !== null) {
    if (!/^\d{1,5}$/.test(given))
      throw new Problem('bad_parameter', `partition=${given}: want a whole number of at least 0`)
    const partition = Number(given)
    if (partition >= partitions)
      throw new Problem('unknown_partition', `there are the partitions 0 to ${partitions - 1}`)
    return partition as Partition
  }
  return key === null ? cluster.turn(partitions) : partitionOfKey(key, partitions)
}

function jsonOf(body: Buffer): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'))
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
