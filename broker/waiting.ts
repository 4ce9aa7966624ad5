/** What waits for whom: the figures of a topic's groups, for `/status` and `/metrics`. */

import type { Broker } from './broker.ts'
import type { Group } from './groups/group.ts'
import { deskGroup, type Topic } from './topic.ts'

/** The groups that somebody reads in. */
export function groupsOf({ groups }: Topic): readonly Group[] {
  return groups.all.filter(({ name }) => name !== deskGroup)
}

/** What a group has not acknowledged of a topic: how much, and since when. */
export function waitingOf(broker: Broker, topic: Topic, group: Group) {
  const logs = topic.logs.map((log) => ({ log, ...group.figures(log.partition) }))
  const times = logs.flatMap(({ log, lag, floor }) => (lag > 0 ? (log.appendedMs(floor) ?? []) : []))
  const oldestMs = times.reduce((oldest, ms) => Math.min(oldest, ms), Infinity)
  return {
    lag: sumOf(logs, ({ lag }) => lag),
    inFlight: sumOf(logs, ({ inFlight }) => inFlight),
    /** How long the record waits that it has not acknowledged longest; `undefined` where none waits. */
    oldestS: times.length === 0 ? undefined : Math.max(0, (broker.clock.wallMs() - oldestMs) / 1000),
  }
}

export function sumOf<T>(items: Iterable<T>, of: (item: T) => number): number {
  let total = 0
  for (const item of items) total += of(item)
  return total
}
