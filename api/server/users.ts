/** People whom a trusted proxy has let in: a header names them, and what they may do stands in the settings. */

import type { IncomingMessage } from 'node:http'
import { Problem } from '#wire/problems'
import type { Scope } from '../endpoint.ts'
import type { Bounds } from '../keys/bounds.ts'
import type { Key } from './keys.ts'

/** Scopes by user; `*` is everybody else whom the proxy names. */
export type UserScopes = ReadonlyMap<string, readonly Scope[]>

export interface UserOptions {
  /** In small letters; `undefined`: nobody comes in by a header. */
  readonly userHeader: string | undefined
  readonly userScopes: UserScopes
  readonly isTrusted: (address: string) => boolean
  readonly bounds: Bounds
}

/** Longer names are nobody's, and those with a comma are two headers that were made one. */
const namePattern = /^[^\s,\p{Cc}][^,\p{Cc}]{0,255}$/u

/**
 * Who a request comes from by the header of a trusted proxy. It is the socket that must be the proxy's: what a header says
 * of where a request came from proves nothing.
 *
 * @returns (the function) `undefined` where it does not come from there, or names nobody
 */
export function usersDoor(options: UserOptions): (request: IncomingMessage) => Key | undefined {
  const { userHeader, userScopes, isTrusted, bounds } = options
  if (userHeader === undefined) return () => undefined
  return ({ headers, socket }) => {
    const given = headers[userHeader]
    if (given === undefined || !isTrusted(socket.remoteAddress ?? '')) return undefined
    const name = typeof given === 'string' ? given.trim() : ''
    if (!namePattern.test(name)) throw new Problem('unauthorized', `the header ${userHeader} names no user`)
    const scopes = userScopes.get(name) ?? userScopes.get('*') ?? []
    return { id: `user:${name}`, scopes, bounds, isLive: () => true, isAmbient: true }
  }
}
