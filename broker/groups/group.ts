/**
 * A group: how far it has read each log of a topic, what is in flight, and who holds which partition.
 *
 * Exclusive mode: a partition has one holder, so that its records arrive in order. A record that was delivered and not
 * acknowledged when the lease of its log ends is delivered again.
 */

import type { Offset, Partition } from '#wire/ids'

import { assignPartitions } from './assign.ts'
import { Intervals } from './intervals.ts'
import type { Log } from '../log/log.ts'

/** What a group needs to know of a log. */
export type GroupLog = Pick<Log, 'partition' | 'first' | 'end'> & Partial<Pick<Log, 'holes'>>

/** A consumer that is connected. */
export interface Member {
  readonly name: string
  /** The one partition that it asked for; `undefined` for all. */
  readonly partition: Partition | undefined
  /** How many records it may have in flight, over all of its partitions. */
  readonly maxInFlight: number
  /** How long a delivered record may stay unacknowledged, in ms. */
  readonly visibilityMs: number
  /** There may be work for it. */
  wake(): void
  /** It does not hold this partition any more: nothing of it is sent after this. */
  revoked(partition: Partition): void
}

/** What to send to a member next: records of one log from an offset on. */
export interface Work {
  readonly partition: Partition
  readonly from: Offset
  /** Redelivery: send only the records before this one, under `: attempt N`. */
  readonly again: { readonly until: Offset; readonly attempt: number } | undefined
  /** What stood before it and is not there any more, or never was: to be told. */
  readonly gone?: readonly Gone[] | undefined
}

/** Offsets without a record that nobody was told of; `to` is exclusive. */
interface Gone {
  readonly from: Offset
  readonly to: Offset
}

/** What can be wrong with an acknowledgement. */
export type AckRefusal = 'not_delivered' | 'lease_lost'

/** The durable part of a group's state of one log. */
export interface Progress {
  readonly floor: Offset
  readonly acknowledged: readonly (readonly [number, number])[]
}

interface LogState {
  readonly log: GroupLog
  /** All records below are acknowledged. */
  floor: Offset
  /** Acknowledged above the floor. */
  readonly acknowledged: Intervals
  /** The next record to send. Floor to cursor, less the acknowledged, is in flight. */
  cursor: Offset
  /** The first record that was never sent since the broker started. */
  highest: Offset
  /** In order. Told with the first delivery behind it. */
  gone: readonly Gone[]
  /** How often the lowest record in flight was sent. */
  attempt: number
  holder: Member | undefined
  /** Who holds it next, once what is in flight is settled. */
  heir: Member | undefined
  /** When the lease ends, on the monotonic clock; Infinity when nothing is in flight. */
  deadlineMs: number
}

export class Group {
  readonly topic: string
  readonly name: string
  readonly #logs: LogState[] = []
  readonly #members = new Set<Member>()

  constructor(topic: string, name: string) {
    this.topic = topic
    this.name = name
  }

  /** Takes a log in, with the progress that its journal kept. */
  addLog(log: GroupLog, progress: Progress): void {
    const floor = Math.max(progress.floor, log.first) as Offset
    const acknowledged = new Intervals()
    for (const [from, to] of progress.acknowledged) acknowledged.add(from, to)
    const holes = (log.holes ?? []).filter(({ to }) => to > floor)
    const ahead = holes.map(({ from, to }) => ({ from: Math.max(from, floor) as Offset, to }))
    for (const { from, to } of ahead) acknowledged.add(from, to)
    const state: LogState = {
      log,
      floor,
      acknowledged,
      cursor: floor,
      highest: deliveredTo(floor, progress.acknowledged, holes),
      gone: progress.floor < floor ? [{ from: progress.floor, to: floor }, ...ahead] : ahead,
      attempt: 1,
      holder: undefined,
      heir: undefined,
      deadlineMs: Infinity,
    }
    this.#logs[log.partition] = state
    this.#settle(state)
  }

