/** How the records of a group are shared among its consumers: the face of the two ways, and what they have of each other. */

import type { Offset, Partition } from '#wire/ids'

import type { GroupLog, LogProgress } from './progress.ts'

/**
 * `exclusive`: a partition has one holder, so that its records arrive in order. `shared`: a record goes to whoever is free,
 * in no order.
 */
export type Mode = 'exclusive' | 'shared'

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
  /** Nothing of what it was sent is its own any more: it must come anew. */
  dismissed(): void
}

/** A log as a group has it. */
export interface GroupedLog {
  readonly log: GroupLog
  readonly progress: LogProgress
}

/** Who may be sent what, and until when. The records themselves are counted in the logs' {@link LogProgress}. */
export interface Sharing {
  /** Records that one piece of work holds at most. */
  readonly pieceRecords: number
  /** The partitions that a member is sent records of, one time or another. */
  partitionsOf(member: Member): readonly Partition[]
  /** Whether it may be sent records of one of them now. */
  mayTake(member: Member, partition: Partition): boolean
  /** How many records of these partitions the member has in flight. */
  inFlightOf(member: Member): number
  /** Who alone is sent the records of a partition. */
  holderOf(partition: Partition): Member | undefined
  /** Takes in the logs that the group has now, and its members. To be called when either has changed. */
  share(members: ReadonlySet<Member>): void
  /** The member is gone: what it had in flight is delivered again. To be followed by {@link share}. */
  left(member: Member): void
  /** Records are on their way to a member. */
  sent(member: Member, partition: Partition, from: Offset, to: Offset, nowMs: number): void
  /** Records are acknowledged or given back, by a consumer: it is alive at `nowMs`. Without a time: by nobody. */
  settled(partition: Partition, from: Offset, to: Offset, nowMs?: number): void
  /** A consumer asked for more time. */
  extended(partition: Partition, offset: Offset, nowMs: number): void
  /** Ends the leases whose time has come; false when there was none. */
  expire(nowMs: number): boolean
}
