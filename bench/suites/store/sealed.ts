/** A generated fleet, every metric of it each 30 s: what a sample takes before and after its hour is sealed. */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { manualClock } from '#lib/clock'
import { reportOf } from '#store/embedded/care'
import { EmbeddedStore } from '#store/embedded/engine'
import { Fleet } from '#streamer/fleet/fleet'
import { fleetMetrics } from '#streamer/fleet/metrics'
import type { Bench } from '../../measure.ts'
import { batchRecords, startMs } from './bare.ts'

const hourMs = 3_600_000

export async function sealed({ quick, folder, report, say }: Bench): Promise<void> {
  const hosts = quick ? 20 : 125
  const hours = quick ? 2 : 24
  const clock = manualClock(startMs)
  const path = join(folder, 'sealed.db')
  const store = await EmbeddedStore.open(path, { clock })
  const fleet = new Fleet({ seed: 1, hosts, gpusPerHost: 8, startMs, stepMs: 30_000, metrics: fleetMetrics })
  const spentMs = { write: 0, seal: 0 }
  const timed = async <T>(what: keyof typeof spentMs, work: () => Promise<T>): Promise<T> => {
    const beganMs = performance.now()
    const result = await work()
    spentMs[what] += performance.now() - beganMs
    return result
  }
  let samples = 0
  let longestMs = 0
  let looseBytes = 0
  for (let hour = 1; hour <= hours; hour++) {
    while (fleet.nextTimeMs < startMs + hour * hourMs) {
      const { gpu } = fleet.step()
      for (let from = 0; from < gpu.length; from += batchRecords) {
        const records = gpu.slice(from, from + batchRecords)
        const offsets = records.map((_, index) => samples + index)
        samples += records.length
        const parts = [{ logId: '0'.repeat(16), broker: 0, partition: 0, records, offsets, dead: [], next: samples }]
        await timed('write', () => store.write({ topic: 'telemetry', parts }))
      }
    }
    if (hour === 1) looseBytes = (statSync(path).size + statSync(`${path}-wal`).size) / samples
    clock.advance(hourMs)
    // The hour before this one is over for long enough.
    for (let isMore = true; isMore;) {
      const beforeMs = spentMs.seal
      isMore = await timed('seal', () => store.upkeep(clock.wallMs() - hourMs / 2))
      longestMs = Math.max(longestMs, spentMs.seal - beforeMs)
    }
    say(`${hour} of ${hours} hours`)
  }
  clock.advance(hourMs)
  while (await timed('seal', () => store.upkeep(clock.wallMs())));
  await store.close()
  const { tables } = reportOf(path)
  const blocks = tables.find(({ table }) => table === 'blocks')
  const perSample = (blocks?.bytes ?? NaN) / samples
  const fleetSize = { gpus: fleet.gpus.length, metrics: fleetMetrics.length, hours, samples }
  const peer = { peer: 'unsealed', peer_value: looseBytes }
  report({ work: 'sealed-size', unit: 'bytes/sample', value: perSample, ...peer, ...fleetSize })
  report({ work: 'file-size', unit: 'bytes/sample', value: statSync(path).size / samples, ...peer })
  // 2,000 GPUs x 25 metrics each 30 s.
  report({ work: 'sealed-30-days', unit: 'GB', value: (perSample * 2000 * 25 * 2880 * 30) / 1e9 })
  const written = { peer: 'write', peer_value: (samples * 1000) / spentMs.write }
  report({ work: 'seal', unit: 'samples/s', value: (samples * 1000) / spentMs.seal, ...written })
  report({ work: 'seal-longest-piece', unit: 'ms', value: longestMs })
}
