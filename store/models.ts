/** The part of the suite that compares an engine with the obvious: lists and maps. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { identityOf } from '#telemetry/identity'
import type { TelemetryRecord } from '#telemetry/record'
import { formatTime, type Instant } from '#telemetry/time'
import type { EngineUnderTest } from './contract.ts'
import { batchOf, gpuRecord, partOf, transferRecord } from './samples.ts'
import { lookBackMs, orders, type RangeFunction, rangeFunctions } from './store.ts'
import { isOfSteps, type StepFunction } from './windows.ts'

const start = Date.parse('2025-07-18T20:00:00Z')
const utilisation = { metric: 'DCGM_FI_DEV_GPU_UTIL' }

export function storeModels(engine: EngineUnderTest): void {
  const name = (text: string): string => `${engine.name}: ${text}`

  test(name('a range and its windows are what a list of the values says'), async (t) => {
    const moment = fc.record({ ms: fc.integer({ min: 0, max: 20_000 }), ns: fc.constantFrom(0, 0, 1, 999_999) })
    const value = fc.option(fc.oneof(fc.integer({ min: -5, max: 100 }), fc.constantFrom(2 ** 31, 2 ** 40 + 1)))
    const bound = fc.option(moment, { nil: undefined })
    const points = fc.uniqueArray(fc.tuple(moment, value), { maxLength: 60, selector: ([{ ms, ns }]) => `${ms}.${ns}` })
    const windowed = fc.option(fc.constantFrom(1, 10, 1000, 1500, 7000), { nil: undefined })
    const property = fc.asyncProperty(
      ...([
        points,
        bound,
        bound,
        windowed,
        fc.constantFrom(...rangeFunctions),
        fc.integer({ min: 1, max: 70 }),
        fc.constantFrom(...orders),
        fc.option(fc.nat(20_000), { nil: undefined }),
      ] as const),
      async (given, from, to, windowMs, fn, limit, order, answerFrom) => {
        const { store } = await engine.open(t)
        const absolute = (instant: Instant): Instant => ({ ms: start + instant.ms, ns: instant.ns })
        const noise = given.map(([moment]) => gpuRecord({ time: formatTime(absolute(moment)), uuid: 'GPU-other' }))
        const records = given.map(([moment, value]) => gpuRecord({ time: formatTime(absolute(moment)), value }))
        await store.write(batchOf(partOf([...noise, ...records])))
        const bounds = { start: from && absolute(from), end: to && absolute(to) }
        const first =
          windowMs === undefined || answerFrom === undefined ? undefined : absolute({ ms: answerFrom, ns: 0 })
        const asked = { windowMs, fn, limit, order, answerFrom: first, uuids: ['GPU-a', 'GPU-none'] }
        const [series] = await store.range({ ...utilisation, ...bounds, ...asked })
        const compare = (a: Instant, b: Instant): number => a.ms - b.ms || a.ns - b.ns
        const inside = given
          .filter(
            ([moment]) =>
              (from === undefined || compare(moment, from) >= 0) && (to === undefined || compare(moment, to) < 0),
          )
          .sort(([a], [b]) => compare(a, b))
        const expected =
          windowMs === undefined
            ? inside.map(([moment, value]) => ({ time: formatTime(absolute(moment)), value: rounded(value) }))
            : windowsOf(inside, windowMs, fn)
        const got = (series?.values ?? []).map(({ time, value }) => ({ time, value: rounded(value) }))
        const answered =
          first === undefined
            ? expected
            : expected.filter(({ time }) => Date.parse(time) + (windowMs as number) > first.ms)
        const inOrder = order === 'asc' ? answered : answered.toReversed()
        assert.deepEqual(got, inOrder.slice(0, limit))
        await store.close()
      },
    )
    await fc.assert(property, { numRuns: engine.runs ?? 40 })
  })

  test(name('what was newest at a moment in the past is what a list of the values says'), async (t) => {
    const hour = 3_600_000
    const point = fc.record({
      gpu: fc.constantFrom('GPU-a', 'GPU-b'),
      metric: fc.constantFrom('A', 'B'),
      ms: fc.oneof(fc.nat(5), fc.nat(30 * hour)),
      ns: fc.constantFrom(0, 1),
      value: fc.option(fc.nat(9)),
      pod: fc.constantFrom('', 'p', 'q'),
    })
    const moments = fc.array(fc.oneof(fc.nat(5), fc.nat(60 * hour)), { minLength: 1, maxLength: 2 })
    const points = fc.uniqueArray(point, { maxLength: 25, selector: ({ gpu, ms, ns }) => `${gpu} ${ms} ${ns}` })
    const property = fc.asyncProperty(points, moments, async (given, moments) => {
      const { store } = await engine.open(t)
      const all = given.toSorted((a, b) => a.ms - b.ms || a.ns - b.ns)
      const records = all.map(({ gpu, metric, ms, ns, value, pod }) =>
        gpuRecord({ uuid: gpu, gpu_id: gpu.slice(-1), metric, value, pod, time: formatTime({ ms: start + ms, ns }) }),
      )
      await store.write(batchOf(partOf(records)))
      for (const ms of moments) {
        const at = { ms: start + ms, ns: 0 }
        const until = all.filter((own) => own.ms < ms || (own.ms === ms && own.ns === 0))
        const inSight = until.filter((own) => own.ms >= ms - lookBackMs)
        const expected = ['GPU-a', 'GPU-b'].flatMap((gpu) =>
          ['A', 'B'].flatMap((metric) => {
            const newest = inSight.findLast((own) => own.gpu === gpu && own.metric === metric)
            if (newest === undefined) return []
            const owner = until.findLast((own) => own.gpu === gpu)
            const time = formatTime({ ms: start + newest.ms, ns: newest.ns })
            return [{ uuid: gpu, metric, time, value: newest.value, pod: owner?.pod }]
          }),
        )
        const latest = await store.latest({ at })
        const got = latest.map(({ uuid, metric, time, value, pod }) => ({ uuid, metric, time, value, pod }))
        assert.deepEqual(got, expected)
        const gpus = (await store.gpus({ at })).map(({ uuid, last_seen, metrics }) => ({ uuid, last_seen, metrics }))
        const there = [...new Set(expected.map(({ uuid }) => uuid))].map((uuid) => {
          const last = inSight.findLast(({ gpu }) => gpu === uuid) as (typeof all)[number]
          const metrics = expected.filter((own) => own.uuid === uuid).map(({ metric }) => metric)
          return { uuid, last_seen: formatTime({ ms: start + last.ms, ns: last.ns }), metrics }
        })
        assert.deepEqual(gpus, there)
      }
      await store.close()
    })
    await fc.assert(property, { numRuns: engine.runs ?? 40 })
  })

  test(name('the ledger counts each record of a log once, however often it is delivered'), async (t) => {
    const record = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ second: fc.nat(3), metric: fc.constantFrom('A', 'B'), value: fc.option(fc.nat(3)) }),
      },
      { weight: 1, arbitrary: fc.constant('dead' as const) },
      { weight: 1, arbitrary: fc.constantFrom('t1', 't2') },
    )
    const log = fc.array(record, { minLength: 1, maxLength: 40 })
    const delivery = fc.record({
      log: fc.nat(1),
      back: fc.nat(10),
      count: fc.nat(15),
      restart: fc.integer({ min: 0, max: 9 }),
    })
    const property = fc.asyncProperty(log, log, fc.array(delivery, { maxLength: 25 }), async (a, b, deliveries) => {
      const logs = [a, b].map((items) =>
        items.map((item) => {
          if (item === 'dead') return undefined
          if (typeof item === 'string') return transferRecord({ id: item })
          return gpuRecord({
            metric: item.metric,
            value: item.value,
            time: formatTime({ ms: start + item.second * 1000, ns: 0 }),
          })
        }),
      )
      const opened = await engine.open(t)
      let store = opened.store
      const settled = [0, 0]
      const model = new Map<string, number | null>()
      for (const { log, back, count, restart } of deliveries) {
        // What a broker does after a lost ack: it starts again somewhere below what was written.
        const from = Math.max(0, (settled[log] as number) - back)
        const records = (logs[log] as (TelemetryRecord | undefined)[]).slice(from, from + count)
        await store.write(batchOf(partOf(records, from, String(log).repeat(16))))
        settled[log] = Math.max(settled[log] as number, from + records.length)
        for (const record of records) if (record !== undefined) apply(model, record)
        if (restart === 0) store = await opened.reopen()
        const totals = await store.totals()
        assert.equal(totals.received, (settled[0] as number) + (settled[1] as number))
        const { stored, duplicate, not_reported, dead } = totals
        assert.equal(totals.received, stored + duplicate + not_reported + dead)
        assert.equal(totals.stored + totals.not_reported, model.size)
      }
      const points = (await store.range({ metric: 'A' })).concat(await store.range({ metric: 'B' }))
      const values = points.flatMap(({ metric, values }) =>
        values.map(({ time, value }) => [identityOf(gpuRecord({ metric, time })), value] as const),
      )
      const expected = [...model].filter(([identity]) => identity.startsWith('gpu'))
      assert.deepEqual(Object.fromEntries(values), Object.fromEntries(expected))
      await store.close()
    })
    await fc.assert(property, { numRuns: engine.runs ?? 40 })
  })
}

/** What a store must hold after one more record. */
function apply(model: Map<string, number | null>, record: TelemetryRecord): void {
  const identity = identityOf(record)
  const value = record.kind === 'transfer' ? 0 : record.value
  model.set(identity, value ?? model.get(identity) ?? null)
}

