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
  readonly #secrets: () => readonly string[]
  #of: readonly string[] = []
  #known: readonly Known[] = []

  /** @param secrets gives the keys of API_KEY, each of which may do everything: the same array as long as they are the same */
  constructor(secrets: () => readonly string[]) {
    this.#secrets = secrets
  }

  get isEmpty(): boolean {
    return this.#now().length === 0
  }

  /** Whose key it is. All are compared each time, so the time does not tell which one was near. */
  find(given: string): Key | undefined {
    const digest = digestOf(given)
    let found: Known | undefined
    for (const known of this.#now()) if (timingSafeEqual(known.digest, digest)) found = known
    return found
  }

  #now(): readonly Known[] {
    const secrets = this.#secrets()
    if (secrets === this.#of) return this.#known
    this.#of = secrets
    this.#known = secrets.map((key) => {
      const digest = digestOf(key)
      return { id: `key-${digest.toString('hex').slice(0, 8)}`, scopes: ['admin'], digest }
    })
    return this.#known
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
