/**
 * `kill -9` of a process that writes, seals, takes late rows and removes old ones, several times at moments that nobody
 * chose. The process is this file with an argument.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { batchOf, gpuRecord, partOf } from '../samples.ts'
import { checkStore } from './care.ts'
import { EmbeddedStore } from './engine.ts'
import { manualClock } from '#lib/clock'
import { identityOf } from '#telemetry/identity'
import type { GpuRecord } from '#telemetry/record'
import { start, temporaryFolder } from '#test/start'

const startMs = Date.parse('2025-07-18T20:00:00Z')
const minuteMs = 60_000
const retentionMs = 8 * 60 * minuteMs
const metric = 'DCGM_FI_DEV_POWER_USAGE'
/** Half an hour each. */
const batches = 30
const gpus = 30

const path = process.argv[2]
if (path === undefined) await theTest()
else await writeAll(path)

/** What a batch has: half an hour of each GPU, some of it not reported, then rows of two hours before, new ones and others. */
function recordsOf(batch: number): GpuRecord[] {
  const of = (gpu: number, ms: number, value: number | null) =>
    gpuRecord({ metric, uuid: `GPU-${gpu}`, time: new Date(startMs + ms).toISOString(), value })
  const fromMs = batch * 30 * minuteMs
  const fresh = Array.from({ length: gpus * 6 }, (_, n) =>
    of(n % gpus, fromMs + Math.floor(n / gpus) * 5 * minuteMs, n % 17 === 0 ? null : (batch * 37 + n) / 8),
  )
  const lateMs = fromMs - 120 * minuteMs
  const late = Array.from({ length: lateMs < 0 ? 0 : 12 }, (_, n) =>
    of((n * 7) % gpus, lateMs + (n % 6) * 5 * minuteMs + (n % 3 === 0 ? 1234 : 0), batch + n),
  )
  return [...fresh, ...late]
}

/** When a batch is written: its half hour is over. */
function nowMsOf(batch: number): number {
  return startMs + (batch + 1) * 30 * minuteMs
}

/** A line before each step, so that whoever kills has something to wait for. */
async function writeAll(file: string): Promise<void> {
  const clock = manualClock(startMs)
  const store = await EmbeddedStore.open(file, { clock, retentionMs })
  const { received } = await store.totals()
  let offset = 0
  for (let batch = 0; batch < batches; batch++) {
    const records = recordsOf(batch)
    clock.advance(nowMsOf(batch) - clock.wallMs())
    const isSettled = offset + records.length <= received
    // The last one before the kill comes again, as from a broker that has no acknowledgement of it.
    if (!isSettled || offset + records.length === received) {
      process.stdout.write(`writing ${batch}\n`)
      await store.write(batchOf(partOf(records, offset)))
    }
    offset += records.length
    if (isSettled) continue
    do process.stdout.write(`upkeep after ${batch}\n`)
    while (await store.upkeep(clock.wallMs()))
  }
  while (await store.upkeep(clock.wallMs()));
  await store.close()
  process.stdout.write('done\n')
}

async function theTest(): Promise<void> {
  // Only here: the process that is killed is to start quickly.
  const { test } = await import('tap')

  test('kill -9 while hours are sealed and removed: every row is there once, with its value', async (t) => {
    const file = join(temporaryFolder(t), 'penstock.db')
    const run = () => start(t, process.execPath, [import.meta.filename, file])
    for (let kill = 0; kill < 6; kill++) {
      const child = run()
      let linesLeft = 1 + Math.floor(Math.random() * 25)
      await child.waitFor((line) => line === 'done' || --linesLeft === 0)
      await child.kill('SIGKILL')
      const reader = await EmbeddedStore.open(file, { readOnly: true })
      const [{ stored, not_reported }, rows] = [await reader.totals(), await reader.rows()]
      assert.equal(rows.kept + rows.removed, stored + not_reported)
      await reader.close()
      t.same(checkStore(file).troubles, [])
    }
    t.match(await run().exited, { code: 0 })
    await compare(file)
    const { troubles, blocks } = checkStore(file)
    t.same(troubles, [])
    t.ok(blocks > gpus, `${blocks} blocks`)
  })
}

async function compare(file: string): Promise<void> {
  const given = Array.from({ length: batches }, (_, batch) => recordsOf(batch)).flat()
  const model = new Map<string, GpuRecord>()
  for (const record of given) {
    const before = model.get(identityOf(record))
    model.set(identityOf(record), { ...record, value: record.value ?? before?.value ?? null })
  }
  const store = await EmbeddedStore.open(file, { readOnly: true })
  const { received, stored, not_reported, duplicate } = await store.totals()
  assert.deepEqual(
    { received, rows: stored + not_reported, duplicate },
    { received: given.length, rows: model.size, duplicate: given.length - model.size },
  )
  const { kept, removed } = await store.rows()
  assert.equal(kept + removed, model.size)
  assert.ok(removed > 0)
  const cutMs = nowMsOf(batches - 1) - retentionMs
  const isKept = ([time]: readonly [string, unknown]) => Date.parse(time) >= cutMs
  const range = await store.range({ metric })
  for (let gpu = 0; gpu < gpus; gpu++) {
    const own = [...model.values()].filter(({ uuid }) => uuid === `GPU-${gpu}`)
    const expected = own.map(({ time, value }) => [Date.parse(time), value]).sort(([a], [b]) => Number(a) - Number(b))
    const values = range.find(({ uuid }) => uuid === `GPU-${gpu}`)?.values ?? []
    assert.deepEqual(
      values
        .map(({ time, value }) => [time, value] as const)
        .filter(isKept)
        .map(([time, value]) => [Date.parse(time), value]),
      expected.filter(([ms]) => Number(ms) >= cutMs),
    )
  }
  await store.close()
}
