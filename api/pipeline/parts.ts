/** What the other roles say of themselves on `GET /status`, read with care: they may be of another version, or another program. */

import type { Counts } from '#store/store'
import { deadSuffix } from '#wire/ids'
import type { BrokerPart, Pipeline, TopicPart } from '../contract.ts'
import { keysTopic } from '../keys/bounds.ts'

/** What came of asking a role. */
export type Asked =
  | { readonly url: string; readonly body: Body }
  | { readonly url: string; readonly error: string; readonly state: 'down' | 'starting' }

export type Body = Readonly<Record<string, unknown>>

interface State {
  readonly state: Pipeline['store']['state']
  readonly error: string | null
}

/** Where the brokers behind a proxy are, and what it thinks of them. */
export interface ProxyMember {
  readonly url: string
  /** What its certificate names, where the URL has an address that the proxy looked up. */
  readonly serverName?: string | undefined
  readonly broker: number | null
  readonly draining: boolean
}

/** What the pipeline is told from. */
export interface Findings {
  readonly queue: Asked
  /** Its brokers, asked one by one; without a proxy the queue itself. */
  readonly brokers: readonly { readonly member: ProxyMember; readonly asked: Asked }[]
  readonly behindProxy: boolean
  readonly collector: Asked | undefined
  readonly streamer: Asked | undefined
  readonly store: Counts & { readonly bytes: number | undefined; readonly error: string | null }
}

/** The members that a proxy's status lists; `undefined` when it is no proxy's. */
export function membersOf(body: Body): ProxyMember[] | undefined {
  if (body['role'] !== 'proxy') return undefined
  const list = body['members'] ?? body['brokers']
  const rows = Array.isArray(list) ? list.map(bodyOf) : []
  return rows.flatMap((row) => {
    const url = textOf(row['url'])
    if (url === null) return []
    return [
      {
        url,
        serverName: textOf(row['server_name']) ?? undefined,
        broker: numberOf(row['ordinal'] ?? row['broker']),
        draining: row['state'] === 'draining',
      },
    ]
  })
}

export function pipelineOf(found: Findings, group: string, nowMs: number, demo: boolean): Pipeline {
  const topics = topicsOf(found.brokers.flatMap(({ asked }) => ('body' in asked ? [asked.body] : [])))
  const brokers = found.brokers.map(({ member, asked }) => brokerOf(member, asked))
  const proxy = found.behindProxy ? { ...stateOf(found.queue), url: found.queue.url } : null
  const streamer = found.streamer === undefined ? null : streamerOf(found.streamer)
  const collector = found.collector === undefined ? null : collectorOf(found.collector)
  const { error, bytes, ...counts } = found.store
  const store = { state: error === null ? ('up' as const) : ('down' as const), error, ...counts, bytes: bytes ?? null }
  const parts: State[] = [...brokers, store, ...[proxy, streamer, collector].filter((part) => part !== null)]
  const groups = topics.flatMap((topic) => topic.groups)
  return {
    as_of: new Date(nowMs).toISOString(),
    demo,
    state: brokers.length > 0 && parts.every(({ state }) => state === 'up') ? 'ok' : 'degraded',
    proxy,
    brokers,
    topics,
    streamer,
    collector,
    store,
    totals: {
      stored: store.stored,
      // Each dead letter of the streamer, too, is one of the broker's; the store counts those of the collector.
      dead: topics.reduce((total, topic) => total + topic.dead, 0),
      lag: groups.reduce((total, { lag }) => total + lag, 0),
      pending: groups.filter(({ name }) => name === group).reduce((total, { lag }) => total + lag, 0),
    },
  }
}

function stateOf(asked: Asked): State {
  return 'body' in asked ? { state: 'up', error: null } : { state: asked.state, error: asked.error }
}

