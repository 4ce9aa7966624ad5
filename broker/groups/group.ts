/**
 * A group: how far it has read each log of a topic, what is in flight, and who holds which partition.
 *
 * Exclusive mode: a partition has one holder, so that its records arrive in order. A record that was delivered and not
 * acknowledged when the lease of its log ends is delivered again.
 */

import type { Offset, Partition } from '#wire/ids'

import { assignPartitions } from './assign.ts'
import { LogProgress, type AckRefusal, type GroupLog, type Piece, type Progress } from './progress.ts'

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
export interface Work extends Piece {
  readonly partition: Partition
}

interface LogState {
  readonly log: GroupLog
  readonly progress: LogProgress
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
  addLog(log: GroupLog, kept: Progress): void {
    const progress = new LogProgress(log, kept)
    this.#logs[log.partition] = { log, progress, holder: undefined, heir: undefined, deadlineMs: Infinity }
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
    for (const { log, progress, holder, heir } of this.#logs) {
      if (holder !== member || heir !== undefined) continue
      const piece = progress.next()
      if (piece !== undefined) return { partition: log.partition, ...piece }
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
    if (!state.progress.sent(work.from, next)) return false
    state.deadlineMs = nowMs + member.visibilityMs
    return true
  }

  /** Acknowledges all records of a log up to and with this one, but for those that were given back. */
  acknowledgeUpTo(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    return this.#settle(partition, nowMs, (progress) => progress.acknowledgeUpTo(offset))
  }

  /** Acknowledges one record. */
  acknowledge(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    return this.#settle(partition, nowMs, (progress) => progress.acknowledge(offset))
  }

  /** Gives one record back: it is sent again after a delay, whatever becomes of its neighbours, and that counts. */
  giveBack(partition: Partition, offset: Offset, delayMs: number, nowMs: number): AckRefusal | 'ok' {
    return this.#settle(partition, nowMs, (progress) => progress.giveBack(offset, nowMs + delayMs, nowMs))
  }

  /** Asks for more time for a record, and so for all of its lease. */
  extend(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    return this.#settle(partition, nowMs, (progress) => progress.extend(offset))
  }

  /** Counts offsets that hold no record as acknowledged: nobody else will. */
  pass(partition: Partition, from: Offset, to: Offset): void {
    this.#logs[partition]?.progress.pass(from, to)
  }

  /** The records before an offset were removed: the group goes on behind them, and its next delivery tells of it. */
  removed(partition: Partition, before: Offset): void {
    const state = this.#logs[partition]
    if (state === undefined || state.progress.floor >= before) return
    state.progress.removed(before)
    const { holder } = state
    if (state.progress.inFlight === 0) {
      state.deadlineMs = Infinity
      this.#handOver()
    }
    holder?.wake()
  }

  /** Ends the leases whose time has come, and sends what was given back. To be called at least every second. */
  tick(nowMs: number): void {
    let changed = false
    for (const state of this.#logs) {
      if (state.progress.tick(nowMs)) changed = true
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
    return (this.#logs[partition] as LogState).progress.kept
  }

  /** The figures of one log, for `/status`. */
  figures(partition: Partition): {
    floor: Offset
    next: Offset
    lag: number
    inFlight: number
    givenBack: number
    holder: string | undefined
  } {
    const { progress, holder } = this.#logs[partition] as LogState
    const { floor, cursor: next, lag, inFlight, givenBack } = progress
    return { floor, next, lag, inFlight, givenBack, holder: holder?.name }
  }

  #inFlightOf(member: Member): number {
    let sum = 0
    for (const { holder, progress } of this.#logs) if (holder === member) sum += progress.inFlight
    return sum
  }

  /** Does what a consumer says of a record, and renews the lease. */
  #settle(
    partition: Partition,
    nowMs: number,
    change: (progress: LogProgress) => AckRefusal | 'ok',
  ): AckRefusal | 'ok' {
    const state = this.#logs[partition]
    if (state === undefined) return 'not_delivered'
    const outcome = change(state.progress)
    if (outcome === 'ok') this.#renew(state, nowMs)
    return outcome
  }

  #renew(state: LogState, nowMs: number): void {
    const { holder } = state
    const isDone = state.progress.inFlight === 0
    state.deadlineMs = holder === undefined || isDone ? Infinity : nowMs + holder.visibilityMs
    if (isDone) this.#handOver()
    // Also one that has just given the log away: it has room now for its others.
    holder?.wake()
  }

  #loseLease(state: LogState): void {
    state.deadlineMs = Infinity
    state.progress.lose()
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
      if (state.heir === undefined || (state.holder !== undefined && state.progress.inFlight > 0)) continue
      state.holder = state.heir
      state.heir = undefined
      state.holder.wake()
    }
  }
}
