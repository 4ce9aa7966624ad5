/**
 * The brokers behind the proxy, and what is known of each: one state a member, fed by probes and by requests that failed.
 *
 * A member is its number, not its address: a pod that was started again has another one. A member that is down, or whose
 * address is named no more, stays in the ring, so that its partitions come back to it; it leaves when it was drained first.
 */

import type { Clock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

/**
 * `probing`: not heard of yet, or down and answering again, but not often enough to be trusted. `draining`: up for whoever
 * consumes, and to be given nothing new.
 */
export type MemberState = 'up' | 'down' | 'probing' | 'draining'

/** Failures in a row after which a member is down. */
export const failuresMax = 3

/** Successes in a row after which a member that was down is up. */
export const successesMin = 2

export interface Member {
  /** Where it is now. */
  readonly url: string
  /** Told by its `/ready`; unknown until it first answered. */
  readonly ordinal: Ordinal | undefined
  readonly state: MemberState
  /** Whether it takes records: a broker whose disk fails still serves what it has. */
  readonly writable: boolean
  /** Whether it is to be emptied: nothing new goes to it. Known also while it is down. */
  readonly draining: boolean
  /** Why it is not up, in a few words. */
  readonly reason: string
  /** When the state was entered, ms since 1970. */
  readonly sinceMs: number
}

interface Entry {
  url: string
  ordinal: Ordinal | undefined
  state: MemberState
  writable: boolean
  draining: boolean
  reason: string
  sinceMs: number
  failures: number
  successes: number
  isHeard: boolean
  /** Another broker has answered at its address: it must be elsewhere. */
  isDisplaced: boolean
}

/** What a probe of `/ready` found. */
export type Probe =
  | { readonly kind: 'ready'; readonly ordinal: Ordinal; readonly draining?: boolean }
  /** It answers, but takes no records now. */
  | { readonly kind: 'not_ready'; readonly ordinal: Ordinal; readonly reason: string; readonly draining?: boolean }
  | { readonly kind: 'failed'; readonly reason: string }

export class Members {
  readonly #clock: Clock
  readonly #expected: number
  readonly #onChange: (member: Member) => void
  #entries: Entry[] = []
  #listed: ReadonlySet<string> = new Set()
  /** Drained and gone. */
  readonly #left = new Set<Ordinal>()
  #isComplete = false

  /**
   * @param urls the addresses that there are; {@link list} tells of others later
   * @param onChange is called when a member's state, number or address changes, and when it leaves
   * @param expected how many brokers there are at least, numbered from 0
   */
  constructor(clock: Clock, urls: readonly string[], onChange: (member: Member) => void, expected = urls.length) {
    this.#clock = clock
    this.#onChange = onChange
    this.#expected = expected
    this.list(urls)
  }

  get all(): readonly Member[] {
    return this.#entries
  }

  /** Where to ask who is there. */
  get addresses(): ReadonlySet<string> {
    return new Set([...this.#listed, ...this.#entries.map(({ url }) => url)])
  }

  byOrdinal(ordinal: Ordinal): Member | undefined {
    return this.#entries.find((entry) => entry.ordinal === ordinal)
  }

  /** Brokers that there should be, and that nobody has heard of. */
  get missing(): number {
    const heard = this.#entries.filter(({ ordinal }) => ordinal !== undefined).length
    return Math.max(0, this.#expected - heard - this.#left.size)
  }

  /**
   * The numbers that the ring is made of: all that ever answered, also those that are down now, but those that drain; and for
   * each broker that is expected and silent the lowest number that is free. So a proxy that starts while a broker is away has
   * the same ring as the others, where brokers are numbered from 0.
   */
  get ordinals(): readonly Ordinal[] {
    const known = new Set([...this.#entries.flatMap(({ ordinal }) => ordinal ?? []), ...this.#left])
    const ring = this.#entries.flatMap(({ ordinal, draining }) => (ordinal === undefined || draining ? [] : [ordinal]))
    let { missing } = this
    for (let number = 0; missing > 0; number++) {
      if (known.has(number as Ordinal)) continue
      ring.push(number as Ordinal)
      missing--
    }
    return ring
  }

  /** Whether every broker that is expected has told its number, once; or nobody waits for them any longer. */
  get complete(): boolean {
    return this.#isComplete
  }

  /** Goes on without those that have not been heard of: their partitions are left to those that stand in. */
  waitNoLonger(): void {
    this.#isComplete = true
  }

  /** Takes over which addresses there are. One that is named no more is still asked, if it was a broker's. */
  list(urls: readonly string[]): void {
    this.#listed = new Set(urls)
    for (const url of this.#listed) {
      if (!this.#entries.some((entry) => entry.url === url)) this.#entries.push(this.#newEntry(url))
    }
    this.#entries = this.#entries.filter(({ url, ordinal }) => ordinal !== undefined || this.#listed.has(url))
    this.#dismiss()
  }

  /** Takes in what an address answered, or that it did not. */
  probed(url: string, probe: Probe): void {
    const here = this.#at(url)
    if (probe.kind === 'failed') {
      for (const entry of here) this.#failed(entry, probe.reason)
      return
    }
    const { ordinal } = probe
    const holder = this.#entries.find((entry) => entry.ordinal === ordinal)
    // Of two addresses that claim one number the first stays, unless it is gone, or another broker's by now.
    if (holder !== undefined && holder.url !== url && this.#listed.has(holder.url) && !holder.isDisplaced) {
      for (const entry of here) {
        entry.isDisplaced = entry.ordinal !== undefined
        this.#failed(entry, `it says that it is broker ${ordinal}, and so does ${holder.url}`)
      }
      return
    }
    const unnamed = here.find((entry) => entry.ordinal === undefined)
    const entry = holder ?? unnamed ?? this.#newEntry(url)
    if (!this.#entries.includes(entry)) this.#entries.push(entry)
    if (unnamed !== undefined && unnamed !== entry) this.#entries = this.#entries.filter((each) => each !== unnamed)
    const isNew = entry.ordinal !== ordinal || entry.url !== url
    entry.ordinal = ordinal
    entry.url = url
    this.#left.delete(ordinal)
    for (const other of here) {
      if (other === entry || other === unnamed) continue
      other.isDisplaced = true
      this.#failed(other, `${url} is broker ${ordinal} now`)
    }
    if (this.missing === 0 && this.#entries.every((each) => each.ordinal !== undefined)) this.#isComplete = true
    this.#answered(entry, probe, isNew)
  }

  /**
   * A request to it failed as a member that is down would: no answer, 500, 502.
   *
   * @param isGone nobody listens there: no further proof is needed
   */
  requestFailed(url: string, reason: string, isGone = false): void {
    for (const entry of this.#at(url)) this.#failed(entry, reason, isGone)
  }

  /** It answers, and takes no records now. The next probe says whether it does again. */
  refusedRecords(url: string, reason: string): void {
    for (const entry of this.#at(url)) {
      entry.failures = 0
      if (!entry.writable) continue
      entry.writable = false
      entry.reason = reason
      this.#onChange(entry)
    }
  }

  requestAnswered(url: string): void {
    for (const entry of this.#entries) if (entry.url === url && isUp(entry)) entry.failures = 0
  }

  #answered(entry: Entry, probe: Exclude<Probe, { kind: 'failed' }>, isNew: boolean): void {
    const writable = probe.kind === 'ready'
    const draining = probe.draining === true
    const isChanged = isNew || writable !== entry.writable || draining !== entry.draining
    const isFirst = !entry.isHeard
    entry.isHeard = true
    entry.isDisplaced = false
    entry.writable = writable
    entry.draining = draining
    entry.failures = 0
    entry.successes++
    const state = draining ? 'draining' : 'up'
    const reason = probe.kind === 'not_ready' ? probe.reason : ''
    if (isUp(entry) ? entry.state !== state : isFirst || entry.successes >= successesMin) {
      this.#enter(entry, state, reason)
    } else if (entry.state === 'down') this.#enter(entry, 'probing', entry.reason)
    else {
      if (isUp(entry)) entry.reason = reason
      if (isChanged) this.#onChange(entry)
    }
  }

  #failed(entry: Entry, reason: string, isGone = false): void {
    entry.failures++
    entry.successes = 0
    entry.reason = reason
    if (entry.state === 'probing' || (isUp(entry) && (isGone || entry.failures >= failuresMax))) {
      this.#enter(entry, 'down', reason)
      this.#dismiss()
    }
  }

  /** Lets those go that were drained, are down, and are named no more. */
  #dismiss(): void {
    const gone = this.#entries.filter(
      ({ url, state, draining }) => draining && state === 'down' && !this.#listed.has(url),
    )
    if (gone.length === 0) return
    this.#entries = this.#entries.filter((entry) => !gone.includes(entry))
    for (const entry of gone) {
      if (entry.ordinal !== undefined) this.#left.add(entry.ordinal)
      entry.reason = 'it was drained, and is gone'
      this.#onChange(entry)
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

  #at(url: string): Entry[] {
    return this.#entries.filter((entry) => entry.url === url)
  }

  #newEntry(url: string): Entry {
    return {
      url,
      ordinal: undefined,
      state: 'probing',
      writable: false,
      draining: false,
      reason: 'not heard of yet',
      sinceMs: this.#clock.wallMs(),
      failures: 0,
      successes: 0,
      isHeard: false,
      isDisplaced: false,
    }
  }
}

/** Whether it serves who consumes and acknowledges, and may be trusted to. */
export function isUp({ state }: Pick<Member, 'state'>): boolean {
  return state === 'up' || state === 'draining'
}
