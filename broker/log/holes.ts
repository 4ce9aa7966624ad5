/** Offsets that hold no record, and why. */

import type { Offset } from '#wire/ids'

/** Offsets from one to another (exclusive) that hold no record. */
export interface Hole {
  readonly from: Offset
  readonly to: Offset
  readonly reason: 'damaged' | 'unclean_stop'
}

/** Why a record is not there, as `event: gap` says it. */
export type LossReason = Hole['reason'] | 'retention'

/** A piece of what a reader misses. */
export interface Loss {
  readonly first: Offset
  readonly next: Offset
  readonly reason: LossReason
}

/**
 * Why there is no record from one offset to another (exclusive): a piece a reason, in order.
 *
 * @param holes what is known, in order; what is in none of them is damaged
 * @param firstKept what is before it was removed by retention
 */
export function lostBetween(holes: readonly Hole[], firstKept: Offset, from: Offset, to: Offset): Loss[] {
  const pieces: Loss[] = []
  for (let at = from; at < to;) {
    const hole = holes.find((each) => each.to > at)
    const isIn = hole !== undefined && hole.from <= at
    const reason = at < firstKept ? 'retention' : isIn ? hole.reason : 'damaged'
    const bound = at < firstKept ? firstKept : isIn ? hole.to : (hole?.from ?? to)
    const next = Math.min(bound, to) as Offset
    pieces.push({ first: at, next, reason })
    at = next
  }
  return pieces
}
