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

/** The holes of one log: those that its files tell of, and those that a reader comes upon. */
export class Holes {
  readonly #holes: Hole[]

  /** @param holes in order, apart from each other */
  constructor(holes: readonly Hole[]) {
    this.#holes = [...holes]
  }

  /** In order. */
  get all(): readonly Hole[] {
    return this.#holes
  }

  /** Adds one that lies behind all others. */
  push(hole: Hole): void {
    this.#holes.push(hole)
  }

  /** Forgets those before an offset. */
  dropBefore(offset: Offset): void {
    this.#holes.splice(0, this.#holes.filter(({ to }) => to <= offset).length)
  }

  /**
   * Why there is no record from one offset to another (exclusive), as a read has found: a piece a reason, in order. What no
   * hole is known for is damage, and a hole from here on.
   *
   * @param firstKept what is before it was removed by retention
   */
  between(firstKept: Offset, from: Offset, to: Offset): Loss[] {
    const pieces: Loss[] = []
    for (let at = from; at < to;) {
      const known = this.#holes.findIndex((each) => each.to > at)
      const hole = this.#holes[known]
      const isIn = hole !== undefined && hole.from <= at
      const reason = at < firstKept ? 'retention' : isIn ? hole.reason : 'damaged'
      const bound = at < firstKept ? firstKept : isIn ? hole.to : (hole?.from ?? to)
      const next = Math.min(bound, to) as Offset
      pieces.push({ first: at, next, reason })
      if (reason === 'damaged' && !isIn) {
        this.#holes.splice(hole === undefined ? this.#holes.length : known, 0, { from: at, to: next, reason })
      }
      at = next
    }
    return pieces
  }
}

/** How many offsets hold no record, by the reason. */
export function missingIn(holes: readonly Hole[]): Record<Hole['reason'], number> {
  const missing = { damaged: 0, unclean_stop: 0 }
  for (const { from, to, reason } of holes) missing[reason] += to - from
  return missing
}
