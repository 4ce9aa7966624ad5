import { test } from 'tap'

import type { Clock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

import { Cluster } from './cluster.ts'
import { tableVersion } from './table.ts'

const clock: Clock = { wallMs: () => 0, monotonicMs: () => 0 }

/** A cluster whose brokers are heard of in this order. */
function heardOf(order: readonly number[], virtualNodes = 150): Cluster {
  const urlOf = (broker: number): string => `http://broker-${broker}`
  const cluster = new Cluster(clock, order.toSorted((a, b) => a - b).map(urlOf), virtualNodes, () => {})
  for (const broker of order) cluster.members.probed(urlOf(broker), { kind: 'ready', ordinal: broker as Ordinal })
  return cluster
}

test('proxies that know the same brokers tell the same version, whatever happened to them before', (t) => {
  const one = heardOf([0, 1, 2])
  const other = heardOf([2, 0, 1])
  t.equal(tableVersion(one), tableVersion(other))
  for (let failure = 0; failure < 10; failure++) other.members.requestFailed('http://broker-1', 'refused')
  t.equal(other.members.byOrdinal(1 as Ordinal)?.state, 'down')
  t.equal(tableVersion(one), tableVersion(other), 'a broker that is down owns what it owned')
  t.not(tableVersion(one), tableVersion(heardOf([0, 1])))
  t.not(tableVersion(one), tableVersion(heardOf([0, 1, 2], 100)))
  t.end()
})
