/**
 * A generated fleet, every metric of it each 30 s: what a sample takes before and after its hour is sealed. What writing and
 * sealing take is told by the first hours; those that follow become blocks directly, as only their size is asked for.
 */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { manualClock } from '#lib/clock'
import { encodeRollup, encodeRows } from '#store/embedded/block'
import { reportOf } from '#store/embedded/care'
import { EmbeddedStore } from '#store/embedded/engine'
import { rollupOf } from '#store/embedded/rollup'
import { RowsBuilder } from '#store/embedded/rows'
import { Fleet } from '#streamer/fleet/fleet'
import { fleetMetrics } from '#streamer/fleet/metrics'
import type { Bench } from '../../measure.ts'
import { batchRecords, startMs } from './bare.ts'

const hourMs = 3_600_000

export async function sealed({ quick, folder, report, say }: Bench): Promise<void> {
  const hosts = quick ? 20 : 125
  const hours = quick ? 2 : 24
  const writtenHours = quick ? 2 : 1
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
  const sealUpTo = async (nowMs: number): Promise<void> => {
    for (let isMore = true; isMore;) {
      const beforeMs = spentMs.seal
      isMore = await timed('seal', () => store.upkeep(nowMs))
      longestMs = Math.max(longestMs, spentMs.seal - beforeMs)
    }
  }
  for (let hour = 1; hour <= writtenHours; hour++) {
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
    await sealUpTo(clock.wallMs() - hourMs / 2)
    say(`${hour} of ${hours} hours`)
  }
  clock.advance(hourMs)
  await sealUpTo(clock.wallMs())
  await store.close()
  const written = samples
  for (let hour = writtenHours; hour < hours; hour++) {
    samples += blocksOfHour(path, fleet, startMs + hour * hourMs)
    say(`${hour + 1} of ${hours} hours`)
  }
  const { tables } = reportOf(path)
  const blocks = tables.find(({ table }) => table === 'blocks')
  const perSample = (blocks?.bytes ?? NaN) / samples
  const fleetSize = { gpus: fleet.gpus.length, metrics: fleetMetrics.length, hours, samples }
  const peer = { peer: 'unsealed', peer_value: looseBytes }
  report({ work: 'sealed-size', unit: 'bytes/sample', value: perSample, ...peer, ...fleetSize })
  report({ work: 'file-size', unit: 'bytes/sample', value: statSync(path).size / samples, ...peer })
  // 2,000 GPUs x 25 metrics each 30 s.
  report({ work: 'sealed-30-days', unit: 'GB', value: (perSample * 2000 * 25 * 2880 * 30) / 1e9 })
  const writing = { peer: 'write', peer_value: (written * 1000) / spentMs.write }
  report({ work: 'seal', unit: 'samples/s', value: (written * 1000) / spentMs.seal, ...writing })
  report({ work: 'seal-longest-piece', unit: 'ms', value: longestMs })
}

/** Makes the blocks of an hour of the fleet, of the series that the store has already. @returns how many samples they hold */
function blocksOfHour(path: string, fleet: Fleet, fromMs: number): number {
  const db = new DatabaseSync(path)
  const rows = db.prepare('SELECT sr.id, sr.metric, g.uuid FROM series sr JOIN gpus g ON g.id = sr.gpu').all()
  const ids = new Map((rows as unknown as Named[]).map(({ id, metric, uuid }) => [`${metric} ${uuid}`, id]))
  const series = fleet.metrics.flatMap((metric) =>
    fleet.gpus.map(({ device }) => ({ id: ids.get(`${metric} ${device.uuid}`), rows: new RowsBuilder() })),
  )
  while (fleet.nextTimeMs < fromMs + hourMs) {
    const { timeMs, values } = fleet.sample()
    for (const [place, { rows }] of series.entries()) {
      const isGone = fleet.gpus[place % fleet.gpus.length]?.gone === true
      if (!isGone) rows.add((timeMs - fromMs) * 1e6, values[place] as number)
    }
  }
  const insert = db.prepare('INSERT INTO blocks (hour, series, rollup, rows) VALUES (?, ?, ?, ?)')
  let samples = 0
  db.exec('BEGIN')
  for (const { id, rows } of series.toSorted((a, b) => (a.id ?? 0) - (b.id ?? 0))) {
    const own = rows.rows()
    if (id === undefined || own.times.length === 0) continue
    insert.run(fromMs / hourMs, id, encodeRollup(rollupOf(own)), encodeRows(own))
    samples += own.times.length
  }
  db.prepare('INSERT INTO hours VALUES (?, ?)').run(fromMs / hourMs, samples)
  db.exec('COMMIT')
  db.close()
  return samples
}

interface Named {
  readonly id: number
  readonly metric: string
  readonly uuid: string
}
