/** Who may ask: the keys of API_KEY, compared without telling by the time it takes how much of one was right. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Scope } from '../endpoint.ts'
import type { Bounds } from '../keys/bounds.ts'

export interface Key {
  /** Names the key in logs and limits, and does not give it away. */
  readonly id: string
  readonly scopes: readonly Scope[]
  readonly bounds: Bounds
  /** Whether it is still right: what was opened with it must end with it. */
  isLive(): boolean
  /** A browser sends what makes it this one by itself, whoever wrote the page that asks. */
  readonly isAmbient?: boolean
}

/** Where keys are looked up. */
export interface KeyFinder {
  /** Nobody was told to ask for keys: this machine may ask without. */
  readonly isOpen: boolean
  /** @throws Problem `unavailable` for a key of which it is not known yet whose it is */
  find(given: string): Key | undefined
}

interface Known extends Key {
  readonly digest: Buffer
}

/** What a request without a key is, where none is asked for. */
export function anyone(bounds: Bounds): Key {
  return { id: 'anyone', scopes: ['admin'], bounds, isLive: () => true, isAmbient: true }
}

/** The keys of API_KEY: each may do everything. */
export class Keys {
  readonly #secrets: () => readonly string[]
  readonly #bounds: Bounds
  #of: readonly string[] = []
  #known: readonly Known[] = []

  /** @param secrets gives them: the same array as long as they are the same */
  constructor(secrets: () => readonly string[], bounds: Bounds) {
    this.#secrets = secrets
    this.#bounds = bounds
  }

  /** Whose key it is. All are compared each time, so the time does not tell which one was near. */
  find(given: string): Key | undefined {
    return this.#find(digestOf(given))
  }

  #find(digest: Buffer): Key | undefined {
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
      const id = `key-${digest.toString('hex').slice(0, 8)}`
      const isLive = () => this.#find(digest) !== undefined
      return { id, scopes: ['admin'], bounds: this.#bounds, digest, isLive }
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
