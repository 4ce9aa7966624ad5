/**
 * What one connected consumer is sent, and in which order: a plain reader with a cursor a log, or a member of a group.
 *
 * A session decides; `stream.ts` reads and sends.
 */

import type { Clock } from '#lib/clock'
import type { Offset, Partition } from '#wire/ids'

import type { Group, Work } from './group.ts'
import type { Member } from './sharing.ts'
import type { Log } from '../log/log.ts'

/** All kinds of session have the same face. */
export interface Session {
  /** What to send next, of one partition or of any; `undefined` when there is nothing for now. */
  next(same?: Partition): Work | undefined
  /** Others want their turn after each piece of work. */
  readonly takesTurns: boolean
  /** The records up to `next` are on their way; false when they are not this session's any more. */
  delivered(work: Work, next: Offset): boolean
  /** Logs that came later: they are read from their first record. */
  grow(logs: readonly Log[]): void
  /** There is no record from one offset to another (exclusive): nobody can acknowledge them. */
  lost(partition: Partition, from: Offset, to: Offset): void
  close(): void
}

/** What a plain reader needs of a log. */
export type PlainLog = Pick<Log, 'partition' | 'first' | 'end' | 'onVisible'>

/** A reader without a group: no state outlives the connection. */
export class PlainSession implements Session {
  readonly takesTurns = false
  readonly #logs = new Map<Partition, PlainLog>()
  readonly #cursors: Map<Partition, Offset>
  readonly #wake: () => void
  readonly #unsubscribe: (() => void)[] = []
  /**
   * Logs that may have something to send, the one whose turn it is first. A log joins when more of it is visible, and leaves when it is
   * found to have nothing: what one piece of work costs does not depend on how many logs are quiet.
   */
  readonly #ready = new Set<PlainLog>()

  /**
   * @param from where to begin in each log
   * @param wake is called when there may be more to send
   */
  constructor(logs: readonly PlainLog[], from: ReadonlyMap<Partition, Offset>, wake: () => void) {
    this.#cursors = new Map(from)
    this.#wake = wake
    for (const log of logs) this.#add(log)
  }

  next(same?: Partition): Work | undefined {
    if (same !== undefined) return this.#nextOf(this.#logs.get(same) as PlainLog)
    for (const log of this.#ready) {
      this.#ready.delete(log)
      const work = this.#nextOf(log)
      if (work === undefined) continue
      // Each log in turn: a long one must not keep the others waiting.
      this.#ready.add(log)
      return work
    }
    return undefined
  }

  #add(log: PlainLog): void {
    this.#logs.set(log.partition, log)
    this.#ready.add(log)
    const unsubscribe = log.onVisible(() => {
      this.#ready.add(log)
      this.#wake()
    })
    this.#unsubscribe.push(unsubscribe)
  }

  #nextOf({ partition, first, end }: PlainLog): Work | undefined {
    const cursor = this.#cursors.get(partition) as Offset
    if (cursor >= end || first >= end) return undefined
    // Memory may still have what the files have not: removed is removed.
    const gone = cursor < first ? [{ from: cursor, to: first }] : undefined
    return { partition, from: Math.max(cursor, first) as Offset, until: Infinity, attempt: undefined, gone }
  }

  delivered(work: Work, next: Offset): boolean {
    this.#cursors.set(work.partition, next)
    return true
  }

  grow(logs: readonly PlainLog[]): void {
    for (const log of logs) {
      this.#cursors.set(log.partition, log.first)
      this.#add(log)
    }
    this.#wake()
  }

  lost(): void {}

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
  }
}

/** A member of a group. */
export class GroupSession implements Session {
  readonly #clock: Clock
  readonly #group: Group
  readonly #member: Member

  constructor(clock: Clock, group: Group, member: Member) {
    this.#clock = clock
    this.#group = group
    this.#member = member
    group.join(member, clock.monotonicMs())
  }

  get takesTurns(): boolean {
    return this.#group.kind.mode === 'shared'
  }

  next(same?: Partition): Work | undefined {
    return this.#group.next(this.#member, same)
  }

  delivered(work: Work, next: Offset): boolean {
    return this.#group.delivered(this.#member, work, next, this.#clock.monotonicMs())
  }

  /** The group takes them in itself, and shares them out. */
  grow(): void {}

  lost(partition: Partition, from: Offset, to: Offset): void {
    this.#group.pass(partition, from, to)
  }

  close(): void {
    this.#group.leave(this.#member, this.#clock.monotonicMs())
  }
}

/** A consumer that takes some records and goes; what it took stays its own until the deadline. */
export class PullSession implements Session {
  /** One piece and no more would be a poor answer. */
  readonly takesTurns = false
  readonly #clock: Clock
  readonly #group: Group
  readonly #member: Member
  readonly #session: GroupSession
  readonly #isFull: () => boolean

  /** @param isFull whether it has taken enough */
  constructor(clock: Clock, group: Group, member: Member, isFull: () => boolean) {
    this.#clock = clock
    this.#group = group
    this.#member = member
    this.#session = new GroupSession(clock, group, member)
    this.#isFull = isFull
  }

  next(same?: Partition): Work | undefined {
    return this.#isFull() ? undefined : this.#session.next(same)
  }

  delivered(work: Work, next: Offset): boolean {
    return this.#session.delivered(work, next)
  }

  grow(): void {}

  lost(partition: Partition, from: Offset, to: Offset): void {
    this.#session.lost(partition, from, to)
  }

  close(): void {
    this.#group.detach(this.#member, this.#clock.monotonicMs())
  }
}
