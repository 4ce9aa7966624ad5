/** Authorization between the roles: a shared token (two while it is changed), sent as `Authorization: Bearer …` (RFC 6750). */

import { hash, timingSafeEqual } from 'node:crypto'
import { Problem } from '#wire/problems'
import type { Request } from './http/http.ts'

/** Lets a request pass, or throws. */
export type Guard = (request: Request) => void

/**
 * The guard of a role's routes. Without tokens all may pass (then the role listens on loopback only).
 *
 * @param tokens gives those that are right now, the same array as long as they are the same
 * @throws (the guard) Problem `unauthorized`
 */
export function tokenGuard(tokens: (() => readonly string[]) | undefined): Guard {
  if (tokens === undefined) return () => {}
  const isRight = matcher(tokens)
  return (request) => {
    const header = request.header('authorization')
    if (header === undefined) throw new Problem('unauthorized', 'the request carries no Authorization header')
    const given = /^Bearer +(\S+)$/i.exec(header)?.[1]
    if (given === undefined) throw new Problem('unauthorized', 'the Authorization header is not "Bearer" and a token')
    if (!isRight(given)) throw new Problem('unauthorized', 'the token is not the right one')
  }
}

/**
 * Whether a text is one of several secrets. Digests have one length, and all are compared each time: how long it takes tells
 * nothing about them.
 *
 * @param secrets as {@link tokenGuard} takes them
 */
export function matcher(secrets: () => readonly string[]): (given: string) => boolean {
  let known: readonly string[] | undefined
  let digests: readonly Buffer[] = []
  return (given) => {
    const now = secrets()
    if (now !== known) [known, digests] = [now, now.map(digest)]
    const own = digest(given)
    let isRight = false
    for (const each of digests) if (timingSafeEqual(each, own)) isRight = true
    return isRight
  }
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
