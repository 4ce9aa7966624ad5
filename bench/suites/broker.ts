/**
 * `npm run bench -- broker [work …] [--quick]`: the broker on each HTTP engine, beside the peers that are found (bench/peers).
 *
 * Without a work: `produce-batch-disk`, `produce-batch-fsync`, `produce-single-disk`, `produce-single-fsync`, `consume-memory`,
 * `consume-disk`, `consume-client`, `latency-20k`. With `--quick` they take under 90 s.
 *
 * Further works, only when they are named:
 * - `batches`, `sizes`: batches of 1 to 1,000 records, records of 100 B to 1 KiB.
 * - `groups`: one reader and eight. `rates`: latency at 1,000 to 100,000 records a second.
 * - `partitions`: 1, 100 and 10,000 of them with a backlog of ten million records; `partitions-1` and so on is one of the three.
 * - `generator`: our own load, against a server that does nothing, and against `wrk`.
 *
 * A run without `--quick` keeps its figures in bench/figures and writes bench/RESULTS.md anew from all that are there.
 */

import { busyShare } from '../cpu.ts'
import type { Bench, Measurement } from '../measure.ts'
import { consumeClient } from './broker/client.ts'
import { consumeDisk, consumeMemory, sweepGroups } from './broker/consume.ts'
import { generator } from './broker/generator.ts'
import { latency20k, sweepRates } from './broker/latency.ts'
import { backlogOver, partitions } from './broker/partitions.ts'
import { produceBatches, produceSingles, sweepBatches, sweepSizes } from './broker/produce.ts'
import { keep } from './broker/results.ts'
import { Stage } from './broker/stage.ts'

type Work = (stage: Stage) => Promise<void>

const headline: Readonly<Record<string, Work>> = {
  'produce-batch-disk': (stage) => produceBatches(stage, 'disk'),
  'produce-batch-fsync': (stage) => produceBatches(stage, 'fsync'),
  'produce-single-disk': (stage) => produceSingles(stage, 'disk'),
  'produce-single-fsync': (stage) => produceSingles(stage, 'fsync'),
  'consume-memory': consumeMemory,
  'consume-disk': consumeDisk,
  'consume-client': consumeClient,
  'latency-20k': latency20k,
}

const further: Readonly<Record<string, Work>> = {
  batches: sweepBatches,
  sizes: sweepSizes,
  groups: sweepGroups,
  rates: sweepRates,
  partitions,
  'partitions-1': (stage) => backlogOver(stage, 1),
  'partitions-100': (stage) => backlogOver(stage, 100),
  'partitions-10000': (stage) => backlogOver(stage, 10_000),
  generator,
}

export async function run(bench: Bench): Promise<void> {
  const all = { ...headline, ...further }
  const unknown = bench.parts.filter((part) => all[part] === undefined)
  if (unknown.length > 0) throw new Error(`no work ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}`)
  const measured: Omit<Measurement, 'suite' | 'ratio'>[] = []
  const stage = new Stage({
    ...bench,
    report(measurement) {
      measured.push(measurement)
      bench.report(measurement)
    },
  })
  try {
    for (const name of bench.parts.length > 0 ? bench.parts : Object.keys(headline)) {
      const startedMs = performance.now()
      const others = bench.quick ? 0 : await busyShare()
      await all[name]?.(stage)
      // After each: a run that is ended in the middle has what it measured.
      if (!bench.quick) await keep(measured.splice(0), others, (text) => bench.say(text))
      bench.say(`${name}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`)
    }
  } finally {
    await stage.end()
  }
}
