import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { test } from 'tap'
import { batchOf, gpuRecord, partOf } from '../samples.ts'
import { type RangeFunction, rangeFunctions, type RangeSeries } from '../store.ts'
import { windowsOf } from '../windows.ts'
import { EmbeddedStore } from './engine.ts'
import { manualClock } from '#lib/clock'
import { formatTime } from '#telemetry/time'

const startMs = Date.parse('2025-07-18T20:00:00Z')
const hourMs = 3_600_000
const metric = 'DCGM_FI_DEV_POWER_USAGE'
/** Long after all of it: every hour is over, and none was written into lately. */
const laterMs = startMs + 1000 * hourMs

interface Scope {
  teardown(callback: () => unknown): void
}

test('whatever is written, sealed, opened again and read between: the rows are what a map says', async (t) => {
  const row = fc.record({
    series: fc.nat(2),
    ms: fc.oneof({ weight: 6, arbitrary: fc.nat(2).map((n) => n * 600_000) }, fc.nat(3 * hourMs)),
    ns: fc.constantFrom(0, 0, 0, 1, 999_999),
    value: fc.option(fc.integer({ min: -3, max: 3 })),
  })
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ write: fc.array(row, { minLength: 1, maxLength: 12 }) }) },
    { weight: 4, arbitrary: fc.record({ upkeep: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 1, arbitrary: fc.constant({ reopen: true as const }) },
  )
  const query = fc.record({
    windowMs: fc.option(fc.constantFrom(1000, 60_000, 600_000, hourMs, 2 * hourMs), { nil: undefined }),
    fn: fc.constantFrom(...rangeFunctions),
    from: fc.option(fc.nat(3 * hourMs), { nil: undefined }),
    to: fc.option(fc.nat(4 * hourMs), { nil: undefined }),
  })
  const property = fc.asyncProperty(fc.array(step, { maxLength: 20 }), query, async (steps, query) => {
    const path = pathOf(t)
    const clock = manualClock(laterMs)
    let store = await EmbeddedStore.open(path, { clock })
    const reader = await EmbeddedStore.open(path, { readOnly: true })
    const model = new Map<string, { series: number; ms: number; ns: number; value: number | null }>()
    let offset = 0
    for (const step of steps) {
      if ('write' in step) {
        let isNew = 0
        for (const row of step.write) {
          const key = `${row.series} ${row.ms} ${row.ns}`
          const before = model.get(key)
          if (before === undefined) isNew++
          model.set(key, { ...row, value: row.value ?? before?.value ?? null })
        }
        const records = step.write.map(({ series, ms, ns, value }) =>
          gpuRecord({ metric, uuid: `GPU-${series}`, time: formatTime({ ms: startMs + ms, ns }), value }),
        )
        const { stored, not_reported, duplicate } = await store.write(batchOf(partOf(records, offset)))
        offset += records.length
        assert.equal(stored + not_reported, isNew, 'new rows are told from those that are sealed')
        assert.equal(duplicate, records.length - isNew)
      } else if ('upkeep' in step) {
        clock.advance(400_000)
        for (let piece = 0; piece < step.upkeep; piece++) await store.upkeep(clock.wallMs())
      } else {
        await store.close()
        store = await EmbeddedStore.open(path, { clock })
      }
      assert.deepEqual(await reader.rows(), { kept: model.size, removed: 0 })
      const rows = await reader.range({ metric })
      assert.deepEqual(
        plain(rows),
        expected(model, () => true, undefined, 'mean'),
      )
    }
    const { windowMs, fn, from, to } = query
    const bounds = {
      start: from === undefined ? undefined : { ms: startMs + from, ns: 0 },
      end: to === undefined ? undefined : { ms: startMs + to, ns: 0 },
    }
    const isInside = ({ ms }: { ms: number }) => (from === undefined || ms >= from) && (to === undefined || ms < to)
    const rows = await store.range({ metric, windowMs, fn, ...bounds })
    assert.deepEqual(plain(rows), expected(model, isInside, windowMs, fn))
    await store.close()
    await reader.close()
  })
  await fc.assert(property, { numRuns: 40 })
})

