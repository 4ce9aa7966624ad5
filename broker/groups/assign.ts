/**
 * Which consumer of an exclusive group holds which partition: rendezvous hashing with a bound.
 *
 * Rendezvous hashing alone leaves a third of the consumers idle at 4 partitions over 4 consumers; with the bound each
 * holds floor or ceil(partitions / consumers), and still few partitions move when a consumer comes or goes.
 */

import { hash32 } from '#wire/hash'

/**
 * Assigns each of the partitions 0 … n-1 to a consumer, by name.
 *
 * @param wants tells whether a consumer takes a partition at all (one that asked for a single partition takes that)
 * @returns the name a partition, `undefined` where nobody takes it
 */
export function assignPartitions(
  topic: string,
  partitions: number,
  consumers: readonly string[],
  wants: (consumer: string, partition: number) => boolean = () => true,
): (string | undefined)[] {
  const floor = Math.floor(partitions / Math.max(1, consumers.length))
  // So many consumers may hold one more than the floor.
  let above = partitions - floor * consumers.length
  const held = new Map<string, number>()
  const owners: (string | undefined)[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const ranked = consumers
      .filter((consumer) => wants(consumer, partition))
      .map((consumer) => ({ consumer, weight: hash32(`${topic}/${partition}/${consumer}`) }))
      .sort((a, b) => b.weight - a.weight || (a.consumer < b.consumer ? -1 : 1))
    const room = ranked.find(({ consumer }) => {
      const count = held.get(consumer) ?? 0
      return count < floor || (count === floor && above > 0)
    })
    // Where the consumers that want this partition are all at their bound, the first of them takes it all the same.
    const owner = (room ?? ranked[0])?.consumer
    owners.push(owner)
    if (owner === undefined) continue
    const count = (held.get(owner) ?? 0) + 1
    held.set(owner, count)
    if (count === floor + 1) above--
  }
  return owners
}
