/** What a group has still to acknowledge, by what brokers tell in `/topics` and `/status`. */

/** A log, with the records that it holds; nothing of them where it has not said. */
export interface HeldLog {
  readonly broker: number
  readonly partition: number
  readonly records?: number | undefined
}

/** What a group says of a log that it knows. */
export interface GroupLog {
  readonly broker: number
  readonly partition: number
  readonly lag: number
}

/** What a group has still to acknowledge of these logs: all that a log holds, where the group does not know it yet. */
export function lagOf(logs: readonly HeldLog[], group: readonly GroupLog[]): number {
  return logs.reduce((sum, { broker, partition, records = 0 }) => {
    const known = group.find((log) => log.broker === broker && log.partition === partition)
    return sum + (known?.lag ?? records)
  }, 0)
}