/** Windows the obvious way; the times are relative to {@link start}, which is a multiple of no window but of 1 ms. */
function windowsOf(points: readonly (readonly [Instant, number | null])[], windowMs: number, fn: RangeFunction) {
  const places = [...new Set(points.map(([{ ms }]) => Math.floor((start + ms) / windowMs)))]
  return places.map((place) => {
    const own = points.filter(([{ ms }]) => Math.floor((start + ms) / windowMs) === place)
    const values = own.flatMap(([, value]) => (value === null ? [] : [value]))
    const value = isOfSteps(fn) ? stepsOf(points, own, fn) : fn === 'bits' ? bitsOf(values) : aggregate(values, fn)
    return { time: formatTime({ ms: place * windowMs, ns: 0 }), value: rounded(value) }
  })
}

/** What a counter rose by from value to value, of the pairs that end in the window, over the time between them. */
function stepsOf(
  points: readonly (readonly [Instant, number | null])[],
  own: readonly (readonly [Instant, number | null])[],
  fn: StepFunction,
): number | null {
  const reported = points.filter(([, value]) => value !== null) as (readonly [Instant, number])[]
  let [rose, seconds, area] = [0, 0, 0]
  for (const [index, [at, value]] of reported.entries()) {
    const before = reported[index - 1]
    if (before === undefined || !own.some(([instant]) => instant === at)) continue
    rose += value < before[1] ? value : value - before[1]
    const took = (at.ms - before[0].ms) / 1000 + (at.ns - before[0].ns) / 1e9
    seconds += took
    // None of them is a gap: all of it takes 20 s.
    area += took * Math.min(before[1], value) + (took * Math.abs(value - before[1])) / 2
  }
  if (seconds === 0) return null
  return { rate: rose / seconds, increase: rose, integral: area }[fn]
}

