/** Authorization between the roles: one shared token, sent as `Authorization: Bearer …` (RFC 6750). */

import { hash, timingSafeEqual } from 'node:crypto'
import { Problem } from '#wire/problems'
import type { Request } from './http/http.ts'

/** Lets a request pass, or throws. */
export type Guard = (request: Request) => void

/**
 * The guard of a role's routes. Without a token all may pass (then the role listens on loopback only).
 *
 * @throws (the guard) Problem `unauthorized`
 */
export function tokenGuard(token: string | undefined): Guard {
  if (token === undefined) return () => {}
  const wanted = digest(token)
  return (request) => {
    const header = request.header('authorization')
    if (header === undefined) throw new Problem('unauthorized', 'the request carries no Authorization header')
    const given = /^Bearer +(\S+)$/i.exec(header)?.[1]
    if (given === undefined) throw new Problem('unauthorized', 'the Authorization header is not "Bearer" and a token')
    // Digests have one length, and the time of their comparison tells nothing about the token.
    if (!timingSafeEqual(digest(given), wanted)) throw new Problem('unauthorized', 'the token is not the right one')
  }
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
