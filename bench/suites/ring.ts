/**
 * `npm run bench -- ring [--quick]`: the ring from 3 to 1,000 brokers, and the npm packages `hashring` and `hash-ring`: balance,
 * what moves when a broker joins or leaves, look-ups a second. Writes the plots of docs/SCALING.md to `docs/images/`; with
 * `--quick`, to the results.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Bench } from '../measure.ts'
import { plot } from '../load/plot.ts'
import { makers, simulate, type Simulated } from './ring/simulate.ts'

const sizes = [3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 300, 500, 1000]

/** The partitions of a cluster's topic: 1,024, and from 102 brokers on ten each. */
const partitionsOf = (brokers: number): number => Math.max(1_024, 10 * brokers)

export async function run(bench: Bench): Promise<void> {
  const folder = join(import.meta.dirname, bench.quick ? '../results' : '../../docs/images')
  const results = new Map<string, Simulated[]>()
  for (const [name, maker] of Object.entries(makers)) {
    const done: Simulated[] = []
    results.set(name, done)
    for (const brokers of sizes.filter((size) => size <= (bench.quick ? 50 : maker.brokersMax))) {
      const one = simulate(maker, brokers, partitionsOf(brokers), bench.quick || brokers > 100 ? 1 : 3)
      done.push(one)
      bench.say(`${name}, ${brokers} brokers: ${JSON.stringify(one)}`)
    }
  }
  const ours = results.get('penstock') ?? []
  for (const [name, theirs] of results) {
    if (name === 'penstock') continue
    for (const [at, peer] of theirs.entries()) {
      const mine = ours[at] as Simulated
      if (![3, 20, 100, 1000].includes(mine.brokers)) continue
      const of = (work: string, unit: string, key: 'highest' | 'joins' | 'leaves' | 'lookupsPerS'): void =>
        bench.report({ work: `${work}-${mine.brokers}`, unit, value: mine[key], peer: name, peer_value: peer[key] })
      of('ring-highest-load', 'x mean', 'highest')
      of('ring-moved-by-join', 'x least', 'joins')
      of('ring-moved-by-leave', 'x least', 'leaves')
      of('ring-lookups', 'look-ups/s', 'lookupsPerS')
    }
  }
  await mkdir(folder, { recursive: true })
  const shown = ['penstock', 'hashring']
  const seriesOf = (key: 'highest' | 'joins' | 'leaves', names: readonly string[]) =>
    names.map((name) => ({
      name,
      points: (results.get(name) ?? []).map((one) => [one.brokers, one[key]] as const),
    }))
  await writeFile(
    join(folder, 'ring-balance.svg'),
    plot('The fullest broker, as a multiple of the mean', 'brokers', seriesOf('highest', shown)),
  )
  const [joins, leaves] = [seriesOf('joins', shown), seriesOf('leaves', ['penstock'])]
  const renamed = [
    ...joins.map(({ name, points }) => ({ name: `${name}, one joins`, points })),
    ...leaves.map(({ name, points }) => ({ name: `${name}, one leaves`, points })),
  ]
  await writeFile(
    join(folder, 'ring-movement.svg'),
    plot('Partitions that move, as a multiple of the least', 'brokers', renamed),
  )
  bench.say(`plots: ${folder}/ring-balance.svg, ring-movement.svg`)
}
