/** One bounded question by HTTP, and what its answer says of the clock there. */

import { type Finding, findingsOf } from './finding.ts'

const { ok, warning } = findingsOf('clock')

/** What a whole exchange may take. */
export const askMs = 4_000

/** A `Date` header has whole seconds: less than this cannot be told from none. */
const clockMsMax = 2_000

export interface Answered {
  readonly status: number
  readonly headers: Headers
  /** As JSON; `undefined` where it is none. */
  readonly body: unknown
  /** How far the clock there is ahead of ours, in ms; `undefined` where it does not tell. */
  readonly aheadMs: number | undefined
}

/** No answer came. */
export interface Silent {
  /** `ECONNREFUSED` and the like: nothing of the request. */
  readonly failed: string
}

export interface Question {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  /** Another `fetch` than the global one: by TLS. */
  readonly send?: typeof fetch | undefined
}

/** Asks once; nothing is thrown. */
export async function ask(url: string, { send = fetch, signal, ...init }: Question): Promise<Answered | Silent> {
  const sentMs = Date.now()
  try {
    const both = AbortSignal.any([signal, AbortSignal.timeout(askMs)])
    const answer = await send(url, { ...init, signal: both, redirect: 'manual' })
    const dateMs = Date.parse(answer.headers.get('date') ?? '')
    const text = await answer.text()
    const aheadMs = Number.isNaN(dateMs) ? undefined : aheadOf(dateMs, sentMs, Date.now())
    return { status: answer.status, headers: answer.headers, body: parsed(text), aheadMs }
  } catch (error) {
    return { failed: whyFailed(error) }
  }
}

/**
 * How far a clock is ahead, by a header that was written at some moment between sending and receiving, and says the second in
 * which that was: the least difference that explains it, so that neither a slow answer nor the rounding counts.
 */
export function aheadOf(dateMs: number, sentMs: number, receivedMs: number): number {
  if (dateMs > receivedMs) return dateMs - receivedMs
  const latestMs = dateMs + 1_000
  return latestMs < sentMs ? latestMs - sentMs : 0
}

export function judgeClock(where: string, aheadMs: number): Finding {
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(1)
  return Math.abs(aheadMs) > clockMsMax
    ? warning(
        `the clock of ${where} is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`,
        'have both follow one time server (chronyc tracking)',
      )
    : ok(`the clock of ${where} is that of this machine`)
}

/** The clock of whoever answered, where it tells. */
export function clockOf(where: string, answer: Answered | Silent): Finding[] {
  return 'failed' in answer || answer.aheadMs === undefined ? [] : [judgeClock(where, answer.aheadMs)]
}

/** A text that stands in an answer by this name. */
export function textIn(body: unknown, name: string): string | undefined {
  const value = (body as Readonly<Record<string, unknown>> | null | undefined)?.[name]
  return typeof value === 'string' ? value : undefined
}

/** An address as it may be shown: without a name and a password. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + (pathname === '/' ? '' : pathname)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function whyFailed(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at.name === 'TimeoutError') return `no answer within ${askMs / 1000} s`
    const { code } = at as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    // `bad port` and the like; the message of `fetch` itself may hold the whole address.
    if (at.cause === undefined) return at === error ? at.name : at.message
  }
  return 'unknown'
}
