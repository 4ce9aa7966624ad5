/** The parts of Penstock as the page tells them: what flows between them, and what is wrong. */

import type { Pipeline } from '#api/contract'
import * as format from './format.ts'

/** The connection of the page to the API. */
export type Link =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  /** The stream broke; it is tried again. */
  | { readonly state: 'waiting'; readonly reason: string; readonly sinceMs: number }

/** Whether the API follows the brokers, as `event: state` says. */
export interface Upstream {
  readonly live: boolean
  readonly reason: string | null
}

export interface Trouble {
  /** The same trouble has the same one, however its text changes. */
  readonly id: string
  readonly level: 'bad' | 'warn'
  readonly title: string
  readonly text: string
}

export interface Findings {
  readonly link: Link
  readonly upstream: Upstream | undefined
  readonly pipeline: Pipeline | undefined
  /** Why the last question for the pipeline got no answer. */
  readonly pipelineError: string | undefined
  /** The API refuses questions, because it has more to answer than it can. */
  readonly isOverloaded: boolean
  readonly nowMs: number
}

/** A broken connection is said when a person would notice it, not for each blink. */
const quietMs = 1_500

/** Records that wait for longer than this are worth a word. */
const behindS = 60

/** What is wrong now, the worst first. */
export function troublesOf({ link, upstream, pipeline, pipelineError, isOverloaded, nowMs }: Findings): Trouble[] {
  if (pipelineError !== undefined && link.state !== 'live') {
    return [
      bad(
        'api',
        'The API does not answer',
        `${pipelineError}. What you see is what it said last; the page goes on by itself.`,
      ),
    ]
  }
  const troubles: Trouble[] = []
  if (isOverloaded) {
    const text = 'Some of what you see may be a little old; the page asks again by itself.'
    troubles.push(warn('overloaded', 'More is asked of the API than it can answer', text))
  }
  if (link.state === 'waiting' && nowMs - link.sinceMs > quietMs) {
    troubles.push(warn('link', 'The live stream is interrupted', `${link.reason}. It resumes where it stopped.`))
  }
  const parts = pipeline === undefined ? [] : partTroubles(pipeline)
  troubles.push(...parts)
  if (upstream !== undefined && !upstream.live && upstream.reason !== 'connecting' && parts.length === 0) {
    troubles.push(warn('upstream', 'No live records now', `${upstream.reason}. The API keeps trying.`))
  }
  return troubles.sort((a, b) => Number(a.level === 'warn') - Number(b.level === 'warn'))
}

function partTroubles({ proxy, brokers, streamer, collector, store, topics }: Pipeline): Trouble[] {
  const troubles: Trouble[] = []
  const say = (id: string, name: string, part: { state: string; error: string | null } | null, then: string) => {
    if (part === null || part.state === 'up' || part.state === 'draining') return
    const why = part.error === null ? '' : `${part.error.replace(/\.$/, '')}. `
    if (part.state === 'starting') troubles.push(warn(id, `${name} is starting`, `${why}${then}`))
    else troubles.push(bad(id, `${name} is down`, `${why}${then}`))
  }
  for (const part of brokers) {
    const others = brokers.filter((other) => other !== part && other.state === 'up')
    const then =
      others.length > 0 ? 'The others take new records; what it acknowledged is kept.' : 'Producers wait for it.'
    say(`broker ${part.url}`, brokerName(part), part, then)
  }
  say('proxy', 'The proxy', proxy, 'Nothing reaches the brokers until it is back.')
  say('streamer', 'The streamer', streamer, 'It goes on at its checkpoint.')
  // One that waits for the store is as well as it can be.
  if (collector?.state !== 'starting' || store.state === 'up')
    say('collector', 'The collector', collector, 'The brokers keep what it has not stored.')
  say('store', 'The store', store, 'The brokers keep what it cannot take.')
  for (const { name, error } of streamer?.sources ?? []) {
    if (error !== null) troubles.push(bad(`source ${name}`, `${shortSource(name)} cannot be read on`, error))
  }
  for (const topic of topics) {
    for (const group of topic.groups) {
      const oldest = group.oldest_unacknowledged_s ?? 0
      if (oldest <= behindS) continue
      const text = `${format.count(group.lag)} records of ${topic.name} wait, the oldest for ${format.duration(oldest * 1000)}.`
      troubles.push(warn(`lag ${topic.name} ${group.name}`, `${group.name} is behind`, text))
    }
  }
  return troubles
}

export function brokerName({ broker, url }: Pipeline['brokers'][number]): string {
  return broker === null ? `The broker at ${url}` : `Broker ${broker}`
}

export interface Flow {
  /** Records a second into the brokers; `undefined`: not known yet. */
  readonly produced: number | undefined
  /** Rows a second that the collector settled. */
  readonly settled: number | undefined
}

/** What flowed between two answers. */
export function flowBetween(before: Pipeline | undefined, now: Pipeline): Flow {
  if (before === undefined) return { produced: undefined, settled: undefined }
  const seconds = (Date.parse(now.as_of) - Date.parse(before.as_of)) / 1000
  const perSecond = (then: number, later: number) =>
    seconds <= 0 || later < then ? undefined : (later - then) / seconds
  // A broker that is away takes its counts with it: that is no flow backwards, and its return no flood.
  const sameBrokers = up(before) === up(now)
  return {
    produced: sameBrokers ? perSecond(produced(before), produced(now)) : undefined,
    settled:
      before.store.error === null && now.store.error === null
        ? perSecond(before.store.received, now.store.received)
        : undefined,
  }
}

function up({ brokers }: Pipeline): string {
  return brokers
    .filter(({ state }) => state === 'up')
    .map(({ url }) => url)
    .join()
}

function produced({ topics }: Pipeline): number {
  return topics.reduce((total, topic) => total + topic.produced, 0)
}

/** Where the values come from, in a few words. */
export function sourceText({ demo, streamer }: Pick<Pipeline, 'demo' | 'streamer'>): string {
  if (demo) return 'demo fleet'
  const sources = streamer?.sources ?? []
  const [first] = sources
  if (first === undefined) return 'records sent to the API or the brokers'
  return sources.length === 1 ? shortSource(first.name) : `${shortSource(first.name)} and ${sources.length - 1} more`
}

/** How far the streamer is with its files, in percent; `undefined`: no end is known. */
export function progressOf({ streamer }: Pick<Pipeline, 'streamer'>): number | undefined {
  const sources = streamer?.sources ?? []
  const size = sources.reduce((total, source) => total + (source.size ?? 0), 0)
  if (size === 0 || sources.some((source) => source.size === null)) return undefined
  return Math.min(100, (sources.reduce((total, source) => total + (source.bytes ?? 0), 0) / size) * 100)
}

function shortSource(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

function bad(id: string, title: string, text: string): Trouble {
  return { id, level: 'bad', title, text }
}

function warn(id: string, title: string, text: string): Trouble {
  return { id, level: 'warn', title, text }
}
