/**
 * Which broker owns a partition: consistent hashing with bounded loads.
 *
 * Every broker has so many points on a ring of 2^32 places; a partition belongs to the first broker behind its own place
 * (Karger et al. 1997). The bound (after Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads",
 * 2016, here at its tightest): a broker owns floor or ceil(partitions / brokers) of a topic's partitions, and what is too
 * much for one walks on. Without it two brokers and two partitions leave one broker idle half of the time.
 */

import { hash32 } from '#wire/hash'
import type { Ordinal, Partition } from '#wire/ids'

/** Points a broker has on the ring, unless `VIRTUAL_NODES` says otherwise. */
export const virtualNodesDefault = 150

interface Point {
  readonly place: number
  readonly broker: Ordinal
}

export class Ring {
  readonly brokers: readonly Ordinal[]
  readonly #points: readonly Point[]

  constructor(brokers: Iterable<Ordinal>, virtualNodes: number = virtualNodesDefault) {
    this.brokers = [...new Set(brokers)].sort((a, b) => a - b)
    const points: Point[] = []
    for (const broker of this.brokers) {
      for (let node = 0; node < virtualNodes; node++) points.push({ place: hash32(`broker-${broker}/${node}`), broker })
    }
    this.#points = points.sort((a, b) => a.place - b.place || a.broker - b.broker)
  }

  /** All brokers in the order in which they would take this partition: the owner of an unbounded ring first. */
  walk(topic: string, partition: Partition): Ordinal[] {
    const seen = new Set<Ordinal>()
    const start = this.#firstBehind(hash32(`${topic}/${partition}`))
    for (let step = 0; step < this.#points.length && seen.size < this.brokers.length; step++) {
      seen.add((this.#points[(start + step) % this.#points.length] as Point).broker)
    }
    return [...seen]
  }

  /**
   * The owner of each partition of a topic, by number. Empty when there is no broker.
   *
   * A broker that has too many on the plain ring keeps those that are closest before its points; the others walk on.
   */
  owners(topic: string, partitions: number): Ordinal[] {
    if (this.brokers.length === 0) return []
    const floor = Math.floor(partitions / this.brokers.length)
    let above = partitions % this.brokers.length
    const held = new Map<Ordinal, number>(this.brokers.map((broker) => [broker, 0]))
    const owners: Ordinal[] = []
    const walks = Array.from({ length: partitions }, (_, partition) => this.walk(topic, partition as Partition))
    let waiting = walks.map((_, partition) => partition)
    // Everyone's first choice before anyone's second: a partition that has to walk on does not push another one away.
    for (let choice = 0; waiting.length > 0 && choice < this.brokers.length; choice++) {
      const next: number[] = []
      for (const partition of waiting) {
        const broker = walks[partition]?.[choice] as Ordinal
        const count = held.get(broker) ?? 0
        if (count < floor || (count === floor && above > 0)) {
          if (count === floor) above--
          held.set(broker, count + 1)
          owners[partition] = broker
        } else next.push(partition)
      }
      waiting = next
    }
    return owners
  }

  #firstBehind(place: number): number {
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#points[middle] as Point).place < place) low = middle + 1
      else high = middle
    }
    return low % Math.max(1, this.#points.length)
  }
}
