import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { batchOf, gpuRecord, partOf } from '../samples.ts'
import { lookBackMs } from '../store.ts'
import { EmbeddedStore } from './engine.ts'
import { manualClock } from '#lib/clock'
import { formatTime } from '#telemetry/time'

const startMs = Date.parse('2025-07-18T20:00:00Z')
const hourMs = 3_600_000
/** More than are looked up one by one. */
const gpus = 120

test('a moment in the past is the same, whether its hour is sealed, was sealed and written into, or goes on', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-past-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  let files = 0
  const row = fc.record({
    gpu: fc.nat(3),
    ms: fc.oneof(
      fc.nat(3).map((n) => n * 600_000),
      fc.nat(26 * hourMs),
    ),
    value: fc.option(fc.nat(5)),
  })
  const step = fc.oneof(
    fc.record({ write: fc.array(row, { minLength: 1, maxLength: 8 }) }),
    fc.record({ upkeep: fc.integer({ min: 1, max: 6 }) }),
  )
  const moments = fc.array(fc.oneof(fc.nat(40 * 60_000), fc.nat(52 * hourMs)), { minLength: 1, maxLength: 4 })
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), moments, async (steps, moments) => {
    const clock = manualClock(startMs + 1000 * hourMs)
    const store = await EmbeddedStore.open(join(folder, `${files++}.db`), { clock })
    const model = new Map<number, Map<number, number | null>>()
    const put = (gpu: number, ms: number, value: number | null): void => {
      const own = model.get(gpu) ?? new Map<number, number | null>()
      model.set(gpu, own.set(ms, value ?? own.get(ms) ?? null))
    }
    const recordOf = (gpu: number, ms: number, value: number | null) =>
      gpuRecord({ uuid: `GPU-${gpu}`, gpu_id: String(gpu), value, time: formatTime({ ms: startMs + ms, ns: 0 }) })
    // All of them are there before and go on after, so that all are searched for.
    const bounds = [0, 60 * hourMs].flatMap((ms) => Array.from({ length: gpus }, (_, gpu) => [gpu, ms] as const))
    for (const [gpu, ms] of bounds) put(gpu, ms, gpu)
    await store.write(batchOf(partOf(bounds.map(([gpu, ms]) => recordOf(gpu, ms, gpu)))))
    let offset = bounds.length
    for (const step of steps) {
      if ('upkeep' in step) {
        clock.advance(400_000)
        for (let piece = 0; piece < step.upkeep; piece++) await store.upkeep(clock.wallMs())
        continue
      }
      for (const { gpu, ms, value } of step.write) put(gpu, ms, value)
      const records = step.write.map(({ gpu, ms, value }) => recordOf(gpu, ms, value))
      await store.write(batchOf(partOf(records, offset)))
      offset += records.length
    }
    for (const ms of moments) {
      const expected = [...model].flatMap(([gpu, values]) => {
        const newest = Math.max(...[...values.keys()].filter((own) => own <= ms && own >= ms - lookBackMs))
        return newest === -Infinity ? [] : [[`GPU-${gpu}`, newest, values.get(newest)] as const]
      })
      const rows = await store.latest({ at: { ms: startMs + ms, ns: 0 } })
      assert.deepEqual(
        rows.map(({ uuid, time, value }) => [uuid, Date.parse(time) - startMs, value]),
        expected,
      )
    }
    await store.close()
  })
  await fc.assert(property, { numRuns: 30 })
})
