/** The API as the page asks it: by the typed client, at the host that the page came from. */

import { Api } from '#api/client'
import { Problem } from '#wire/problems'

export type Fetch = typeof fetch

/** Longer than any answer that will be of use. */
const answerMsMax = 20_000

/** @param key `undefined`: an API on this machine may want none */
export function openApi(fetch: Fetch, origin: string, key: string | undefined): Api {
  // The key goes along, and no cookie that another page of this host may have.
  const bare: Fetch = (input, init) => fetch(input, { ...init, credentials: 'omit' })
  return new Api({ url: origin, token: key, fetch: bare, timeoutMs: answerMsMax })
}

/** Whether the key is none of this API's: trying again would change nothing. */
export function isWrongKey(error: unknown): boolean {
  return error instanceof Problem && error.status === 401
}

/** Whether the key is good, and not for this. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Problem && error.status === 403
}

/** Whether the API has more to answer than it can: it may be asked again, not before the time that it says. */
export function isOverloaded(error: unknown): boolean {
  return error instanceof Problem && error.code === 'overloaded'
}

/** Whether the same question may be answered later: that nobody answers passes, too. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof Problem) || error.retry
}

/** Whether the API itself said no, rather than nobody, or a gateway before it. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Problem && error.cause === undefined && 'retry_after_s' in error.extra
}

/** What a person is told of what went wrong. */
export function reasonOf(error: unknown): string {
  if (error instanceof Problem) return error.cause === undefined ? error.toJSON().detail : 'no connection'
  return error instanceof Error ? error.message : String(error)
}
