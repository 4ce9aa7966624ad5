/** `GET /consume` through the proxy: every broker is opened, whether or not it holds the partition yet. */

import type { Answer, Request } from '#lib/http/http'
import type { Clock } from '#lib/clock'
import { Problem } from '#wire/problems'
import { wantsLines } from '#wire/pull'
import { defaultBackoff, type Backoff } from '#wire/retry'

import type { Cluster } from './cluster.ts'
import { FanIn, fromFor, type Source } from './fanin.ts'
import { headersOf, isBehind, nameOf, type Gateway } from './forward.ts'
import type { Member } from './members.ts'
import { forwardPull } from './pull.ts'
import type { Opened } from './upstream.ts'

/** A broker that came back is found again within about a second. */
const backoff: Backoff = { ...defaultBackoff, longestMs: 1_000 }

/** All consume streams of a proxy. */
export class FanIns {
  readonly #gateway: Gateway
  readonly #clock: Clock
  readonly #newName: () => string
  readonly #open = new Set<FanIn>()

  /** @param newName names a consumer that has not said who it is: the same for all brokers */
  constructor(gateway: Gateway, clock: Clock, newName: () => string) {
    this.#gateway = gateway
    this.#clock = clock
    this.#newName = newName
  }

  beat(): void {
    for (const fanIn of this.#open) fanIn.beat()
  }

  /** Opens brokers that have come, for every stream, and leaves those that have gone. */
  renew(): void {
    const { all } = this.#gateway.cluster.members
    for (const fanIn of this.#open) fanIn.renew(all)
  }

  endAll(): void {
    for (const fanIn of this.#open) fanIn.end()
  }

  /** Opens a stream over all brokers; a refusal of any of them (no such topic, a wrong parameter) is the answer. */
  async open(request: Request): Promise<Answer> {
    if (wantsLines(request.header('accept'))) return forwardPull(this.#gateway, request, this.#clock)
    const topic = nameOf(request, 'topic')
    const hasGroup = request.query.has('group')
    const consumer = request.query.get('consumer') ?? (hasGroup ? this.#newName() : undefined)
    const startedAt = new Date(this.#clock.wallMs()).toISOString()
    const { members } = this.#gateway.cluster
    const sourceOf = (member: Member) => this.#source(request, member, hasGroup, consumer, startedAt)
    // One that has not told its number yet may be one of the others, at a new address.
    const known = members.all.filter(({ ordinal }) => ordinal !== undefined)
    const sources = known.map(sourceOf)
    const opened = await Promise.all(sources.map((source) => source.first(request.closed).catch(() => undefined)))
    await refuseIfRefused(opened, ({ code }) => isBehind(this.#gateway.cluster, topic, code))
    if (opened.every((each) => each === undefined)) {
      throw new Problem('unavailable', 'no broker answers now', { retry_after_s: this.#gateway.retryAfterS })
    }
    return {
      type: 'text/event-stream; charset=utf-8',
      stream: (sink) => {
        const fanIn = new FanIn(sink, backoff, () => this.#clock.monotonicMs(), !hasGroup, sourceOf)
        this.#open.add(fanIn)
        sink.onClose(() => this.#open.delete(fanIn))
        for (const [at, member] of known.entries()) fanIn.follow(member, sources[at] as Source, opened[at])
        // Whoever came while the others were opened.
        fanIn.renew(members.all)
      },
    }
  }

  #source(
    request: Request,
    member: Member,
    hasGroup: boolean,
    consumer: string | undefined,
    startedAt: string,
  ): Source & { first(signal: AbortSignal): Promise<Opened> } {
    const { cluster } = this.#gateway
    const asked = lastEventId(request, hasGroup, cluster.members.all.length) ?? request.query.get('from') ?? undefined
    const open = (from: string | undefined, signal: AbortSignal): Promise<Opened> => {
      const query = new URLSearchParams(request.query)
      if (consumer !== undefined) query.set('consumer', consumer)
      if (from !== undefined) query.set('from', from)
      const headers = headersOf(request)
      delete headers['last-event-id']
      return this.#gateway.upstream(member).open(`/consume?${query.toString()}`, headers, signal)
    }
    const from = asked === undefined || member.ordinal === undefined ? asked : fromFor(asked, member.ordinal)
    // A reader of what is new, whose broker comes later: what was appended since the reader came is new to it.
    const late = asked === 'latest' || (asked === undefined && !hasGroup) ? startedAt : from
    return {
      first: (signal) => open(firstFrom(cluster, request, from), signal),
      open: (resumed, signal) => open(resumed ?? firstFrom(cluster, request, late), signal),
    }
  }
}

/**
 * Where a broker begins. To a group that others have already all of a new broker's records are new: it must not be made there
 * at their end.
 */
function firstFrom(cluster: Cluster, request: Request, from: string | undefined): string | undefined {
  const group = request.query.get('group')
  const isKnown = group !== null && cluster.hasGroup(request.query.get('topic') ?? '', group)
  return isKnown ? 'earliest' : from
}

/**
 * The id with which a browser comes back: it goes on behind it, whatever the address says. It names one log, which will do
 * where there is one.
 */
function lastEventId(request: Request, hasGroup: boolean, brokers: number): string | undefined {
  const id = request.header('last-event-id')
  if (id === undefined || id === '' || hasGroup) return undefined
  if (brokers > 1 || !request.query.has('partition')) {
    throw new Problem(
      'cursor_needed',
      'Last-Event-ID names one log, and this stream has several: give from=, one id a log',
    )
  }
  return id
}

/** Throws what a broker refuses; that one cannot serve now, or has not heard of the topic yet, is no refusal. */
async function refuseIfRefused(
  opened: (Opened | undefined)[],
  isPassing: (problem: Problem) => boolean,
): Promise<void> {
  for (const [at, stream] of opened.entries()) {
    if (stream === undefined || stream.status === 200) continue
    const text = await stream.text()
    opened[at] = undefined
    if (stream.status >= 500) continue
    let body: unknown
    try {
      body = JSON.parse(text)
    } catch {
      body = undefined
    }
    const problem = Problem.fromBody(stream.status, body)
    if (isPassing(problem)) continue
    for (const other of opened) other?.close()
    throw problem
  }
}
