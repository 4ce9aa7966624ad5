/**
 * A group: how far it has read each log of a topic, what is in flight, and who gets what next.
 *
 * What is known of the records of one log is in `progress.ts`; who may have them, and until when, in `exclusive.ts` and
 * `shared.ts`. A record that was delivered and is not acknowledged when its lease ends is delivered again.
 */

import type { Offset, Partition } from '#wire/ids'

import { Exclusive } from './exclusive.ts'
import { LogProgress, type AckRefusal, type Exhausted, type GroupLog, type Piece, type Progress } from './progress.ts'
import { Shared } from './shared.ts'
import type { GroupedLog, Member, Mode, Sharing } from './sharing.ts'

/** What to send to a member next: records of one log from an offset on. */
export interface Work extends Piece {
  readonly partition: Partition
}

/** A record that is to be written to the dead letters. */
export interface Hopeless extends Exhausted {
  readonly partition: Partition
}

/** What a group is, besides its name. */
export interface GroupKind {
  readonly mode: Mode
  /** How often a record is sent before it is given up; from 2, or Infinity. */
  readonly attemptsMax: number
}

const exclusiveForEver: GroupKind = { mode: 'exclusive', attemptsMax: Infinity }

export class Group {
  readonly topic: string
  readonly name: string
  readonly kind: GroupKind
  readonly #logs: GroupedLog[] = []
  readonly #members = new Set<Member>()
  /** Where each member's next turn begins among its partitions. */
  readonly #turns = new Map<Member, number>()
  /** Records that are sent for the last time: nothing else is in flight with the member, so that nothing else can be to blame. */
  readonly #lastChances = new Map<Member, { readonly partition: Partition; readonly offset: Offset }>()
  #sharing: Sharing
  #isHeld = false

  constructor(topic: string, name: string, kind: GroupKind = exclusiveForEver) {
    this.topic = topic
    this.name = name
    this.kind = kind
    this.#sharing = this.#newSharing()
  }

