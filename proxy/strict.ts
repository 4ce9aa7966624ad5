/**
 * Topics of strict order: a record of a partition is written while every group has acknowledged what other brokers hold of that
 * partition, and to its owner alone. So nobody reads a later record before an earlier one.
 */

import type { Ordinal, Partition } from '#wire/ids'
import { lagOf, type GroupLog, type HeldLog } from '#wire/lag'

/** What is known of one partition of a strict topic. */
export interface OldLogs {
  readonly topic: string
  readonly partition: Partition
  readonly owner: Ordinal
  /** Records in logs of other brokers that a group has still to acknowledge; `undefined` while one of them cannot be asked. */
  readonly waiting: number | undefined
}

export class StrictGates {
  /**
   * By partition, the owner that it was opened for. Nobody else writes to the partition from then on, so that it stays open,
   * whatever becomes of the others, until the ring gives it another owner.
   */
  readonly #openFor = new Map<string, Ordinal>()
  readonly #waiting = new Map<string, number | undefined>()

  isOpen(topic: string, partition: Partition, owner: Ordinal): boolean {
    return this.#openFor.get(`${topic}/${partition}`) === owner
  }

  judge({ topic, partition, owner, waiting }: OldLogs): void {
    const key = `${topic}/${partition}`
    this.#waiting.set(key, waiting)
    if (waiting === 0) this.#openFor.set(key, owner)
  }

  /** Why a partition is not open, in a few words. */
  reason(topic: string, partition: Partition): string {
    const waiting = this.#waiting.get(`${topic}/${partition}`)
    if (waiting === undefined) return 'not every broker can be asked what it holds of it'
    // Judged for the owner before.
    if (waiting === 0) return 'its owner is new, and the others are still asked what they hold of it'
    return `${waiting} records on other brokers are to be acknowledged first`
  }
}

/**
 * What the group that is furthest behind has still to acknowledge of some logs.
 *
 * @param logs what the brokers hold
 * @param groups what each group says of the logs that it knows
 */
export function unacknowledged(
  logs: readonly HeldLog[],
  groups: readonly (readonly GroupLog[])[],
  isMeant: (log: HeldLog) => boolean,
): number {
  const meant = logs.filter(isMeant)
  return groups.reduce((most, group) => Math.max(most, lagOf(meant, group)), 0)
}