  /** Takes in logs that came later, and shares the partitions anew. */
  grow(logs: readonly GroupLog[], nowMs: number): void {
    for (const log of logs) this.addLog(log, { floor: log.first, acknowledged: [] })
    this.#share(nowMs)
  }

  /** Of the logs that it has taken in. */
  get partitions(): readonly Partition[] {
    return this.#logs.map(({ log }) => log.partition)
  }

  get members(): ReadonlySet<Member> {
    return this.#members
  }

  memberNamed(name: string): Member | undefined {
    for (const member of this.#members) if (member.name === name) return member
    return undefined
  }

  join(member: Member, nowMs: number): void {
    this.#members.add(member)
    this.#share(nowMs)
  }

  /** The member is gone: what it had in flight is delivered again, to whoever holds the partition next. */
  leave(member: Member, nowMs: number): void {
    this.#members.delete(member)
    for (const state of this.#logs) {
      if (state.heir === member) state.heir = undefined
      if (state.holder !== member) continue
      state.holder = undefined
      this.#loseLease(state)
    }
    this.#share(nowMs)
  }

  /** What to send to a member next; `undefined` when there is nothing, or when it has enough in flight. */
  next(member: Member): Work | undefined {
    if (this.#inFlightOf(member) >= member.maxInFlight) return undefined
    for (const state of this.#logs) {
      if (state.holder !== member || state.heir !== undefined || state.cursor >= state.log.end) continue
      const { partition } = state.log
      const { cursor: from } = state
      const gone = state.gone.length === 0 ? undefined : state.gone.filter(({ to }) => to <= from)
      if (from >= state.highest) return { partition, from, again: undefined, gone }
      const until = Math.min(state.highest, state.acknowledged.nextStartAfter(from)) as Offset
      return { partition, from, again: { until, attempt: state.attempt }, gone }
    }
    return undefined
  }

  /**
   * Notes that the records from `work.from` to `next` (exclusive) are on their way.
   *
   * @returns false when the work is not the member's any more (the lease moved while it was read from disk): send nothing
   */
  delivered(member: Member, work: Work, next: Offset, nowMs: number): boolean {
    const state = this.#logs[work.partition]
    if (state === undefined || state.holder !== member || state.heir !== undefined) return false
    if (state.cursor !== work.from) return false
    if (state.gone.length > 0) state.gone = state.gone.filter(({ to }) => to > work.from)
    state.cursor = Math.max(next, state.acknowledged.endOfRangeAt(next)) as Offset
    state.highest = Math.max(state.highest, state.cursor) as Offset
    state.deadlineMs = nowMs + member.visibilityMs
    return true
  }

  /** Acknowledges all records of a log up to and with this one. */
  acknowledgeUpTo(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    const state = this.#logs[partition]
    if (state === undefined) return 'not_delivered'
    if (offset >= state.cursor) return offset < state.highest ? 'lease_lost' : 'not_delivered'
    if (offset >= state.floor) {
      state.floor = (offset + 1) as Offset
      state.attempt = 1
    }
    this.#settle(state)
    this.#renew(state, nowMs)
    return 'ok'
  }

  /** Acknowledges one record. */
  acknowledge(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    const state = this.#logs[partition]
    if (state === undefined) return 'not_delivered'
    if (offset >= state.cursor) return offset < state.highest ? 'lease_lost' : 'not_delivered'
    if (offset >= state.floor) state.acknowledged.add(offset, offset + 1)
    this.#settle(state)
    this.#renew(state, nowMs)
    return 'ok'
  }

  /** Counts offsets that hold no record as acknowledged: nobody else will. */
  pass(partition: Partition, from: Offset, to: Offset): void {
    const state = this.#logs[partition]
    if (state === undefined) return
    state.acknowledged.add(Math.max(from, state.floor), to)
    this.#settle(state)
  }

  /** The records before an offset were removed: the group goes on behind them, and its next delivery tells of it. */
  removed(partition: Partition, before: Offset): void {
    const state = this.#logs[partition]
    if (state === undefined || state.floor >= before) return
    if (state.cursor < before) {
      const below = state.gone.find(({ to }) => to <= before)
      const from = Math.min(state.cursor, below?.from ?? Infinity) as Offset
      state.gone = [{ from, to: before }, ...state.gone.filter(({ to }) => to > before)]
    }
    this.pass(partition, state.floor, before)
    const { holder } = state
    if (inFlight(state) === 0) {
      state.deadlineMs = Infinity
      this.#handOver()
    }
    holder?.wake()
  }

  /** Ends the leases whose time has come. To be called at least every second. */
  tick(nowMs: number): void {
    let changed = false
    for (const state of this.#logs) {
      if (state.deadlineMs > nowMs) continue
      this.#loseLease(state)
      changed = true
    }
    if (!changed) return
    this.#handOver()
    this.wake()
  }

  wake(): void {
    for (const member of this.#members) member.wake()
  }

  /** What has to survive a restart. */
  progress(partition: Partition): Progress {
    const state = this.#logs[partition] as LogState
    return { floor: state.floor, acknowledged: state.acknowledged.ranges }
  }

  /** The figures of one log, for `/status`. */
  figures(partition: Partition): {
    floor: Offset
    next: Offset
    lag: number
    inFlight: number
    holder: string | undefined
  } {
    const state = this.#logs[partition] as LogState
    const lag = state.log.end - state.floor - state.acknowledged.count
    return { floor: state.floor, next: state.cursor, lag, inFlight: inFlight(state), holder: state.holder?.name }
  }

  #inFlightOf(member: Member): number {
    let sum = 0
    for (const state of this.#logs) if (state.holder === member) sum += inFlight(state)
    return sum
  }

  /** Moves the floor over what is acknowledged. */
  #settle(state: LogState): void {
    state.acknowledged.removeBelow(state.floor)
    const floor = state.acknowledged.endOfRangeAt(state.floor) as Offset
    if (floor > state.floor) {
      state.floor = floor
      state.attempt = 1
      state.acknowledged.removeBelow(floor)
    }
    state.cursor = Math.max(state.cursor, state.floor) as Offset
    state.highest = Math.max(state.highest, state.cursor) as Offset
  }

  #renew(state: LogState, nowMs: number): void {
    const holder = state.holder
    state.deadlineMs = holder === undefined || inFlight(state) === 0 ? Infinity : nowMs + holder.visibilityMs
    if (inFlight(state) === 0) this.#handOver()
    // Also one that has just given the log away: it has room now for its others.
    holder?.wake()
  }

  #loseLease(state: LogState): void {
    state.deadlineMs = Infinity
    if (inFlight(state) === 0) return
    state.cursor = state.floor
    state.attempt++
  }

