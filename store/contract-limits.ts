/** The suite that every engine passes: what a store does not take, and that its neighbours are not harmed by it. */

import { test } from 'tap'
import type { GpuRecord } from '#telemetry/record'
import type { EngineUnderTest } from './contract.ts'
import { batchOf, gpuRecord, metricRecord, partOf, transferRecord } from './samples.ts'

const ago = (ms: number): string => new Date(Date.now() - ms).toISOString()
const hourMs = 3_600_000

export function limitContract(engine: EngineUnderTest): void {
  const name = (text: string): string => `${engine.name}: ${text}`

  test(name('a batch with a record before the retention is refused as a whole, and goes in without it'), async (t) => {
    const { store } = await engine.open(t, { retentionMs: hourMs })
    const [good, old, last] = [
      gpuRecord({ time: ago(60_000) }),
      gpuRecord({ time: ago(2 * hourMs) }),
      gpuRecord({ time: ago(30_000) }),
    ]
    const part = partOf([good, old, last])
    await t.rejects(store.write(batchOf(part)), { code: 'refused', retry: false, message: /retention/i })
    t.match(await store.totals(), { received: 0, stored: 0, logs: [] })
    // What the collector makes of it: in pieces, the bad one alone, and then counted as dead.
    await store.write(batchOf({ ...part, records: [good], offsets: [0], next: 1 }))
    await t.rejects(store.write(batchOf({ ...part, records: [old], offsets: [1], next: 2 })), { code: 'refused' })
    await store.write(batchOf({ ...part, records: [last], offsets: [2], dead: [1], next: 3 }))
    t.match(await store.totals(), { received: 3, stored: 2, dead: 1 })
    t.equal((await store.range({ metric: good.metric }))[0]?.values.length, 2)
  })

  test(name('rows that are kept and rows that were removed are those that the ledger took'), async (t) => {
    const { store, reopen } = await engine.open(t)
    t.match((await store.rows()) ?? { kept: 0, removed: 0 }, { kept: 0, removed: 0 })
    const records = [
      gpuRecord({ time: ago(5_000) }),
      gpuRecord({ time: ago(4_000), value: null }),
      metricRecord({ time: ago(3_000) }),
    ]
    await store.write(batchOf(partOf([...records, records[0]])))
    await store.write({
      topic: 'transfers',
      parts: [partOf([transferRecord({ time: ago(2_000) })], 0, 'b'.repeat(16))],
    })
    const again = await reopen()
    const { stored, not_reported, duplicate } = await again.totals()
    t.same([stored, not_reported, duplicate], [3, 1, 1])
    t.match((await again.rows()) ?? { kept: 4, removed: 0 }, { kept: 4, removed: 0 })
    await again.write(batchOf(partOf([{ ...(records[1] as GpuRecord), value: 7 }], 4)))
    t.match((await again.rows()) ?? { kept: 4 }, { kept: 4 }, 'a value for the one that was not reported')
  })

  test(name('series beyond the limit are refused, those that are known go on'), async (t) => {
    const { store, reopen } = await engine.open(t, { seriesMax: 3 })
    const series = (n: number, value: number) => gpuRecord({ uuid: `GPU-${n}`, value, time: ago(60_000 - value) })
    await store.write(batchOf(partOf([series(0, 1), series(1, 1), metricRecord({ time: ago(50_000) })])))
    await t.rejects(store.write(batchOf(partOf([series(0, 2), series(2, 2)], 3))), {
      code: 'refused',
      message: /SERIES_MAX/,
    })
    const again = await reopen()
    await t.rejects(again.write(batchOf(partOf([series(2, 2)], 3))), { code: 'refused' }, 'also after a restart')
    await again.write(batchOf(partOf([series(0, 2), series(1, 2)], 3)))
    t.match(await again.totals(), { received: 5, stored: 5 })
    t.equal((await again.latest()).length, 3)
  })
}
