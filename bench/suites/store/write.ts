/** What a record costs on its way into the store, against `JSON.parse` of it and the bare insert of its row. */

import { join } from 'node:path'
import { serialize } from 'node:v8'
import { transform } from '#collector/transform'
import { EmbeddedStore } from '#store/embedded/engine'
import type { TelemetryRecord } from '#telemetry/record'
import type { Bench } from '../../measure.ts'
import { BareTable, batchRecords, startMs } from './bare.ts'

const gpus = 247
const metrics = ['GPU_UTIL', 'MEM_COPY_UTIL', 'POWER_USAGE', 'FB_FREE', 'FB_USED', 'GPU_TEMP', 'DEC_UTIL', 'SM_CLOCK']

export async function write({ quick, folder, report }: Bench): Promise<void> {
  const batches = quick ? 40 : 200
  const spent = { parse: 0, transform: 0, write: 0, bare: 0, again: 0, serialize: 0 }
  const timed = async <T>(what: keyof typeof spent, work: () => T | Promise<T>): Promise<T> => {
    const beganMs = performance.now()
    const result = await work()
    spent[what] += performance.now() - beganMs
    return result
  }
  const bare = new BareTable(join(folder, 'bare.db'), 's, series, ns', 200)
  const store = await EmbeddedStore.open(join(folder, 'penstock.db'))
  for (let batch = 0; batch < batches; batch++) {
    const texts = textsOf(batch)
    await timed('parse', () => texts.map((text) => JSON.parse(text) as unknown))
    const records = await timed('transform', () => texts.map((text) => transform(text) as TelemetryRecord))
    const offsets = records.map((_, index) => batch * batchRecords + index)
    const next = (batch + 1) * batchRecords
    const parts = [{ logId: '0'.repeat(16), broker: 0, partition: 0, records, offsets, dead: [], next }]
    await timed('write', () => store.write({ topic: 'telemetry', parts }))
    await timed('bare', () => bare.insert(batch))
    await timed('again', () => store.write({ topic: 'telemetry', parts }))
    await timed('serialize', () => serialize(records))
  }
  const perSecond = (what: keyof typeof spent): number => (batches * batchRecords * 1000) / spent[what]
  const peer = { peer: 'JSON.parse', peer_value: perSecond('parse') }
  report({ work: 'transform', unit: 'records/s', value: perSecond('transform'), ...peer })
  report({ work: 'write', unit: 'records/s', value: perSecond('write'), ...peer })
  report({
    work: 'write',
    unit: 'records/s',
    value: perSecond('write'),
    peer: 'bare-insert',
    peer_value: perSecond('bare'),
  })
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
  bare.close()
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
