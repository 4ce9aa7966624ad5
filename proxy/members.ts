/**
 * The brokers behind the proxy, and what is known of each: one state a member, fed by probes and by requests that failed.
 *
 * A member that is down stays in the ring, so that its partitions come back to it.
 */

import type { Clock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

/** `probing`: not heard of yet, or down and answering again, but not often enough to be trusted. */
export type MemberState = 'up' | 'down' | 'probing'

/** Failures in a row after which a member is down. */
export const failuresMax = 3

/** Successes in a row after which a member that was down is up. */
export const successesMin = 2

export interface Member {
  readonly url: string
  /** Told by its `/ready`; unknown until it first answered. */
  readonly ordinal: Ordinal | undefined
  readonly state: MemberState
  /** Whether it takes records: a broker whose disk fails still serves what it has. */
  readonly writable: boolean
  /** Why it is not up, in a few words. */
  readonly reason: string
  /** When the state was entered, ms since 1970. */
  readonly sinceMs: number
}

interface Entry {
  readonly url: string
  ordinal: Ordinal | undefined
  state: MemberState
  writable: boolean
  reason: string
  sinceMs: number
  failures: number
  successes: number
}

/** What a probe of `/ready` found. */
export type Probe =
  | { readonly kind: 'ready'; readonly ordinal: Ordinal }
  /** It answers, but takes no records now. */
  | { readonly kind: 'not_ready'; readonly ordinal: Ordinal | undefined; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }

export class Members {
  readonly #clock: Clock
  readonly #entries: readonly Entry[]
  readonly #onChange: (member: Member) => void

  /** @param onChange is called when a member's state or ordinal changes */
  constructor(clock: Clock, urls: readonly string[], onChange: (member: Member) => void) {
    this.#clock = clock
    this.#onChange = onChange
    this.#entries = urls.map((url) => ({
      url,
      ordinal: undefined,
      state: 'probing',
      writable: false,
      reason: 'not heard of yet',
      sinceMs: clock.wallMs(),
      failures: 0,
      successes: 0,
    }))
  }

  get all(): readonly Member[] {
    return this.#entries
  }

  byOrdinal(ordinal: Ordinal): Member | undefined {
    return this.#entries.find((entry) => entry.ordinal === ordinal)
  }

  /** The ordinals that the ring is made of: all that ever answered, the ones that are down too. */
  get ordinals(): readonly Ordinal[] {
    return this.#entries.flatMap((entry) => (entry.ordinal === undefined ? [] : [entry.ordinal]))
  }

  /** Whether every member has told its ordinal: before that a ring would be made of a part of the cluster. */
  get complete(): boolean {
    return this.#entries.every((entry) => entry.ordinal !== undefined)
  }

  probed(url: string, probe: Probe): void {
    const entry = this.#entry(url)
    if (entry === undefined) return
    if (probe.kind === 'failed') {
      this.#failed(entry, probe.reason)
      return
    }
    const taken = this.#entries.find((other) => other !== entry && other.ordinal === probe.ordinal)
    if (probe.ordinal !== undefined && taken !== undefined) {
      this.#failed(entry, `it says that it is broker ${probe.ordinal}, and so does ${taken.url}`)
      return
    }
    const writable = probe.kind === 'ready'
    const renamed = probe.ordinal !== undefined && probe.ordinal !== entry.ordinal
    const changed = renamed || writable !== entry.writable
    if (probe.ordinal !== undefined) entry.ordinal = probe.ordinal
    entry.writable = writable
    entry.failures = 0
    entry.successes++
    const first = entry.sinceMs === 0 || entry.reason === 'not heard of yet'
    if (entry.state !== 'up' && (first || entry.successes >= successesMin)) this.#enter(entry, 'up', '')
    else if (entry.state === 'down') this.#enter(entry, 'probing', entry.reason)
    else if (changed) this.#onChange(entry)
    if (probe.kind === 'not_ready') entry.reason = probe.reason
    else if (entry.state === 'up') entry.reason = ''
  }

  /** A request to it failed as a member that is down would: no connection, no answer, 500, 502 or 503. */
  requestFailed(url: string, reason: string): void {
    const entry = this.#entry(url)
    if (entry !== undefined) this.#failed(entry, reason)
  }

  requestAnswered(url: string): void {
    const entry = this.#entry(url)
    if (entry?.state === 'up') entry.failures = 0
  }

  #failed(entry: Entry, reason: string): void {
    entry.failures++
    entry.successes = 0
    entry.reason = reason
    if (entry.state === 'probing' || (entry.state === 'up' && entry.failures >= failuresMax)) {
      this.#enter(entry, 'down', reason)
    }
  }

  #enter(entry: Entry, state: MemberState, reason: string): void {
    entry.state = state
    entry.reason = reason
    entry.sinceMs = this.#clock.wallMs()
    entry.successes = state === 'probing' ? 1 : 0
    entry.failures = 0
    this.#onChange(entry)
  }

  #entry(url: string): Entry | undefined {
    return this.#entries.find((entry) => entry.url === url)
  }
}