test('a piece is bounded by rows, however many a series has', async (t) => {
  const path = pathOf(t)
  const clock = manualClock(startMs)
  const store = await EmbeddedStore.open(path, { clock })
  const db = new DatabaseSync(path, { readOnly: true })
  const series = 24
  const records = Array.from({ length: series * 3600 }, (_, n) =>
    gpuRecord({
      metric,
      uuid: `GPU-${n % series}`,
      time: new Date(startMs + Math.floor(n / series) * 1000).toISOString(),
      value: n,
    }),
  )
  await store.write(batchOf(partOf(records)))
  clock.advance(hourMs + 300_000)
  const blocks = db.prepare('SELECT count(*) AS n FROM blocks')
  const grown: number[] = []
  for (let before = 0; await store.upkeep(clock.wallMs());) {
    const { n } = blocks.get() as { n: number }
    grown.push(n - before)
    before = n
  }
  t.ok(Math.max(...grown) <= 5, `blocks of 3600 rows a piece: ${grown.join(' ')}`)
  t.equal(
    grown.reduce((sum, n) => sum + n, 0),
    series,
  )
  db.close()
  await store.close()
})

test('sealing empties the points, keeps what is being written, and takes late rows in', async (t) => {
  const path = pathOf(t)
  const clock = manualClock(startMs)
  const store = await EmbeddedStore.open(path, { clock })
  const db = new DatabaseSync(path, { readOnly: true })
  const count = (table: string) => (db.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n
  const seal = async () => {
    let pieces = 0
    while (await store.upkeep(clock.wallMs())) pieces++
    return pieces
  }
  let offset = 0
  const write = async (series: number, ms: number, value: number) => {
    const record = gpuRecord({ metric, uuid: `GPU-${series}`, time: new Date(startMs + ms).toISOString(), value })
    return store.write(batchOf(partOf([record], offset++)))
  }
  const records = Array.from({ length: 200 * 450 }, (_, n) =>
    gpuRecord({
      metric,
      uuid: `GPU-${n % 200}`,
      time: new Date(startMs + Math.floor(n / 200) * 10_000).toISOString(),
      value: n / 100,
    }),
  )
  await store.write(batchOf(partOf(records)))
  offset = records.length
  const before = plain(await store.range({ metric }))
  t.equal(await seal(), 0, 'no hour is over')
  clock.advance(hourMs + 299_999)
  t.equal(await seal(), 0, 'nor is it for long enough')
  clock.advance(1)
  const pieces = await seal()
  t.ok(pieces > 6, `in ${pieces} pieces`)
  t.equal(count('blocks'), 200)
  t.equal(count('points'), 200 * 90, 'those of the hour that goes on')
  t.same(plain(await store.range({ metric })), before)

  t.match(await write(3, 5000, 1), { stored: 1 })
  t.match(await write(3, 5000, 1), { duplicate: 1 })
  t.match(await write(3, 10_000, -7), { duplicate: 1 }, 'another value for a row of a block')
  t.match(await write(3, 10_000, -8), { duplicate: 1 })
  t.match(await write(4, 10_000, 9), { duplicate: 1 })
  t.match(await write(4, 10_000, 2.04), { duplicate: 1 }, 'back to the value that the block has')
  t.match(await write(5, 10_000, 2.05), { duplicate: 1 }, 'the value that it has')
  t.equal(count('points'), 200 * 90 + 3, 'nothing new is not written')
  const late = plain(await store.range({ metric }))
  t.equal(late.get('GPU-3')?.get('2025-07-18T20:00:05Z'), 1)
  t.equal(late.get('GPU-3')?.get('2025-07-18T20:00:10Z'), -8)
  t.equal(late.get('GPU-4')?.get('2025-07-18T20:00:10Z'), 2.04)
  t.equal(await seal(), 0, 'more late rows may follow')
  clock.advance(300_000)
  t.ok((await seal()) > 0)
  t.equal(count('points'), 200 * 90)
  t.same(plain(await store.range({ metric })), late)
  t.match(await write(3, 10_000, -8), { duplicate: 1 })
  t.match(await write(3, 10_000, 203 / 100), { duplicate: 1 }, 'back to what it was')
  t.equal(
    plain(await store.range({ metric }))
      .get('GPU-3')
      ?.get('2025-07-18T20:00:10Z'),
    2.03,
  )
  db.close()
  await store.close()
})

test('a damaged block is told, and what is beside it is read', async (t) => {
  const path = pathOf(t)
  const store = await EmbeddedStore.open(path)
  await store.write(batchOf(partOf([gpuRecord({ metric }), gpuRecord({ metric, uuid: 'GPU-b' })])))
  while (await store.upkeep(laterMs + 1e12));
  await store.close()
  const db = new DatabaseSync(path)
  db.exec('UPDATE blocks SET rows = zeroblob(length(rows)) WHERE series = 2')
  db.close()
  const again = await EmbeddedStore.open(path)
  t.equal((await again.range({ metric, uuid: 'GPU-a' }))[0]?.values.length, 1)
  await t.rejects(again.range({ metric, uuid: 'GPU-b' }), {
    code: 'corrupt',
    message: /the block of series 2 from 2025-07-18T20:00:00Z on is damaged, its checksum is wrong/,
  })
  await again.close()
})

test('blocks older than the retention go as whole hours', async (t) => {
  const clock = manualClock(startMs + 3 * hourMs)
  const store = await EmbeddedStore.open(pathOf(t), { retentionMs: 24 * hourMs, clock })
  const times = [0, hourMs, 2 * hourMs].map((ms) => new Date(startMs + ms + 1000).toISOString())
  await store.write(batchOf(partOf(times.map((time) => gpuRecord({ metric, time })))))
  clock.advance(hourMs)
  while (await store.upkeep(clock.wallMs()));
  t.equal((await store.range({ metric }))[0]?.values.length, 3)
  clock.advance(21 * hourMs)
  while (await store.upkeep(clock.wallMs()));
  t.same(
    (await store.range({ metric }))[0]?.values.map(({ time }) => Date.parse(time) - startMs),
    [hourMs + 1000, 2 * hourMs + 1000],
  )
  await store.close()
})

/** By GPU and time. */
type Plain = Map<string, Map<string, number | null>>

function plain(rows: readonly RangeSeries[]): Plain {
  const entries = rows.map(({ uuid, values }) => {
    const own = values.map(({ time, value }) => [time, rounded(value)] as const)
    return [uuid, new Map(own)] as const
  })
  return new Map(entries.filter(([, values]) => values.size > 0))
}

function expected(
  model: ReadonlyMap<string, { series: number; ms: number; ns: number; value: number | null }>,
  isInside: (row: { ms: number }) => boolean,
  windowMs: number | undefined,
  fn: RangeFunction,
): Plain {
  const result: Plain = new Map()
  for (const series of [0, 1, 2]) {
    const rows = [...model.values()]
      .filter((row) => row.series === series && isInside(row))
      .map((row) => ({ ...row, ms: startMs + row.ms }))
      .sort((a, b) => a.ms - b.ms || a.ns - b.ns)
    if (rows.length === 0) continue
    const values =
      windowMs === undefined
        ? rows.map(({ ms, ns, value }) => [formatTime({ ms, ns }), value] as const)
        : windowsOf(rows, windowMs, fn).map(
            ({ place, value }) => [formatTime({ ms: place * windowMs, ns: 0 }), rounded(value)] as const,
          )
    result.set(`GPU-${series}`, new Map(values))
  }
  return result
}

function rounded(value: number | null): number | null {
  // A little off, since decimal numbers often stand right on the edge where their last digits decide how they are rounded.
  return value === null ? null : Number((value * (1 + 1e-11)).toPrecision(9))
}

function pathOf(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-embedded-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'penstock.db')
}
