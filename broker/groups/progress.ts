/**
 * What a group knows of one log: which records were sent, which are acknowledged, and which come again. It knows nothing of
 * consumers, and of time only what it is told.
 *
 *     floor ........ cursor ........ highest ........ end
 *     in flight, but for what       to be sent        never sent
 *     is acknowledged or given back again
 */

import type { Offset } from '#wire/ids'

import type { Log } from '../log/log.ts'
import { Intervals } from './intervals.ts'

/** What a group needs to know of a log. */
export type GroupLog = Pick<Log, 'partition' | 'first' | 'end'> & Partial<Pick<Log, 'holes'>>

/** What can be wrong with what a consumer says of a record. */
export type AckRefusal = 'not_delivered' | 'lease_lost'

/** What survives a restart. */
export interface Progress {
  readonly floor: Offset
  readonly acknowledged: readonly (readonly [number, number])[]
}

/** Offsets without a record that nobody was told of; `to` is exclusive. */
interface Gone {
  readonly from: Offset
  readonly to: Offset
}

/** What to send next: the records from an offset on. */
export interface Piece {
  readonly from: Offset
  /** Only the records before this one; Infinity where there is no bound. */
  readonly until: number
  /** Redelivery: to be sent under `: attempt N`. */
  readonly attempt: number | undefined
  /** What stood before it and is not there any more, or never was: to be told. */
  readonly gone?: readonly Gone[] | undefined
}

/** A record that was sent as often as it may be, and not acknowledged. */
export interface Exhausted {
  readonly offset: Offset
  /** How often it was sent. */
  readonly attempts: number
  /** Whether it was given back the last time; else its lease was lost. */
  readonly wasGivenBack: boolean
}

/** Nothing new is sent so far above a record that nobody acknowledges: what is known of them must stay bounded. */
const spreadMax = 1_000_000

export class LogProgress {
  readonly #log: GroupLog
  /** All records below are acknowledged. */
  #floor: Offset
  /** Acknowledged above the floor. */
  readonly #acknowledged = new Intervals()
  /** Given back and not sent again yet, so not in flight. */
  readonly #aside = new Intervals()
  /** Of these, the ones whose time has come. */
  readonly #due = new Intervals()
  /** Of these, the others. */
  #waiting: { readonly offset: number; readonly atMs: number }[] = []
  /** How often a record was sent, of those where another time counts. */
  readonly #attempts = new Map<number, number>()
  readonly #counted = new Intervals()
  /** Of those aside, the ones that are not sent again any more. */
  readonly #exhausted = new Map<number, Exhausted>()
  readonly #attemptsMax: number
  #cursor: Offset
  #highest: Offset
  /** Counted along: to count it anew among many ranges takes milliseconds. */
  #inFlight = 0
  /** What the journal has not heard of: acknowledged since {@link takeChange}. */
  readonly #unheard = new Intervals()
  /** In order. Told with the first delivery behind it. */
  #gone: readonly Gone[]

  /**
   * @param kept what the journal kept
   * @param attemptsMax how often a record is sent before it is given up; from 2, or Infinity
   */
  constructor(log: GroupLog, kept: Progress, attemptsMax = Infinity) {
    this.#log = log
    this.#attemptsMax = attemptsMax
    this.#floor = Math.max(kept.floor, log.first) as Offset
    const floor = this.#floor
    for (const [from, to] of kept.acknowledged) this.#acknowledged.add(from, to)
    const holes = (log.holes ?? []).filter(({ to }) => to > floor)
    const ahead = holes.map(({ from, to }) => ({ from: Math.max(from, floor) as Offset, to }))
    for (const { from, to } of ahead) this.#acknowledged.add(from, to)
    this.#cursor = floor
    this.#highest = deliveredTo(floor, kept.acknowledged, holes)
    this.#gone = kept.floor < floor ? [{ from: kept.floor, to: floor }, ...ahead] : ahead
    this.#settle()
  }

  get floor(): Offset {
    return this.#floor
  }

  get cursor(): Offset {
    return this.#cursor
  }

  /** How many records are sent and neither acknowledged nor given back. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How many records wait to be sent again because they were given back. */
  get givenBack(): number {
    return this.#aside.count
  }

  /** Records to be written to the dead letters, and then passed. */
  get exhausted(): Iterable<Exhausted> {
    return this.#exhausted.values()
  }

