/** What the dashboard asks for most: the newest values, and a day by minutes. The day is sealed, its blocks made directly. */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encodeRollup, encodeRows } from '#store/embedded/block'
import { EmbeddedStore } from '#store/embedded/engine'
import { rollupOf } from '#store/embedded/rollup'
import { Fleet } from '#streamer/fleet/fleet'
import type { GpuRecord } from '#telemetry/record'
import type { Bench } from '../../measure.ts'
import { startMs } from './bare.ts'

const metric = 'DCGM_FI_DEV_POWER_USAGE'
const hours = 24
const rounds = 5

export async function queries(bench: Bench): Promise<void> {
  await newest(bench)
  await aDay(bench)
}

/** Read as the API does: by a connection of its own, and something is written between any two reads. */
async function newest({ quick, folder, report }: Bench): Promise<void> {
  const hosts = quick ? 125 : 1250
  const path = join(folder, 'newest.db')
  const store = await EmbeddedStore.open(path)
  const reader = await EmbeddedStore.open(path, { readOnly: true })
  const fleet = new Fleet({ seed: 1, hosts, gpusPerHost: 8, startMs, stepMs: 30_000 })
  let written = 0
  const writeSome = async (records: readonly GpuRecord[]): Promise<void> => {
    await writeAll(store, records, written)
    written += records.length
  }
  await writeSome(fleet.step().gpu)
  const next = [...fleet.step().gpu]
  const of = async (work: string, query: () => Promise<unknown>, extra: object = {}): Promise<void> =>
    report({ work, unit: 'ms', value: await fastest(query, () => writeSome(next.splice(0, 8))), ...extra })
  await of('last-of-each-gpu', () => reader.latest({ metric }), { gpus: fleet.gpus.length })
  await of('last-of-everything', () => reader.latest())
  await of('inventory', () => reader.gpus())
  await of('hosts', () => reader.hosts())
  await reader.close()
  await store.close()
}

async function aDay({ quick, folder, report, say }: Bench): Promise<void> {
  const hosts = quick ? 13 : 125
  const path = join(folder, 'day.db')
  const fleet = new Fleet({ seed: 1, hosts, gpusPerHost: 8, startMs, stepMs: 1000, metrics: [metric] })
  const { gpus } = fleet
  let store = await EmbeddedStore.open(path)
  const records = gpus.map(({ device }) => recordOf(device.uuid))
  await writeAll(store, records)
  const ids = new Map((await store.range({ metric })).map(({ uuid }, index) => [uuid, index + 1]))
  await store.close()
  const db = new DatabaseSync(path)
  db.exec('DELETE FROM points')
  const insertHour = db.prepare('INSERT INTO hours VALUES (?, ?)')
  const insertBlock = db.prepare('INSERT INTO blocks (hour, series, rollup, rows) VALUES (?, ?, ?, ?)')
  const times = Float64Array.from({ length: 3600 }, (_, second) => second * 1e9)
  for (let hour = 0; hour < hours; hour++) {
    const columns = gpus.map(() => new Float64Array(3600))
    for (let second = 0; second < 3600; second++) {
      const { values } = fleet.sample()
      for (const [gpu, column] of columns.entries()) column[second] = values[gpu] as number
    }
    const absolute = startMs / 3_600_000 + hour
    db.exec('BEGIN')
    insertHour.run(absolute, gpus.length * 3600)
    for (const [gpu, values] of columns.entries()) {
      const series = ids.get(gpus[gpu]?.device.uuid ?? '') ?? NaN
      insertBlock.run(absolute, series, encodeRollup(rollupOf({ times, values })), encodeRows({ times, values }))
    }
    db.exec('COMMIT')
    say(`${hour + 1} of ${hours} hours`)
  }
  db.close()
  store = await EmbeddedStore.open(path)
  const bounds = { metric, start: { ms: startMs, ns: 0 }, end: { ms: startMs + hours * 3_600_000, ns: 0 } }
  const windowMs = 60_000
  const one = { ...bounds, uuid: gpus[7]?.device.uuid }
  const of = async (work: string, query: () => Promise<unknown>, extra: object = {}) =>
    report({ work, unit: 'ms', value: await fastest(query), ...extra })
  await of('one-gpu-a-day-by-minutes', () => store.range({ ...one, windowMs }))
  await of('one-gpu-a-day-by-minutes-p95', () => store.range({ ...one, windowMs, fn: 'p95' }))
  await of('all-gpus-a-day-by-minutes', () => store.across({ ...bounds, windowMs, fn: 'mean' }), { gpus: gpus.length })
  await of('all-gpus-a-day-by-hours', () => store.across({ ...bounds, windowMs: 3_600_000, fn: 'mean' }))
  await of('each-gpu-a-day-by-minutes', () => store.range({ ...bounds, windowMs }), { gpus: gpus.length })
  await store.close()
}

async function writeAll(store: EmbeddedStore, records: readonly GpuRecord[], from = 0): Promise<void> {
  const offsets = records.map((_, index) => from + index)
  const next = from + records.length
  const part = { logId: '0'.repeat(16), broker: 0, partition: 0, dead: [], next, records, offsets }
  await store.write({ topic: 'telemetry', parts: [part] })
}

function recordOf(uuid: string): GpuRecord {
  const time = new Date(startMs).toISOString()
  const names = { device_id: '', gpu_id: '0', model_name: '', hostname: '', container: '', pod: '', namespace: '' }
  return { kind: 'gpu', time, metric, value: 0, uuid, labels: {}, ...names }
}

/** In ms: the best of some rounds, which is the one that others disturbed least. */
async function fastest(query: () => Promise<unknown>, between?: () => Promise<void>): Promise<number> {
  let best = Infinity
  for (let round = 0; round < rounds; round++) {
    await between?.()
    const beganMs = performance.now()
    await query()
    best = Math.min(best, performance.now() - beganMs)
  }
  return best
}
