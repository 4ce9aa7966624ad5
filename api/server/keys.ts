/** Who may ask: the keys, compared without telling by the time it takes how much of one was right. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Scope } from '../endpoint.ts'

export interface Key {
  /** Names the key in logs and limits, and does not give it away. */
  readonly id: string
  readonly scopes: readonly Scope[]
}

interface Known extends Key {
  readonly digest: Buffer
}

/** What a request without a key is, where none is asked for. */
export const anyone: Key = { id: 'anyone', scopes: ['admin'] }

export class Keys {
  readonly #known: readonly Known[]

  /** @param keys those of API_KEY: each may do everything */
  constructor(keys: readonly string[]) {
    this.#known = keys.map((key) => {
      const digest = digestOf(key)
      return { id: `key-${digest.toString('hex').slice(0, 8)}`, scopes: ['admin'], digest }
    })
  }

  get isEmpty(): boolean {
    return this.#known.length === 0
  }

  /** Whose key it is. All are compared each time, so the time does not tell which one was near. */
  find(given: string): Key | undefined {
    const digest = digestOf(given)
    let found: Known | undefined
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known
    return found
  }
}

export function mayDo(key: Key, scope: Scope): boolean {
  return key.scopes.includes('admin') || key.scopes.includes(scope)
}

/** The key that a request carries, by either header; `undefined` when it carries none. */
export function givenKey(headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
  const own = headers['x-api-key']
  if (typeof own === 'string' && own !== '') return own
  const { authorization } = headers
  return typeof authorization === 'string' ? /^Bearer +(\S+)$/i.exec(authorization)?.[1] : undefined
}

/** Digests have one length, so that keys of any length are compared in one time. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