  /** Takes a log in, with the progress that its journal kept. */
  addLog(log: GroupLog, kept: Progress): void {
    this.#logs[log.partition] = { log, progress: new LogProgress(log, kept, this.kind.attemptsMax) }
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

  /** The member is gone: what it had in flight is delivered again, to whoever is next. */
  leave(member: Member, nowMs: number): void {
    if (!this.#forget(member)) return
    this.#sharing.left(member)
    this.#share(nowMs)
  }

  /** The member takes no more, and what it has stays its own until the deadline. In shared mode only. */
  detach(member: Member, nowMs: number): void {
    if (this.#forget(member)) this.#share(nowMs)
  }

  /**
   * What to send to a member next; `undefined` when there is nothing, or when it has enough in flight.
   *
   * @param same the partition that the work must be of
   */
  next(member: Member, same?: Partition): Work | undefined {
    if (this.#isHeld) return undefined
    const inFlight = this.#sharing.inFlightOf(member)
    const room = member.maxInFlight - inFlight
    if (room <= 0 || this.#hasLastChance(member)) return undefined
    const piece = Math.min(this.#sharing.pieceRecords, this.kind.mode === 'shared' ? room : Infinity)
    const work = same === undefined ? this.#nextInTurn(member, piece) : this.#nextOf(member, same, piece)
    // It waits until the member has nothing else, and so does all behind it.
    return work !== undefined && inFlight > 0 && this.#isLastChance(work) ? undefined : work
  }

  /**
   * Notes that the records from `work.from` to `next` (exclusive) are on their way.
   *
   * @returns false when the work is not the member's any more (the lease moved while it was read from disk): send nothing
   */
  delivered(member: Member, work: Work, next: Offset, nowMs: number): boolean {
    const { partition, from } = work
    if (this.#isHeld || !this.#sharing.mayTake(member, partition)) return false
    if (!this.#log(partition).progress.sent(from, next)) return false
    this.#sharing.sent(member, partition, from, next, nowMs)
    if (this.#isLastChance(work)) this.#lastChances.set(member, { partition, offset: from })
    return true
  }

  /** Acknowledges all records of a log up to and with this one, but for those that were given back. */
  acknowledgeUpTo(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    const state = this.#logs[partition]
    if (state === undefined) return 'not_delivered'
    const from = state.progress.floor
    const outcome = state.progress.acknowledgeUpTo(offset)
    if (outcome === 'ok') this.#sharing.settled(partition, from, (offset + 1) as Offset, nowMs)
    return outcome
  }

  /** Acknowledges one record. */
  acknowledge(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    return this.#settle(partition, offset, nowMs, (progress) => progress.acknowledge(offset))
  }

  /** Gives one record back: it is sent again after a delay, whatever becomes of its neighbours, and that counts. */
  giveBack(partition: Partition, offset: Offset, delayMs: number, nowMs: number): AckRefusal | 'ok' {
    return this.#settle(partition, offset, nowMs, (progress) => progress.giveBack(offset, nowMs + delayMs, nowMs))
  }

  /** Asks for more time for a record; in exclusive mode, and so for all of its lease. */
  extend(partition: Partition, offset: Offset, nowMs: number): AckRefusal | 'ok' {
    const outcome = this.#logs[partition]?.progress.extend(offset) ?? 'not_delivered'
    if (outcome === 'ok') this.#sharing.extended(partition, offset, nowMs)
    return outcome
  }

  /** Counts offsets as acknowledged that nobody acknowledges: they hold no record, or it was given up. */
  pass(partition: Partition, from: Offset, to: Offset): void {
    const state = this.#logs[partition]
    if (state === undefined) return
    state.progress.pass(from, to)
    this.#sharing.settled(partition, from, to)
  }

  /** The records before an offset were removed: the group goes on behind them, and its next delivery tells of it. */
  removed(partition: Partition, before: Offset): void {
    const progress = this.#logs[partition]?.progress
    if (progress === undefined || progress.floor >= before) return
    const { floor } = progress
    progress.removed(before)
    this.#sharing.settled(partition, floor, before)
  }

  /** Ends the leases whose time has come, and sends what was given back. To be called at least every second. */
  tick(nowMs: number): void {
    let changed = this.#sharing.expire(nowMs)
    for (const { progress } of this.#logs) if (progress.tick(nowMs)) changed = true
    if (changed) this.wake()
  }

  wake(): void {
    for (const member of this.#members) member.wake()
  }

  /** The records that were sent as often as they may be. */
  get hopeless(): Hopeless[] {
    return this.#logs.flatMap(({ log, progress }) =>
      [...progress.exhausted].map((exhausted) => ({ partition: log.partition, ...exhausted })),
    )
  }

  /**
   * Goes on at other places: below each, all is acknowledged, from there on nothing. All consumers are dismissed, and nothing is
   * sent until the returned function is called: with true, or with false to be again where it was.
   */
  seek(floors: ReadonlyMap<Partition, Offset>, nowMs: number): (isDone: boolean) => void {
    const before = new Map([...floors.keys()].map((partition) => [partition, this.#log(partition)]))
    this.#isHeld = true
    for (const member of this.#members) {
      this.leave(member, nowMs)
      member.dismissed()
    }
    this.#sharing = this.#newSharing()
    for (const [partition, floor] of floors) this.addLog(this.#log(partition).log, { floor, acknowledged: [] })
    for (const { progress } of this.#logs) progress.lose()
    this.#share(nowMs)
    return (isDone) => {
      if (!isDone) for (const [partition, state] of before) this.#logs[partition] = state
      this.#isHeld = false
      this.wake()
    }
  }

  /** What has to survive a restart. */
  progress(partition: Partition): Progress {
    return this.#log(partition).progress.kept
  }

  /** What is new of that since it was asked last. */
  takeChange(partition: Partition): Progress {
    return this.#log(partition).progress.takeChange()
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
    const { floor, cursor: next, lag, inFlight, givenBack } = this.#log(partition).progress
    return { floor, next, lag, inFlight, givenBack, holder: this.#sharing.holderOf(partition)?.name }
  }

  #newSharing(): Sharing {
    return this.kind.mode === 'shared' ? new Shared(this.#logs) : new Exclusive(this.topic, this.#logs)
  }

  #log(partition: Partition): GroupedLog {
    return this.#logs[partition] as GroupedLog
  }

  #forget(member: Member): boolean {
    this.#turns.delete(member)
    this.#lastChances.delete(member)
    return this.#members.delete(member)
  }

  /** Of all partitions of the member, one after the other: a long log must not keep the others waiting. */
  #nextInTurn(member: Member, records: number): Work | undefined {
    const partitions = this.#sharing.partitionsOf(member)
    const turn = this.#turns.get(member) ?? 0
    for (let tried = 0; tried < partitions.length; tried++) {
      const at = (turn + tried) % partitions.length
      const work = this.#nextOf(member, partitions[at] as Partition, records)
      if (work === undefined) continue
      this.#turns.set(member, at + 1)
      return work
    }
    return undefined
  }

  #nextOf(member: Member, partition: Partition, records: number): Work | undefined {
    if (!this.#sharing.mayTake(member, partition)) return undefined
    const piece = this.#log(partition).progress.next(records)
    return piece === undefined ? undefined : { partition, ...piece }
  }

  #isLastChance({ attempt }: Work): boolean {
    return attempt !== undefined && attempt >= this.kind.attemptsMax
  }

  #hasLastChance(member: Member): boolean {
    const chance = this.#lastChances.get(member)
    if (chance === undefined) return false
    if (this.#log(chance.partition).progress.isInFlight(chance.offset)) return true
    this.#lastChances.delete(member)
    return false
  }

  /** Does what a consumer says of a record. */
  #settle(
    partition: Partition,
    offset: Offset,
    nowMs: number,
    change: (progress: LogProgress) => AckRefusal | 'ok',
  ): AckRefusal | 'ok' {
    const state = this.#logs[partition]
    if (state === undefined) return 'not_delivered'
    const outcome = change(state.progress)
    if (outcome === 'ok') this.#sharing.settled(partition, offset, (offset + 1) as Offset, nowMs)
    return outcome
  }

  /** Says anew who holds what, after a member came or went. */
  #share(nowMs: number): void {
    this.#sharing.share(this.#members)
    this.tick(nowMs)
    this.wake()
  }
}
