/** The brokers, watched: which addresses there are, who answers there, and which topics they have. */

import type { Ordinal } from '#wire/ids'

import type { Gateway } from './forward.ts'
import { learnTopics } from './look.ts'
import type { Probe } from './members.ts'
import type { Upstream } from './upstream.ts'

export interface WatchOptions {
  /** How often each broker is asked whether it is ready, in ms. */
  readonly probeMs: number
  /** How long the brokers that are expected are waited for at the start, in ms. */
  readonly waitMs: number
  /** How often {@link lookUp} is asked, in ms. */
  readonly lookupMs: number
  /** The addresses that there are now. Left out where they are listed once and for all. */
  lookUp?(): Promise<readonly string[]>
  /** Told when the addresses cannot be looked up, and why; and when they can again. */
  onLookup?(failure: string | undefined): void
}

/** An answer that takes longer counts as none, however often is asked: a busy process may stand still for some time. */
const answerMsMin = 400

/** Watches until the signal aborts. */
export async function watchBrokers(signal: AbortSignal, gateway: Gateway, options: WatchOptions): Promise<void> {
  const { probeMs, lookupMs, waitMs } = options
  const { members } = gateway.cluster
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
    })
  const every = async (ms: number, work: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      await work()
      await pause(ms)
    }
  }
  // With an answer's time below the interval three failures in a row are seen within four intervals, also of one that hangs.
  const answerMs = Math.max(answerMsMin, probeMs * 0.8)
  const asked = new Set<string>()
  const ask = async (url: string): Promise<void> => {
    // One that hangs keeps neither the others waiting, nor gathers questions.
    if (asked.has(url)) return
    asked.add(url)
    members.probed(url, await probe(gateway.upstreamAt(url), answerMs))
    asked.delete(url)
  }
  const probing = every(probeMs, () => {
    for (const url of members.addresses) void ask(url)
    return Promise.resolve()
  })
  // While nobody answers, the topics are as they were; the probes say what is wrong.
  const learning = every(probeMs, () => learnTopics(gateway).catch(() => {}))
  const waiting = pause(waitMs).then(() => members.waitNoLonger())
  const looking = options.lookUp === undefined ? undefined : every(lookupMs, () => look(gateway, options))
  await Promise.all([probing, learning, waiting, looking])
}

async function look({ cluster }: Gateway, { lookUp, onLookup }: WatchOptions): Promise<void> {
  try {
    const urls = (await lookUp?.()) ?? []
    // No address at all is how a name server says that it knows nothing yet.
    if (urls.length > 0) cluster.members.list(urls)
    onLookup?.(undefined)
  } catch (error) {
    onLookup?.((error as Error).message)
  }
}

async function probe(upstream: Upstream, answerMs: number): Promise<Probe> {
  try {
    const { status, body } = await upstream.probe(answerMs)
    const told = JSON.parse(body.toString('utf8')) as {
      readonly broker?: number
      readonly draining?: boolean
      readonly detail?: string
    }
    if (typeof told.broker !== 'number') return { kind: 'failed', reason: 'it answers, but is no broker' }
    const ordinal = told.broker as Ordinal
    const draining = told.draining === true
    if (status === 200) return { kind: 'ready', ordinal, draining }
    return { kind: 'not_ready', ordinal, draining, reason: told.detail ?? `it answers ${status}` }
  } catch (error) {
    return { kind: 'failed', reason: (error as Error).message }
  }
}