/** Digit by digit. */
function bitsOf(values: readonly number[]): number | null {
  const masks = values.filter((value) => value >= 0).map((value) => value.toString(2).padStart(53, '0'))
  if (masks.length === 0) return null
  const bits = Array.from({ length: 53 }, (_, place) => (masks.some((mask) => mask[place] === '1') ? '1' : '0'))
  return parseInt(bits.join(''), 2)
}

function aggregate(values: readonly number[], fn: Exclude<RangeFunction, StepFunction | 'bits'>): number | null {
  const total = values.reduce((a, b) => a + b, 0)
  if (fn === 'count') return values.length
  if (values.length === 0) return null
  const bySize = values.toSorted((a, b) => a - b)
  const percentile = (share: number) => bySize[Math.max(1, Math.floor(values.length * share + 0.5)) - 1] as number
  return {
    mean: total / values.length,
    sum: total,
    min: Math.min(...values),
    max: Math.max(...values),
    last: values.at(-1) as number,
    p50: percentile(0.5),
    p95: percentile(0.95),
    p99: percentile(0.99),
  }[fn]
}

/** Sums in another order differ in the last digits. */
function rounded(value: number | null): number | null {
  // A little off, since decimal numbers often stand right on the edge where their last digits decide how they are rounded.
  return value === null ? null : Number((value * (1 + 1e-11)).toPrecision(9))
}