function brokerOf(member: ProxyMember, asked: Asked): BrokerPart {
  const body = 'body' in asked ? asked.body : {}
  const state = stateOf(asked)
  return {
    ...(state.state === 'up' && member.draining ? { state: 'draining', error: 'it is being drained' } : state),
    broker: numberOf(body['broker']) ?? member.broker,
    url: asked.url,
    version: textOf(body['version']),
    uptime_s: numberOf(body['uptime_s']),
  }
}

/** Topics summed over the brokers: each has a part of every topic's logs. */
function topicsOf(brokers: readonly Body[]): TopicPart[] {
  const topics = new Map<string, TopicPart>()
  const dead = new Map<string, number>()
  for (const broker of brokers) {
    for (const [name, value] of Object.entries(bodyOf(broker['topics']))) {
      // The API's own is no part of anybody's pipeline.
      if (name === keysTopic || name === keysTopic + deadSuffix) continue
      const body = bodyOf(value)
      if (name.endsWith(deadSuffix)) {
        const topic = name.slice(0, -deadSuffix.length)
        dead.set(topic, (dead.get(topic) ?? 0) + countOf(body['records']))
        continue
      }
      const before = topics.get(name)
      topics.set(name, {
        name,
        records: countOf(body['records']) + (before?.records ?? 0),
        produced: countOf(body['produced']) + (before?.produced ?? 0),
        bytes: countOf(body['bytes']) + (before?.bytes ?? 0),
        dead: 0,
        groups: withGroups(before?.groups ?? [], bodyOf(body['groups'])),
      })
    }
  }
  return [...topics.values()]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((topic) => ({ ...topic, dead: dead.get(topic.name) ?? 0 }))
}

function withGroups(before: TopicPart['groups'], given: Body): TopicPart['groups'] {
  const groups = new Map(before.map((group) => [group.name, group]))
  for (const [name, value] of Object.entries(given)) {
    const body = bodyOf(value)
    const old = groups.get(name)
    const ages = [old?.oldest_unacknowledged_s ?? null, numberOf(body['oldest_unacknowledged_s'])]
    const known = ages.filter((age) => age !== null)
    groups.set(name, {
      name,
      mode: textOf(body['mode']) ?? old?.mode ?? null,
      lag: countOf(body['lag']) + (old?.lag ?? 0),
      in_flight: countOf(body['in_flight']) + (old?.in_flight ?? 0),
      oldest_unacknowledged_s: known.length === 0 ? null : Math.max(...known),
      // The same consumers stand at every broker.
      consumers: Math.max(countOf(body['consumers']), old?.consumers ?? 0),
    })
  }
  return [...groups.values()]
}

function streamerOf(asked: Asked): NonNullable<Pipeline['streamer']> {
  const body = 'body' in asked ? asked.body : {}
  const sources = Array.isArray(body['sources']) ? body['sources'].map(bodyOf) : []
  return {
    ...stateOf(asked),
    read: countOf(body['read']),
    sent: countOf(body['sent']),
    dead: countOf(body['dead']),
    done: body['done'] === true,
    sources: sources.map((source) => ({
      name: textOf(source['name']) ?? '',
      rows: countOf(source['rows']),
      dead: countOf(source['dead']),
      bytes: numberOf(source['bytes']),
      size: numberOf(source['size']),
      done: source['done'] === true,
      error: textOf(source['error']),
    })),
  }
}

function collectorOf(asked: Asked): NonNullable<Pipeline['collector']> {
  const body = 'body' in asked ? asked.body : {}
  const trouble = textOf(body['trouble'])
  return {
    ...(trouble === null ? stateOf(asked) : { state: 'starting' as const, error: trouble }),
    received: countOf(body['received']),
    stored: countOf(body['stored']),
    duplicate: countOf(body['duplicate']),
    not_reported: countOf(body['not_reported']),
    dead: countOf(body['dead']),
    pending: countOf(body['pending']),
  }
}

export function bodyOf(value: unknown): Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : {}
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

export function countOf(value: unknown): number {
  const number = numberOf(value)
  return number === null || number < 0 ? 0 : Math.floor(number)
}
