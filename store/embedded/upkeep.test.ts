import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
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
  t.same(await store.range({ metric: young.metric }), [], 'nor does it come back once it is removed')
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
  const range = await store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL' })
  t.equal(range.length, 25)
  for (const { values } of range) t.match([values.length, values[0]], [600, { time: '2025-07-18T20:50:00Z' }])
  t.equal((await store.transfers({ limit: 10_000 })).length, 0)
  t.equal((await store.gpus()).length, 25)
  await store.close()
  t.ok(statSync(path).size < 1_500_000, `${statSync(path).size} bytes`)
})

test('what was last seen before the retention is forgotten, and begins anew when it comes back', async (t) => {
  const path = pathOf(t)
  const clock = manualClock(start)
  let store = await EmbeddedStore.open(path, { retentionMs: 24 * hourMs, seriesMax: 3, clock })
  const reader = await EmbeddedStore.open(path, { readOnly: true })
  let offset = 0
  const write = async (...records: ReturnType<typeof gpuRecord>[]) =>
    store.write(batchOf(partOf(records, (offset += records.length) - records.length)))
  const old = gpuRecord({ uuid: 'GPU-old', hostname: 'host-old', pod: 'p', time: time(0) })
  const young = (hours: number, given = {}) => gpuRecord({ time: time(hours * hourMs), ...given })
  await write(old, young(0, { metric: 'B', pod: 'first' }), young(0, { pod: 'first' }))
  for (const hours of [10, 20]) await write(young(hours, { pod: `pod-${hours}` }))
  clock.advance(25 * hourMs - 1)
  while (await store.upkeep(clock.wallMs()));
  t.equal((await reader.gpus()).length, 2, 'an hour is removed as a whole')
  clock.advance(1)
  while (await store.upkeep(clock.wallMs()));
  const uuids = async () => (await reader.gpus()).map(({ uuid }) => uuid)
  t.same(await uuids(), ['GPU-a'])
  t.same(await reader.hosts(), [{ hostname: 'host-1', gpus: 1, last_seen: time(20 * hourMs).replace('.000', '') }])
  t.same(await reader.latest({ uuid: 'GPU-old' }), [])
  t.match(await reader.latest(), [{ uuid: 'GPU-a', metric: 'DCGM_FI_DEV_GPU_UTIL' }], 'nor is its other metric there')
  t.same(
    (await reader.owners()).map(({ pod }) => pod),
    ['first', 'pod-10', 'pod-20'],
    'the first one had it still when the retention began',
  )
  t.match(await write({ ...old, time: time(25 * hourMs) }, young(25, { metric: 'B', pod: 'pod-20' })), { stored: 2 })
  await t.rejects(write(young(25, { metric: 'C' })), { code: 'refused' }, 'with those that are left there are three')
  t.same(await uuids(), ['GPU-a', 'GPU-old'])
  clock.advance(11 * hourMs)
  while (await store.upkeep(clock.wallMs()));
  t.same(
    (await reader.owners({ uuid: 'GPU-a' })).map(({ pod }) => pod),
    ['pod-10', 'pod-20'],
  )
  await store.close()
  store = await EmbeddedStore.open(path, { retentionMs: 24 * hourMs, clock })
  t.match(await write(young(25, { metric: 'B', pod: 'pod-20' })), { duplicate: 1 })
  t.same(await store.gpus(), await reader.gpus())
  await store.close()
  await reader.close()
})

test('whatever is seen and forgotten: lists are those of a store that keeps everything, less what is old', async (t) => {
  const row = fc.record({ gpu: fc.nat(3), metric: fc.constantFrom('A', 'B'), pod: fc.constantFrom('', 'p', 'q') })
  const step = fc.record({
    rows: fc.array(fc.tuple(row, fc.nat(120)), { maxLength: 6 }),
    minutes: fc.integer({ min: 20, max: 240 }),
    reopen: fc.nat(5).map((n) => n === 0),
  })
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
    const clock = manualClock(start)
    const options = { retentionMs: 6 * hourMs, clock }
    const path = pathOf(t)
    let store = await EmbeddedStore.open(path, options)
    const whole = await EmbeddedStore.open(pathOf(t), { clock })
    const forgotten = new Set<string>()
    let offset = 0
    for (const { rows, minutes, reopen } of steps) {
      clock.advance(minutes * 60_000)
      const records = rows.map(([{ gpu, metric, pod }, back]) =>
        gpuRecord({ uuid: `GPU-${gpu}`, metric, pod, time: new Date(clock.wallMs() - back * 60_000).toISOString() }),
      )
      for (const each of [store, whole]) await each.write(batchOf(partOf(records, offset)))
      offset += records.length
      while (await store.upkeep(clock.wallMs()));
      const edgeMs = Math.floor((clock.wallMs() - 6 * hourMs) / hourMs) * hourMs
      const isKept = ({ time }: { time: string }) => Date.parse(time) >= edgeMs
      const all = await whole.latest()
      const latest = all.filter(isKept)
      assert.deepEqual(await store.latest(), latest)
      const uuids = new Set(latest.map(({ uuid }) => uuid))
      assert.deepEqual(new Set((await store.gpus()).map(({ uuid }) => uuid)), uuids)
      for (const { uuid } of all) if (!uuids.has(uuid)) forgotten.add(uuid)
      // A GPU that comes back knows nothing of its owners before.
      const isAsBefore = ({ uuid }: { uuid: string }) => !forgotten.has(uuid)
      const owners = (await whole.owners()).filter(({ to }) => to === null || Date.parse(to) > edgeMs)
      const ends = ({ uuid, pod, to }: { uuid: string; pod: string; to: string | null }) => `${uuid} ${pod} ${to}`
      assert.deepEqual((await store.owners()).filter(isAsBefore).map(ends), owners.filter(isAsBefore).map(ends))
      if (!reopen) continue
      await store.close()
      store = await EmbeddedStore.open(path, options)
    }
    await store.close()
    await whole.close()
  })
  await fc.assert(property, { numRuns: 10 })
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

test('rows that are kept and removed are those that were taken, whatever is sealed and removed between', async (t) => {
  const row = fc.record({ series: fc.nat(2), minute: fc.nat(600), value: fc.option(fc.nat(3)) })
  const step = fc.oneof(
    fc.record({ write: fc.array(row, { minLength: 1, maxLength: 15 }) }),
    fc.record({ upkeep: fc.integer({ min: 1, max: 5 }), minutes: fc.integer({ min: 5, max: 200 }) }),
  )
  const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
    const clock = manualClock(start)
    const store = await EmbeddedStore.open(pathOf(t), { clock, retentionMs: 8 * hourMs })
    let offset = 0
    for (const step of steps) {
      if ('upkeep' in step) {
        clock.advance(step.minutes * 60_000)
        for (let piece = 0; piece < step.upkeep; piece++) await store.upkeep(clock.wallMs())
      } else {
        const since = clock.wallMs() - 8 * hourMs
        const records = step.write
          .map(({ series, minute, value }) => ({ uuid: `GPU-${series}`, ms: start + (minute - 300) * 60_000, value }))
          .filter(({ ms }) => ms >= since)
          .map(({ uuid, ms, value }) => gpuRecord({ uuid, value, time: new Date(ms).toISOString() }))
        await store.write(batchOf(partOf(records, offset)))
        offset += records.length
      }
      const { stored, not_reported } = await store.totals()
      const { kept, removed } = await store.rows()
      assert.equal(kept + removed, stored + not_reported)
    }
    await store.close()
  })
  await fc.assert(property, { numRuns: 60 })
})
