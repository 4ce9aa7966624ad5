import * as fc from 'fast-check'
import { test } from 'tap'

import { hash32 } from '#wire/hash'
import type { Ordinal, Partition } from '#wire/ids'

import { Ring } from './ring.ts'

function ringOf(brokers: number, virtualNodes?: number): Ring {
  return new Ring(
    Array.from({ length: brokers }, (_, index) => index as Ordinal),
    virtualNodes,
  )
}

/** The brokers by the distance of their nearest point behind the place, by looking at every point. */
function obviousWalk(
  brokers: readonly number[],
  virtualNodes: number,
  topic: string,
  partition: number,
): { readonly broker: number; readonly distance: number }[] {
  const place = (hash32(topic) + partition * 0x9e3779b9) % 2 ** 32
  const distanceOf = (broker: number): number =>
    Math.min(
      ...Array.from({ length: virtualNodes }, (_, node) => {
        return (hash32(`broker-${broker}/${node}`) - place + 2 ** 32) % 2 ** 32
      }),
    )
  return brokers
    .map((broker) => ({ broker, distance: distanceOf(broker) }))
    .sort((a, b) => a.distance - b.distance || a.broker - b.broker)
}

/** Everyone's first choice, the nearest first, then everyone's second …: a broker takes what the bound lets it take. */
function obviousOwners(
  brokers: readonly number[],
  virtualNodes: number,
  topic: string,
  partitions: number,
): (number | undefined)[] {
  const walks = Array.from({ length: partitions }, (_, at) => obviousWalk(brokers, virtualNodes, topic, at))
  const owners: (number | undefined)[] = walks.map(() => undefined)
  const heldBy = (broker: number): number => owners.filter((owner) => owner === broker).length
  const floor = Math.floor(partitions / brokers.length)
  for (let choice = 0; choice < brokers.length; choice++) {
    const asking = walks
      .flatMap((walk, partition) => (owners[partition] === undefined ? [{ partition, ...walk[choice] }] : []))
      .sort((a, b) => (a.distance as number) - (b.distance as number) || a.partition - b.partition)
    for (const { partition, broker } of asking) {
      const full = brokers.filter((each) => heldBy(each) > floor).length
      const bound = full < partitions % brokers.length ? floor + 1 : floor
      if (heldBy(broker as number) < bound) owners[partition] = broker
    }
  }
  return owners
}

const clusters = {
  brokers: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 7 }),
  virtualNodes: fc.integer({ min: 1, max: 12 }),
  topic: fc.string({ minLength: 1, maxLength: 8 }),
  partitions: fc.integer({ min: 1, max: 30 }),
}

test('the table of owners is the one of the obvious rounds, and no two brokers differ by more than one', (t) => {
  fc.assert(
    fc.property(fc.record(clusters), ({ brokers, virtualNodes, topic, partitions }) => {
      const owners = new Ring(brokers as Ordinal[], virtualNodes).owners(topic, partitions)
      t.strictSame(owners, obviousOwners(brokers, virtualNodes, topic, partitions))
      const counts = brokers.map((broker) => owners.filter((owner) => owner === broker).length)
      return Math.max(...counts) - Math.min(...counts) <= 1
    }),
  )
  t.end()
})

test('a walk goes as the obvious look-up says, and visits every broker once', (t) => {
  fc.assert(
    fc.property(fc.record(clusters), ({ brokers, virtualNodes, topic, partitions: partition }) => {
      const walk = [...new Ring(brokers as Ordinal[], virtualNodes).walk(topic, partition as Partition)]
      const obvious = obviousWalk(brokers, virtualNodes, topic, partition)
      t.strictSame(
        walk,
        obvious.map(({ broker }) => broker),
      )
    }),
  )
  t.end()
})

test('2 to 12 partitions on 2 to 6 brokers: where they suffice each broker owns floor or ceil, else none owns two', (t) => {
  const wrong: string[] = []
  for (let brokers = 2; brokers <= 6; brokers++) {
    const ring = ringOf(brokers)
    for (const topic of Array.from({ length: 50 }, (_, index) => `topic-${index}`)) {
      for (let partitions = 2; partitions <= 12; partitions++) {
        const owners = ring.owners(topic, partitions)
        for (let broker = 0; broker < brokers; broker++) {
          const count = owners.filter((owner) => owner === broker).length
          if (count < Math.floor(partitions / brokers) || count > Math.ceil(partitions / brokers)) {
            wrong.push(`${topic}: ${partitions} on ${brokers}: broker ${broker} owns ${count}`)
          }
        }
      }
    }
  }
  t.strictSame(wrong, [])
  t.end()
})

test('over 1,024 partitions the standard deviation is below 5 % of the mean', (t) => {
  for (const brokers of [2, 3, 5, 12, 64]) {
    const owners = ringOf(brokers).owners('telemetry', 1024)
    const counts = Array.from({ length: brokers }, (_, broker) => owners.filter((owner) => owner === broker).length)
    const mean = 1024 / brokers
    const deviation = Math.sqrt(counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / brokers)
    t.ok(deviation / mean < 0.05, `${brokers} brokers: ${((100 * deviation) / mean).toFixed(2)} %`)
  }
  t.end()
})

test('a broker that joins up to four takes its share of 1,024 partitions and moves at most 15 % more', (t) => {
  const topics = Array.from({ length: 30 }, (_, index) => `topic-${index}`)
  for (let brokers = 1; brokers <= 4; brokers++) {
    const [before, after] = [ringOf(brokers), ringOf(brokers + 1)]
    const shares = topics.map((topic) => {
      const [old, now] = [before.owners(topic, 1024), after.owners(topic, 1024)]
      return old.filter((owner, partition) => owner !== now[partition]).length / 1024
    })
    const worst = Math.max(...shares)
    t.ok(worst <= 1.15 / (brokers + 1), `${brokers} to ${brokers + 1}: ${(100 * worst).toFixed(1)} % move at most`)
  }
  t.end()
})

test('a broker that leaves moves what it had and little else', (t) => {
  const before = ringOf(5).owners('telemetry', 1024)
  for (const gone of [0, 2, 4]) {
    const rest = new Ring([0, 1, 2, 3, 4].filter((broker) => broker !== gone) as Ordinal[]).owners('telemetry', 1024)
    const moved = before.filter((owner, partition) => owner !== rest[partition]).length / 1024
    t.ok(moved <= 1.15 / 5, `without ${gone}: ${(100 * moved).toFixed(1)} % move`)
  }
  t.end()
})

test('the table does not depend on the order in which brokers are named', (t) => {
  const one = new Ring([2, 0, 1] as Ordinal[]).owners('telemetry', 64)
  t.strictSame(new Ring([0, 1, 2, 2] as Ordinal[]).owners('telemetry', 64), one)
  t.end()
})

test('the bound holds for a thousand brokers and ten thousand partitions', (t) => {
  const owners = ringOf(1000).owners('telemetry', 10_000)
  const counts = new Map<number, number>()
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  t.strictSame([counts.size, new Set(counts.values())], [1000, new Set([10])])
  t.end()
})

test('no broker, no owner', (t) => {
  t.strictSame(ringOf(0).owners('telemetry', 4), [])
  t.strictSame([...ringOf(0).walk('telemetry', 0 as Partition)], [])
  t.end()
})