  isInFlight(offset: Offset): boolean {
    if (offset < this.#floor || offset >= this.#cursor) return false
    return !this.#acknowledged.has(offset) && !this.#aside.has(offset)
  }

  /** How many records are not acknowledged. */
  get lag(): number {
    return this.#log.end - this.#floor - this.#acknowledged.count
  }

  get kept(): Progress {
    return { floor: this.#floor, acknowledged: this.#acknowledged.ranges }
  }

  /** What is new in {@link kept} since the last time: the ranges alone that were added. */
  takeChange(): Progress {
    this.#unheard.removeBelow(this.#floor)
    const acknowledged = this.#unheard.ranges.map(([from, to]) => [from, to] as const)
    this.#unheard.clear()
    return { floor: this.#floor, acknowledged }
  }

  /** @param room how many records at most */
  next(room = Infinity): Piece | undefined {
    const [due] = this.#due.ranges
    // Above the cursor it has to wait: what is in flight is below.
    if (due !== undefined && due[0] < this.#cursor) return this.#again(due[0], Math.min(due[1], due[0] + room))
    const from = this.#cursor
    if (from >= this.#log.end || from - this.#floor >= spreadMax) return undefined
    const gone = this.#gone.length === 0 ? undefined : this.#gone.filter(({ to }) => to <= from)
    const until = from + room
    if (from >= this.#highest) return { from, until, attempt: undefined, gone }
    const bounds = [until, this.#highest, this.#acknowledged.nextStartAfter(from), this.#aside.nextStartAfter(from)]
    return { ...this.#again(from, Math.min(...bounds)), gone }
  }

  /**
   * Notes that the records from a piece's first to `next` (exclusive) are on their way.
   *
   * @returns false when that piece is not to be sent any more
   */
  sent(from: Offset, next: Offset): boolean {
    if (this.#due.has(from)) {
      this.#due.remove(from, next)
      this.#aside.remove(from, next)
      this.#inFlight += next - from
      return true
    }
    if (this.#cursor !== from) return false
    if (this.#gone.length > 0) this.#gone = this.#gone.filter(({ to }) => to > from)
    this.#moveTo(next)
    this.#inFlight += next - from
    return true
  }

  /** Acknowledges one record. Again is no error. */
  acknowledge(offset: Offset): AckRefusal | 'ok' {
    const refusal = this.#refusal(offset)
    if (refusal !== undefined) return refusal
    if (this.isInFlight(offset)) {
      this.#inFlight--
      this.#add(offset, offset + 1)
    }
    this.#settle()
    return 'ok'
  }

  /** Acknowledges all records up to and with this one that were not given back. */
  acknowledgeUpTo(offset: Offset): AckRefusal | 'ok' {
    if (offset >= this.#cursor) return this.#refusal(offset) ?? 'ok'
    let from: number = this.#floor
    for (const [start, end] of this.#aside.ranges) {
      if (start > offset) break
      this.#add(from, start)
      from = end
    }
    this.#add(from, offset + 1)
    this.#settle()
    this.#recount()
    return 'ok'
  }

  /** Takes one record back, to be sent again at a time. Again is no error, and changes nothing. */
  giveBack(offset: Offset, atMs: number, nowMs: number): AckRefusal | 'ok' {
    if (offset < this.#floor || this.#acknowledged.has(offset)) return 'not_delivered'
    if (this.#aside.has(offset)) return 'ok'
    const refusal = this.#refusal(offset)
    if (refusal !== undefined) return refusal
    this.#aside.add(offset, offset + 1)
    this.#inFlight--
    if (!this.#count(offset, true)) return 'ok'
    if (atMs <= nowMs) this.#due.add(offset, offset + 1)
    else this.#waiting.push({ offset, atMs })
    return 'ok'
  }

  /** Whether a consumer may ask for more time for a record. That it is acknowledged already is no error. */
  extend(offset: Offset): AckRefusal | 'ok' {
    return this.#refusal(offset) ?? 'ok'
  }

  /** Whether records that were given back may be sent now that could not before. */
  tick(nowMs: number): boolean {
    // Ticks are many, and mostly nothing waits.
    if (this.#waiting.length === 0) return false
    const due = this.#waiting.filter(({ atMs }) => atMs <= nowMs)
    if (due.length === 0) return false
    this.#waiting = this.#waiting.filter(({ atMs }) => atMs > nowMs)
    for (const { offset } of due) if (this.#aside.has(offset)) this.#due.add(offset, offset + 1)
    return true
  }

  /** What is in flight comes again. That counts for the lowest of it: nobody knows how far the consumer came. */
  lose(): void {
    if (this.inFlight === 0) return
    const lowest = this.#skip(this.#floor)
    if (!this.#count(lowest, false)) this.#aside.add(lowest, lowest + 1)
    this.#cursor = this.#skip(lowest)
    this.#inFlight = 0
  }

  /** The same where only these records are lost, all of them in flight, and others stay with their consumers. */
  loseSome(ranges: readonly (readonly [number, number])[]): void {
    for (const [from, to] of ranges) {
      this.#aside.add(from, to)
      this.#due.add(from, to)
      this.#inFlight -= to - from
    }
    const [lowest] = ranges[0] ?? []
    if (lowest !== undefined && !this.#count(lowest, false)) this.#due.remove(lowest, lowest + 1)
  }

  /** Counts offsets as acknowledged that nobody acknowledges: they hold no record, or it was given up. */
  pass(from: Offset, to: Offset): void {
    this.#aside.remove(from, to)
    this.#due.remove(from, to)
    for (const offset of this.#exhausted.keys()) if (from <= offset && offset < to) this.#exhausted.delete(offset)
    this.#add(Math.max(from, this.#floor), to)
    this.#settle()
    this.#recount()
  }

  /** The records before an offset were removed. */
  removed(before: Offset): void {
    if (this.#cursor < before) {
      const below = this.#gone.find(({ to }) => to <= before)
      const from = Math.min(this.#cursor, below?.from ?? Infinity) as Offset
      this.#gone = [{ from, to: before }, ...this.#gone.filter(({ to }) => to > before)]
    }
    this.pass(this.#floor, before)
  }

  /** Why nothing can be said of a record; `undefined` when it is in flight, or acknowledged already. */
  #refusal(offset: Offset): AckRefusal | undefined {
    if (offset >= this.#cursor) return offset < this.#highest ? 'lease_lost' : 'not_delivered'
    return this.#aside.has(offset) ? 'lease_lost' : undefined
  }

  /** Records that were sent as often, from one on and below a bound. */
  #again(from: number, bound: number): Piece {
    const attempt = this.#attempts.get(from) ?? 1
    let until = from + 1
    if (attempt === 1) until = Math.min(bound, this.#counted.nextStartAfter(from))
    // The last time it goes alone: what it does to its consumer must not count for another.
    else if (attempt < this.#attemptsMax) while (until < bound && this.#attempts.get(until) === attempt) until++
    return { from: from as Offset, until, attempt }
  }

  /** Counts another time; false when there is none any more. */
  #count(offset: number, wasGivenBack: boolean): boolean {
    const attempts = this.#attempts.get(offset) ?? 1
    if (attempts >= this.#attemptsMax) {
      this.#exhausted.set(offset, { offset: offset as Offset, attempts, wasGivenBack })
      return false
    }
    this.#attempts.set(offset, attempts + 1)
    this.#counted.add(offset, offset + 1)
    return true
  }

  #add(from: number, to: number): void {
    this.#acknowledged.add(from, to)
    this.#unheard.add(from, to)
  }

  #recount(): void {
    // After a lease was lost, some above the cursor may be acknowledged or given back.
    const settled = this.#acknowledged.countBelow(this.#cursor) + this.#aside.countBelow(this.#cursor)
    this.#inFlight = this.#cursor - this.#floor - settled
  }

  /** Moves the floor over what is acknowledged, and the cursor over what is settled. */
  #settle(): void {
    this.#floor = this.#acknowledged.endOfRangeAt(this.#floor) as Offset
    for (const set of [this.#acknowledged, this.#aside, this.#due]) set.removeBelow(this.#floor)
    if (this.#counted.count > 0) {
      for (const offset of this.#attempts.keys()) if (offset < this.#floor) this.#attempts.delete(offset)
      this.#counted.removeBelow(this.#floor)
    }
    for (const offset of this.#exhausted.keys()) if (offset < this.#floor) this.#exhausted.delete(offset)
    this.#moveTo(Math.max(this.#cursor, this.#floor))
  }

  #moveTo(offset: number): void {
    this.#cursor = this.#skip(offset)
    this.#highest = Math.max(this.#highest, this.#cursor) as Offset
  }

  /** The first offset from one on that is neither acknowledged nor given back. */
  #skip(offset: number): Offset {
    for (let at = offset; ;) {
      const next = this.#aside.endOfRangeAt(this.#acknowledged.endOfRangeAt(at))
      if (next === at) return at as Offset
      at = next
    }
  }
}

/**
 * How far a group had got before a restart. Below what is acknowledged all was delivered: it comes again record by record,
 * without what was acknowledged between. A journal holds holes as acknowledged too; these were delivered to nobody.
 */
function deliveredTo(floor: Offset, acknowledged: Progress['acknowledged'], holes: readonly Gone[]): Offset {
  let highest: number = floor
  for (const [from, to] of acknowledged) {
    const end = holes.find((hole) => hole.from < to && to <= hole.to)?.from ?? to
    if (end > from) highest = Math.max(highest, end)
  }
  return highest as Offset
}
