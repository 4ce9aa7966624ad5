/** The keys of the topic `_keys` that this process knows, and whose a given one is. */

import { timingSafeEqual } from 'node:crypto'
import type { Key } from '../server/keys.ts'
import { Bounds, type DataTopics } from './bounds.ts'
import { endMsOf, fold, type Foreign, type KeyEvent, type KeyState, secretsOf } from './events.ts'
import { digestOf, keyIdOf } from './text.ts'

/** When a key was used is kept to the minute: it is for people who clear up, and is not worth a write. */
const usedMs = 60_000

export class Keyring {
  readonly #data: DataTopics
  readonly #wallMs: () => number
  readonly #states = new Map<string, KeyState>()
  readonly #bounds = new WeakMap<object, Bounds>()
  readonly #usedMs = new Map<string, number>()
  readonly #listeners = new Set<() => void>()

  constructor(data: DataTopics, wallMs: () => number) {
    this.#data = data
    this.#wallMs = wallMs
  }

  /** Every key that anything is known of, by when it was made. */
  get all(): readonly KeyState[] {
    const madeOf = ({ id, created }: KeyState) => `${created?.time ?? ''} ${id}`
    return [...this.#states.values()].toSorted((a, b) => (madeOf(a) < madeOf(b) ? -1 : 1))
  }

  get(id: string): KeyState | undefined {
    return this.#states.get(id)
  }

  /** When it was last used here since this process runs, to the minute, in ms since 1970. */
  lastUsedMs(id: string): number | undefined {
    return this.#usedMs.get(id)
  }

  apply(event: KeyEvent | Foreign): void {
    this.#states.set(event.key, fold(this.#states.get(event.key), event))
    for (const listener of this.#listeners) listener()
  }

  /** Called after each event. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Whose key it is. That an id exists is no secret; how much of a secret was right is, and takes no time to tell. */
  find(text: string): Key | undefined {
    const id = keyIdOf(text)
    const state = id === undefined ? undefined : this.#states.get(id)
    if (state?.created === undefined) return undefined
    const digest = digestOf(text)
    if (!this.#isLive(state, digest)) return undefined
    const nowMs = this.#wallMs()
    this.#usedMs.set(state.id, nowMs - (nowMs % usedMs))
    return {
      id: state.id,
      scopes: state.created.scopes,
      bounds: this.#boundsOf(state.created),
      isLive: () => this.#isLive(this.#states.get(state.id) ?? state, digest),
    }
  }

  #isLive(state: KeyState, digest: Buffer): boolean {
    let isLive = false
    for (const secret of secretsOf(state, this.#wallMs())) if (timingSafeEqual(secret.digest, digest)) isLive = true
    return isLive
  }

  /** Made once a key, for each request asks for them. */
  #boundsOf(created: NonNullable<KeyState['created']>): Bounds {
    const known = this.#bounds.get(created)
    if (known !== undefined) return known
    const bounds = new Bounds(created, this.#data)
    this.#bounds.set(created, bounds)
    return bounds
  }
}

/** Whether a key may be used, by its events. */
export function stateOf(state: KeyState, nowMs: number): 'live' | 'expired' | 'revoked' {
  if (state.revoked !== undefined || state.isForeign || state.created === undefined) return 'revoked'
  return endMsOf(state) > nowMs ? 'live' : 'expired'
}
