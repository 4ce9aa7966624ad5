/** What the roles say of themselves: `GET /status` of each, as far as `up` reads it. */

import type { CollectorStatus, CountsStatus, GroupStatus, ProxyStatus, StreamerStatus, TopicStatus } from '#wire/status'

export type StreamerFigures = Pick<StreamerStatus, 'sources' | 'read' | 'dead' | 'done'>

type TopicFigures = Pick<TopicStatus, 'records'> & {
  readonly groups: Readonly<Record<string, Pick<GroupStatus, 'lag' | 'in_flight'>>>
}

type BrokerFigures = Pick<ProxyStatus, 'complete'> & { readonly topics: Readonly<Record<string, TopicFigures>> }

/** While its store can be asked. */
type CollectorFigures = Required<Pick<CollectorStatus, keyof CountsStatus | 'pending'>>

/** What was read, each after the one before it: what a later one says covers what the earlier one said. */
export interface Figures {
  readonly streamer: StreamerFigures | undefined
  readonly broker: BrokerFigures
  readonly collector: CollectorFigures
}

/** What is known while the collector cannot ask its store what it has. */
export interface Waiting extends Omit<Figures, 'collector'> {
  /** What keeps it, in its own words. */
  readonly trouble: string
}

/** Where the roles listen. A streamer that is not started yet has no address. */
export interface Addresses {
  readonly streamer: string | undefined
  /** The proxy, which speaks for all brokers. */
  readonly proxy: string
  readonly collector: string
}

const timeoutMs = 5_000

/**
 * Asks the roles from the source's end to the store's.
 *
 * @returns `undefined` while one of them does not answer: it is being started again
 */
export async function readFigures(
  { streamer, proxy, collector }: Addresses,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Figures | Waiting | undefined> {
  const status = <T>(url: string) => getJson<T>(`${url}/status`, token, signal)
  try {
    const others = {
      streamer: streamer === undefined ? undefined : await status<StreamerFigures>(streamer),
      broker: await status<BrokerFigures>(proxy),
    }
    const told = await status<CollectorFigures & Pick<CollectorStatus, 'trouble'>>(collector)
    if (typeof told.received === 'number') return { ...others, collector: told }
    return { ...others, trouble: told.trouble ?? 'the store is being opened' }
  } catch {
    return undefined
  }
}

/** True when the role is ready to work; else why not, as far as it says. */
export async function readiness(url: string, signal: AbortSignal): Promise<true | string> {
  try {
    const answer = await fetch(`${url}/ready`, { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) })
    const text = await answer.text()
    if (answer.ok) return true
    return (JSON.parse(text) as { readonly detail?: string }).detail ?? `status ${answer.status}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function getJson<T>(url: string, token: string | undefined, signal: AbortSignal): Promise<T> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answer = await fetch(url, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) })
  if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`)
  return (await answer.json()) as T
}

/** Records of the topics that the group has not settled; all of them where the group is not known yet. */
export function lagOf({ topics }: BrokerFigures, names: readonly string[], group: string): number {
  let lag = 0
  for (const name of names) {
    const topic = topics[name]
    if (topic !== undefined) lag += topic.groups[group]?.lag ?? topic.records
  }
  return lag
}
