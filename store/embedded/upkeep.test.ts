import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import { batchOf, gpuRecord, metricRecord, partOf, transferRecord } from '../samples.ts'
import { EmbeddedStore } from './engine.ts'
import { manualClock } from '#lib/clock'

const start = Date.parse('2025-07-18T20:00:00Z')
const hourMs = 3_600_000
const time = (ms: number): string => new Date(start + ms).toISOString()

interface Scope {
  teardown(callback: () => unknown): void
}

test('records older than the retention are refused by name, before anything is written', async (t) => {
  const clock = manualClock(start)
  const store = await EmbeddedStore.open(pathOf(t), { retentionMs: hourMs, clock })
  const young = gpuRecord({ time: time(-hourMs) })
  await t.rejects(store.write(batchOf(partOf([young, gpuRecord({ time: time(-hourMs - 1), gpu_i_id: '3' })]))), {
    code: 'refused',
    retry: false,
    message:
      /^embedded: DCGM_FI_DEV_GPU_UTIL of GPU-a instance 3 at 2025-07-18T18:59:59.999Z: .* RETENTION .* from 2025-07-18T19:00:00Z on/,
  })
  await t.rejects(store.write(batchOf(partOf([transferRecord({ time: time(-hourMs - 1) })]))), {
    message: /: transfer t1 at/,
  })
  t.same(await store.latest(), [])
  t.same((await store.totals()).received, 0)
  t.match(await store.write(batchOf(partOf([young]))), { stored: 1 })
  clock.advance(1)
  t.match(await store.write(batchOf(partOf([young]))), { received: 0 }, 'a redelivery is settled, however old')
  clock.advance(hourMs)
  while (await store.upkeep(clock.wallMs()));
  t.match(await store.write(batchOf(partOf([young]))), { received: 0 })
  t.same((await store.range({ metric: young.metric }))[0]?.values, [], 'nor does it come back once it is removed')
  await store.close()
})

test('a series beyond the limit is refused, and so is a number that is none', async (t) => {
  const path = pathOf(t)
  let store = await EmbeddedStore.open(path, { seriesMax: 2 })
  const series = [gpuRecord(), gpuRecord({ metric: 'B' }), metricRecord()]
  await t.rejects(store.write(batchOf(partOf(series))), {
    code: 'refused',
    message: /^embedded: disk_used at .* there are 2 already: raise SERIES_MAX/,
  })
  t.match(await store.write(batchOf(partOf([...series.slice(0, 2), ...series.slice(0, 2), transferRecord()]))), {
    stored: 3,
  })
  await store.close()
  store = await EmbeddedStore.open(path, { seriesMax: 2 })
  await t.rejects(store.write(batchOf(partOf([metricRecord()], 5))), { code: 'refused' })
  t.match(await store.write(batchOf(partOf([gpuRecord({ time: time(1000) })], 5))), { stored: 1 })
  await t.rejects(store.write(batchOf(partOf([gpuRecord({ value: Infinity })], 6))), {
    code: 'refused',
    message: /its value is Infinity: want a finite number/,
  })
  await t.rejects(store.write(batchOf(partOf([metricRecord({ value: NaN })], 6))), { code: 'refused' })
  await store.close()
})

test('what is old is removed in pieces, and the file gets smaller', async (t) => {
  const path = pathOf(t)
  const store = await EmbeddedStore.open(path, { retentionMs: hourMs, clock: manualClock(start) })
  const points = Array.from({ length: 90_000 }, (_, n) =>
    gpuRecord({ uuid: `GPU-${n % 25}`, time: time(Math.floor(n / 25) * 1000), value: n }),
  )
  const transfers = Array.from({ length: 3000 }, (_, n) => transferRecord({ id: `t${n}`, time: time(n * 1000) }))
  for (let from = 0; from < points.length; from += 10_000) {
    await store.write(batchOf(partOf(points.slice(from, from + 10_000), from)))
  }
  await store.write({ topic: 'transfers', parts: [partOf(transfers)] })
  t.equal(await store.upkeep(start), false, 'nothing is too old yet')
  const nowMs = start + hourMs + 3_000_000
  let pieces = 1
  while (await store.upkeep(nowMs)) pieces++
  t.ok(pieces > 3, 'a piece is small')
  const range = await store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL', limit: 1 })
  t.equal(range.length, 25)
  for (const { values } of range) t.equal(values[0]?.time, '2025-07-18T20:50:00Z')
  t.equal((await store.transfers({ limit: 10_000 })).length, 0)
  t.equal((await store.gpus()).length, 25, 'the inventory stays')
  await store.close()
  const db = new DatabaseSync(path)
  t.match({ ...db.prepare('SELECT count(*) AS n FROM points').get() }, { n: 600 * 25 })
  db.close()
  t.ok(statSync(path).size < 1_500_000, `${statSync(path).size} bytes`)
})

test('only the writer keeps the store up', async (t) => {
  const path = pathOf(t)
  await (await EmbeddedStore.open(path)).close()
  const reader = await EmbeddedStore.open(path, { readOnly: true })
  await t.rejects(reader.upkeep(start), { code: 'read_only' })
  await reader.close()
})

function pathOf(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-embedded-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'penstock.db')
}
