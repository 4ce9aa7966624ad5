/**
 * The embedded store and what a collector spends before it: one process, one core. The layouts of a table of points are held
 * against each other by the bare insert; the engine's whole write against `JSON.parse` of the same records.
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { serialize } from 'node:v8'
import { transform } from '#collector/transform'
import { openStore } from '#store/open'
import type { TelemetryRecord } from '#telemetry/record'
import type { Bench } from '../measure.ts'

const gpus = 247
const metrics = ['GPU_UTIL', 'MEM_COPY_UTIL', 'POWER_USAGE', 'FB_FREE', 'FB_USED', 'GPU_TEMP', 'DEC_UTIL', 'SM_CLOCK']
const batchRecords = 5000
const startMs = Date.UTC(2025, 6, 18)

export async function run({ quick, folder, report, say }: Bench): Promise<void> {
  const batches = quick ? 40 : 200
  await engine(folder, batches, report)
  say('layouts')
  await layouts(folder, batches, report)
}

async function engine(folder: string, batches: number, report: Bench['report']): Promise<void> {
  const spent = { parse: 0, transform: 0, write: 0, again: 0, serialize: 0 }
  const timed = async <T>(what: keyof typeof spent, work: () => T | Promise<T>): Promise<T> => {
    const beganMs = performance.now()
    const result = await work()
    spent[what] += performance.now() - beganMs
    return result
  }
  const store = await openStore({ dataDir: folder })
  for (let batch = 0; batch < batches; batch++) {
    const texts = textsOf(batch)
    await timed('parse', () => texts.map((text) => JSON.parse(text) as unknown))
    const records = await timed('transform', () => texts.map((text) => transform(text) as TelemetryRecord))
    const offsets = records.map((_, index) => batch * batchRecords + index)
    const next = (batch + 1) * batchRecords
    const parts = [{ logId: '0'.repeat(16), broker: 0, partition: 0, records, offsets, dead: [], next }]
    await timed('write', () => store.write({ topic: 'telemetry', parts }))
    await timed('again', () => store.write({ topic: 'telemetry', parts }))
    await timed('serialize', () => serialize(records))
  }
  const perSecond = (what: keyof typeof spent): number => (batches * batchRecords * 1000) / spent[what]
  const peer = { peer: 'JSON.parse', peer_value: perSecond('parse') }
  report({ work: 'transform', unit: 'records/s', value: perSecond('transform'), ...peer })
  report({ work: 'write', unit: 'records/s', value: perSecond('write'), ...peer })
  report({ work: 'write-again', unit: 'records/s', value: perSecond('again'), ...peer })
  report({ work: 'serialize-for-a-thread', unit: 'records/s', value: perSecond('serialize'), ...peer })
  report({ work: 'size', unit: 'bytes/record', value: ((await store.bytes()) ?? NaN) / (batches * batchRecords) })
  for (const [work, query] of [
    ['latest', () => store.latest()],
    ['gpus', () => store.gpus()],
    ['range', () => store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL', uuid: 'GPU-7' })],
    ['windows', () => store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL', uuid: 'GPU-7', windowMs: 10_000 })],
  ] as const) {
    const beganMs = performance.now()
    await query()
    report({ work, unit: 'ms', value: performance.now() - beganMs })
  }
  await store.close()
}

/** The bare table, filled with rows of 2,000 series a second, in the order that they arrive. */
async function layouts(folder: string, batches: number, report: Bench['report']): Promise<void> {
  const rates: Partial<Record<string, number>> = {}
  const keys = { 'time-first': 's, series, ns', 'series-first': 'series, s, ns' }
  for (const [name, key] of Object.entries(keys)) {
    for (const rows of name === 'time-first' ? [1, 20, 200, 1000] : [200]) {
      const db = new DatabaseSync(join(folder, `${name}-${rows}.db`))
      db.exec(`
        PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
        CREATE TABLE points (s INTEGER, series INTEGER, ns INTEGER, value REAL, PRIMARY KEY (${key})) WITHOUT ROWID
      `)
      const values = Array.from({ length: rows }, () => '(?, ?, ?, ?)').join(',')
      const insert = db.prepare(`INSERT INTO points (s, series, ns, value) VALUES ${values} ON CONFLICT DO NOTHING`)
      const beganMs = performance.now()
      for (let batch = 0; batch < batches; batch++) {
        db.exec('BEGIN IMMEDIATE')
        for (let done = 0; done < batchRecords; done += rows) {
          const args: number[] = []
          for (let row = 0; row < rows; row++) {
            const n = batch * batchRecords + done + row
            args.push(startMs / 1000 + Math.floor(n / 2000), n % 2000, 0, n % 97)
          }
          insert.run(...args)
        }
        db.exec('COMMIT')
      }
      rates[`${name}-${rows}`] = (batches * batchRecords * 1000) / (performance.now() - beganMs)
      db.close()
    }
  }
  const rateOf = (name: string): number => rates[name] ?? NaN
  const seriesFirst = { peer: 'series-first', peer_value: rateOf('series-first-200') }
  report({ work: 'layout-time-first', unit: 'rows/s', value: rateOf('time-first-200'), ...seriesFirst })
  const single = { peer: '1-row-a-statement', peer_value: rateOf('time-first-1') }
  for (const rows of [20, 200, 1000]) {
    report({
      work: `${rows}-rows-a-statement`,
      unit: 'rows/s',
      value: rateOf(`time-first-${rows}`),
      ...single,
    })
  }
}

function textsOf(batch: number): string[] {
  return Array.from({ length: batchRecords }, (_, index) => {
    const n = batch * batchRecords + index
    const step = Math.floor(n / (gpus * metrics.length))
    const gpu = n % gpus
    return JSON.stringify({
      kind: 'gpu',
      time: `${new Date(startMs + step * 1000).toISOString().slice(0, 19)}Z`,
      device_id: `nvidia${gpu % 8}`,
      metric: `DCGM_FI_DEV_${metrics[Math.floor(n / gpus) % metrics.length] as string}`,
      value: n % 90,
      gpu_id: String(gpu % 8),
      uuid: `GPU-${gpu}`,
      model_name: 'NVIDIA H100 80GB HBM3',
      hostname: `mtv5-dgx1-hgpu-${gpu >> 3}`,
      container: '',
      pod: '',
      namespace: '',
      labels: { driver_version: '535.129.03', instance: `mtv5-dgx1-hgpu-${gpu >> 3}:9400`, job: 'dgx_dcgm_exporter' },
    })
  })
}
