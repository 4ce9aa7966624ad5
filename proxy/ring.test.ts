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

/** The owner on an unbounded ring, by looking at every point. */
function obviousFirst(brokers: number, topic: string, partition: number): number {
  const place = hash32(`${topic}/${partition}`)
  let best = { distance: Infinity, broker: -1 }
  for (let broker = 0; broker < brokers; broker++) {
    for (let node = 0; node < 150; node++) {
      const distance = (hash32(`broker-${broker}/${node}`) - place + 2 ** 32) % 2 ** 32
      if (distance < best.distance) best = { distance, broker }
    }
  }
  return best.broker
}

test('a walk begins where the obvious look-up says, and visits every broker once', (t) => {
  const ring = ringOf(5)
  const wrong: string[] = []
  for (let partition = 0; partition < 300; partition++) {
    const walk = ring.walk('telemetry', partition as Partition)
    if (walk[0] !== obviousFirst(5, 'telemetry', partition)) wrong.push(`partition ${partition}`)
    if (new Set(walk).size !== 5 || walk.length !== 5) wrong.push(`partition ${partition} walks ${walk.join()}`)
  }
  t.strictSame(wrong, [])
  t.end()
})

test('where partitions suffice each broker owns floor or ceil', (t) => {
  const wrong: string[] = []
  for (const topic of ['telemetry', 'transfers', 'a', 'b']) {
    for (let brokers = 2; brokers <= 6; brokers++) {
      for (let partitions = 1; partitions <= 24; partitions++) {
        const owners = ringOf(brokers).owners(topic, partitions)
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

test('the table does not depend on the order in which brokers are named', (t) => {
  const one = new Ring([2, 0, 1] as Ordinal[]).owners('telemetry', 64)
  t.strictSame(new Ring([0, 1, 2, 2] as Ordinal[]).owners('telemetry', 64), one)
  t.end()
})

test('a broker that joins takes its share and moves little else', (t) => {
  for (let brokers = 1; brokers <= 4; brokers++) {
    let moved = 0
    const topics = Array.from({ length: 20 }, (_, index) => `topic-${index}`)
    for (const topic of topics) {
      const before = ringOf(brokers).owners(topic, 1024)
      const after = ringOf(brokers + 1).owners(topic, 1024)
      moved += before.filter((owner, partition) => owner !== after[partition]).length / 1024
    }
    const share = moved / topics.length
    t.ok(share <= 1.25 / (brokers + 1), `${brokers} to ${brokers + 1}: ${(100 * share).toFixed(1)} % move`)
  }
  t.end()
})

test('no broker, no owner', (t) => {
  t.strictSame(ringOf(0).owners('telemetry', 4), [])
  t.strictSame(ringOf(0).walk('telemetry', 0 as Partition), [])
  t.end()
})