  /** Says anew who holds what, after a member came or went. */
  #share(nowMs: number): void {
    const names = [...this.#members].map((member) => member.name)
    const owners = assignPartitions(this.topic, this.#logs.length, names, (name, partition) => {
      const wanted = this.memberNamed(name)?.partition
      return wanted === undefined || wanted === partition
    })
    for (const state of this.#logs) {
      const name = owners[state.log.partition]
      const owner = name === undefined ? undefined : this.memberNamed(name)
      if (state.holder === owner) {
        state.heir = undefined
      } else if (state.heir !== owner) {
        if (state.holder !== undefined && state.heir === undefined) state.holder.revoked(state.log.partition)
        state.heir = owner
      }
    }
    this.#handOver()
    this.tick(nowMs)
    this.wake()
  }

  /** Gives each log whose old holder has nothing in flight to its heir. */
  #handOver(): void {
    for (const state of this.#logs) {
      if (state.heir === undefined || (state.holder !== undefined && inFlight(state) > 0)) continue
      state.holder = state.heir
      state.heir = undefined
      state.holder.wake()
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

/** How many records are sent and not acknowledged. After a lease was lost, some above the cursor may be acknowledged. */
function inFlight(state: LogState): number {
  return state.cursor - state.floor - state.acknowledged.countBelow(state.cursor)
}
