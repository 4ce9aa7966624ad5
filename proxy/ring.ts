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

const places = 2 ** 32

/** More brokers than can be: a point is its place times this, plus the broker's index, in one double. */
const indexes = 2 ** 20

/** A partition on its way round the ring. */
interface Walker {
  readonly partition: number
  readonly walk: Iterator<Choice>
  choice: Choice
}

interface Choice {
  readonly broker: number
  /** From the partition's place to the broker's point. */
  readonly distance: number
}

export class Ring {
  readonly brokers: readonly Ordinal[]
  readonly #virtualNodes: number
  #made: Float64Array | undefined

  constructor(brokers: Iterable<Ordinal>, virtualNodes: number = virtualNodesDefault) {
    this.brokers = [...new Set(brokers)].sort((a, b) => a - b)
    this.#virtualNodes = virtualNodes
  }

  /** Rising. Made when first needed: 150,000 take half a second, and a proxy that starts hears of its brokers one by one. */
  get #points(): Float64Array {
    if (this.#made !== undefined) return this.#made
    const points = new Float64Array(this.brokers.length * this.#virtualNodes)
    for (const [index, broker] of this.brokers.entries()) {
      for (let node = 0; node < this.#virtualNodes; node++) {
        points[index * this.#virtualNodes + node] = hash32(`broker-${broker}/${node}`) * indexes + index
      }
    }
    this.#made = points.sort()
    return points
  }

  /**
   * All brokers in the order in which they would take this partition: the owner of an unbounded ring first. Found as they are
   * asked for: who asks for the first two walks no whole ring.
   */
  *walk(topic: string, partition: Partition): Generator<Ordinal, void, undefined> {
    for (const { broker } of this.#choices(placeOf(hash32(topic), partition))) yield this.brokers[broker] as Ordinal
  }

  /**
   * The owner of each partition of a topic, by number. Empty when there is no broker.
   *
   * A broker that has too many on the plain ring keeps those that are closest before its points; the others walk on.
   */
  owners(topic: string, partitions: number): Ordinal[] {
    const count = this.brokers.length
    if (count === 0) return []
    const floor = Math.floor(partitions / count)
    let above = partitions % count
    const held = new Uint32Array(count)
    const owners: Ordinal[] = Array.from({ length: partitions })
    let waiting = this.#walkers(topic, partitions)
    // Everyone's first choice before anyone's second: a partition that has to walk on does not push another one away.
    while (waiting.length > 0) {
      waiting.sort((a, b) => a.choice.distance - b.choice.distance || a.partition - b.partition)
      const next: Walker[] = []
      for (const walker of waiting) {
        const { broker } = walker.choice
        const holds = held[broker] as number
        if (holds < floor || (holds === floor && above > 0)) {
          if (holds === floor) above--
          held[broker] = holds + 1
          owners[walker.partition] = this.brokers[broker] as Ordinal
        } else next.push(walker)
      }
      for (const walker of next) walker.choice = nextOf(walker.walk)
      waiting = next
    }
    return owners
  }

  #walkers(topic: string, partitions: number): Walker[] {
    const start = hash32(topic)
    return Array.from({ length: partitions }, (_, partition) => {
      const walk = this.#choices(placeOf(start, partition))
      return { partition, walk, choice: nextOf(walk) }
    })
  }

  /** The brokers behind a place, each once, the nearest first. */
  *#choices(place: number): Generator<Choice, void, undefined> {
    const points = this.#points
    const seen = new Set<number>()
    const start = this.#firstBehind(place)
    for (let step = 0; step < points.length && seen.size < this.brokers.length; step++) {
      const point = points[(start + step) % points.length] as number
      const broker = point % indexes
      if (seen.has(broker)) continue
      seen.add(broker)
      const distance = Math.floor(point / indexes) - place
      yield { broker, distance: distance < 0 ? distance + places : distance }
    }
  }

  /** The first point at the place or behind it; the number of points when there is none. */
  #firstBehind(place: number): number {
    const least = place * indexes
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#points[middle] as number) < least) low = middle + 1
      else high = middle
    }
    return low
  }
}

/**
 * Where a partition stands. A topic's partitions are spaced by the golden ratio, which keeps any number of them as far apart
 * as can be (Knuth, The Art of Computer Programming 3, 6.4): placed by chance, 1,024 on four brokers differ by another 5 %,
 * and the bound has to move so many more (docs/decisions/110-how-the-ring-is-bounded.md).
 */
function placeOf(start: number, partition: number): number {
  return (start + Math.imul(partition, 0x9e3779b9)) >>> 0
}

/** The next choice of a partition that still has one: no broker is full while a partition has none. */
function nextOf(walk: Iterator<Choice>): Choice {
  const { value, done } = walk.next() as IteratorResult<Choice, undefined>
  if (done === true) throw new Error('a partition has walked the whole ring')
  return value
}
