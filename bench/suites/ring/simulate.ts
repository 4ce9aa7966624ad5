/** A topic's partitions on clusters of many sizes: who owns what before and after a broker joins or leaves. */

// @ts-expect-error: it has no types
import HashRing from 'hash-ring'
// @ts-expect-error: it has no types
import Hashring from 'hashring'

import { Ring } from '#proxy/ring'
import type { Ordinal } from '#wire/ids'

export interface Maker {
  /** Beyond it, it takes minutes. */
  readonly brokersMax: number
  /** The owner of each partition. */
  owners(brokers: readonly number[], topic: string, partitions: number): readonly number[]
  /** A look-up of one partition, as a request makes it, on a ring that is there. */
  lookup(brokers: readonly number[], topic: string, partitions: number): (partition: number) => unknown
}

export interface Simulated {
  readonly brokers: number
  readonly partitions: number
  /** The fullest broker's partitions / the mean. */
  readonly highest: number
  /** Standard deviation / mean. */
  readonly deviation: number
  /** Partitions that move when one more broker joins / what it must get. */
  readonly joins: number
  /** Partitions that move when the middle one leaves / what it had. */
  readonly leaves: number
  readonly lookupsPerS: number
}

interface Keyed {
  get(key: string): string
}

interface Noded {
  getNode(key: string): string
}

function byKey(make: (brokers: readonly number[]) => (key: string) => string, brokersMax: number): Maker {
  return {
    brokersMax,
    owners(brokers, topic, partitions) {
      const find = make(brokers)
      return Array.from({ length: partitions }, (_, partition) => Number(find(`${topic}/${partition}`).slice(1)))
    },
    lookup(brokers, topic) {
      const find = make(brokers)
      return (partition) => find(`${topic}/${partition}`)
    },
  }
}

const named = (brokers: readonly number[]): string[] => brokers.map((broker) => `b${broker}`)

/** Ours first. */
export const makers: Readonly<Record<string, Maker>> = {
  penstock: {
    brokersMax: 1_000,
    owners: (brokers, topic, partitions) => new Ring(brokers as Ordinal[]).owners(topic, partitions),
    // A proxy keeps the table and looks the owner up in it.
    lookup(brokers, topic, partitions) {
      const tables = new Map([[topic, new Ring(brokers as Ordinal[]).owners(topic, partitions)]])
      return (partition) => tables.get(topic)?.[partition]
    },
  },
  // Beyond 100 brokers it takes minutes to make.
  hashring: byKey((brokers) => {
    // Its cache would be all that is measured.
    const ring = new Hashring(named(brokers), 'md5', { 'max cache size': 1 }) as Keyed
    return (key) => ring.get(key)
  }, 100),
  // It sorts all points anew with each broker.
  'hash-ring': byKey((brokers) => {
    const ring = new HashRing(named(brokers), { replicas: 150 }) as Noded
    return (key) => ring.getNode(key)
  }, 10),
}

/** The mean of so many topics. */
export function simulate(maker: Maker, brokers: number, partitions: number, topics: number): Simulated {
  const all = Array.from({ length: brokers }, (_, broker) => broker)
  const gone = brokers >> 1
  const sums = { highest: 0, deviation: 0, joins: 0, leaves: 0 }
  for (let topic = 0; topic < topics; topic++) {
    const owners = (some: readonly number[]) => maker.owners(some, `topic-${topic}`, partitions)
    const before = owners(all)
    const counts = all.map((broker) => before.filter((owner) => owner === broker).length)
    const mean = partitions / brokers
    sums.highest += Math.max(...counts) / mean
    sums.deviation += Math.sqrt(counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / brokers) / mean
    sums.joins += (moved(before, owners([...all, brokers])) / partitions) * (brokers + 1)
    sums.leaves += (moved(before, owners(all.filter((broker) => broker !== gone))) / partitions) * brokers
  }
  const of = (key: keyof typeof sums): number => sums[key] / topics
  const find = maker.lookup(all, 'topic-0', partitions)
  return {
    brokers,
    partitions,
    highest: of('highest'),
    deviation: of('deviation'),
    joins: of('joins'),
    leaves: of('leaves'),
    lookupsPerS: lookupsPerS(find, partitions),
  }
}

function moved(before: readonly number[], after: readonly number[]): number {
  return before.filter((owner, partition) => owner !== after[partition]).length
}

function lookupsPerS(find: (partition: number) => unknown, partitions: number): number {
  const startedMs = performance.now()
  let done = 0
  while (performance.now() - startedMs < 50) {
    for (let at = 0; at < 500; at++) find(done++ % partitions)
  }
  return (1000 * done) / (performance.now() - startedMs)
}
