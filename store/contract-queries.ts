/** The suite that every engine passes: windows, groups and owners. */

import { test } from 'tap'
import { formatTime, type Instant } from '#telemetry/time'
import type { EngineUnderTest } from './contract.ts'
import { batchOf, gpuRecord, metricRecord, partOf } from './samples.ts'
import { type AcrossGroup, type Fill, lookBackMs, type RangeFunction, type Store } from './store.ts'

const start = Date.parse('2025-07-18T20:00:00Z')
const at = (ms: number, ns = 0): string => formatTime({ ms: start + ms, ns })
const instant = (ms: number): Instant => ({ ms: start + ms, ns: 0 })

export function queryContract(engine: EngineUnderTest): void {
  const name = (text: string): string => `${engine.name}: ${text}`

  test(name('percentiles are values that were there, the nearest by rank'), async (t) => {
    const { store } = await engine.open(t)
    // 1 to 100 in an order of its own; another window with one value.
    const records = Array.from({ length: 100 }, (_, n) => gpuRecord({ time: at(n), value: ((n * 37) % 100) + 1 }))
    await store.write(batchOf(partOf([...records, gpuRecord({ time: at(1000), value: 7 })])))
    const of = async (fn: RangeFunction) => valuesOf(store, { windowMs: 1000, fn })
    t.same(await of('p50'), [50, 7])
    t.same(await of('p95'), [95, 7])
    t.same(await of('p99'), [99, 7])
  })

  test(
    name('the rate of a counter is over the time in which it rose, past a reset and from window to window'),
    async (t) => {
      const { store } = await engine.open(t)
      const values = [
        [0, 100],
        [10_000, 160],
        [20_000, null],
        [30_000, 200],
        // Begun again at 0, and 50 since.
        [40_000, 50],
        [60_000, 90],
        [130_000, 90],
      ] as const
      await store.write(batchOf(partOf(values.map(([ms, value]) => gpuRecord({ time: at(ms), value })))))
      const rates = await valuesOf(store, { windowMs: 60_000, fn: 'rate' })
      t.same(rates, [(60 + 40 + 50) / 40, 40 / 20, 0])
      t.same(
        await valuesOf(store, { windowMs: 10_000, fn: 'rate' }),
        [null, 6, null, 2, 5, 2, 0],
        'the first has nothing before it',
      )
    },
  )

  test(name('the increase of a counter in windows adds up to what it rose by, past a reset'), async (t) => {
    const { store } = await engine.open(t)
    const values = [
      [0, 100],
      [30_000, 160],
      [90_000, 200],
      // Begun again at 0, and 50 since.
      [130_000, 50],
      [140_000, null],
      // However long that was: it rose.
      [1_000_000, 90],
    ] as const
    await store.write(batchOf(partOf(values.map(([ms, value]) => gpuRecord({ time: at(ms), value })))))
    t.same(await valuesOf(store, { windowMs: 60_000, fn: 'increase' }), [60, 40, 50, 40])
    t.same(await valuesOf(store, { windowMs: 3_600_000, fn: 'increase' }), [190])
    t.same(await valuesOf(store, { windowMs: 10_000, fn: 'increase' }), [null, 60, 40, 50, null, 40])
  })

  test(name('the integral of a gauge is of straight lines from value to value, and of no gap'), async (t) => {
    const { store } = await engine.open(t)
    const values = [
      [0, 100],
      [10_000, 200],
      [20_000, null],
      // From the value before the one that was not reported, and of the window in which it ends.
      [70_000, 100],
      // 300 s are no gap, a nanosecond more is one.
      [370_000, 0],
      [670_000.000001, 1000],
      [680_000, 1000],
    ] as const
    const time = (ms: number) => at(Math.floor(ms), ms === Math.floor(ms) ? 0 : 1)
    await store.write(batchOf(partOf(values.map(([ms, value]) => gpuRecord({ time: time(ms), value })))))
    const integrals = async (windowMs: number) =>
      (await valuesOf(store, { windowMs, fn: 'integral' })).map((value) => (value ? Math.round(value) : value))
    t.same(await integrals(60_000), [1500, 9000, 15_000, 10_000])
    t.same(await integrals(3_600_000), [35_500], 'the windows add up to it')
    t.same(await integrals(10_000), [null, 1500, null, 9000, 15_000, null, 10_000])
  })

  test(name('the bits of a mask are those of any value in the window'), async (t) => {
    const { store } = await engine.open(t)
    const values = [
      [0, 0x01],
      [10_000, 0x44],
      [20_000, null],
      [60_000, 2 ** 52 + 1],
      [70_000, 2 ** 31],
      [120_000, 0.5],
      [130_000, -1],
      [180_000, 0],
    ] as const
    await store.write(batchOf(partOf(values.map(([ms, value]) => gpuRecord({ time: at(ms), value })))))
    const [series] = await store.range({ ...utilisation, windowMs: 60_000, fn: 'bits' })
    t.same(
      series?.values.map(({ value }) => value),
      [0x45, 2 ** 52 + 2 ** 31 + 1, null, 0],
    )
  })

  test(name('windows without a row are filled as asked'), async (t) => {
    const { store } = await engine.open(t)
    await store.write(batchOf(partOf([1, 3].map((n) => gpuRecord({ time: at(n * 10_000), value: n })))))
    const bounds = { start: instant(0), end: instant(50_000) }
    const filled = async (fill: Fill, given: object = bounds) =>
      valuesOf(store, { windowMs: 10_000, fn: 'mean', fill, ...given })
    t.same(await filled('none'), [1, 3])
    t.same(await filled('null'), [null, 1, null, 3, null])
    t.same(await filled('zero'), [0, 1, 0, 3, 0])
    t.same(await filled('previous'), [null, 1, 1, 3, 3])
    t.same(await filled('zero', {}), [1, 0, 3], 'without bounds, between the rows')
    t.same(await filled('zero', { ...bounds, limit: 2 }), [0, 1])
    const [series] = await store.range({ ...utilisation, ...bounds, windowMs: 10_000, fn: 'mean', fill: 'zero' })
    t.equal(series?.values[2]?.time, at(20_000))
    const nothing = { start: instant(900_000), end: instant(920_000) }
    t.same(await filled('zero', nothing), [0, 0], 'a series of which the range has no row')
  })

  test(name('a window from 1970 on is one of the whole range'), async (t) => {
    const { store } = await engine.open(t)
    await store.write(batchOf(partOf([1, 2, 4].map((n) => gpuRecord({ time: at(n * 10_000), value: n * n })))))
    const hours = Math.floor(start / 3_600_000) + 1
    const whole = { windowMs: hours * 3_600_000, start: instant(20_000), end: instant(60_000) }
    const of = async (fn: RangeFunction) => valuesOf(store, { ...whole, fn })
    t.same([await of('mean'), await of('p99'), await of('increase'), await of('integral')], [[10], [16], [12], [200]])
  })

  test(name('the newest come first where that is asked for, and windows are filled all the same'), async (t) => {
    const { store } = await engine.open(t)
    await store.write(batchOf(partOf([1, 2, 4].map((n) => gpuRecord({ time: at(n * 10_000), value: n * n })))))
    const newest = async (query: object) => valuesOf(store, { order: 'desc', ...query })
    t.same(await newest({}), [16, 4, 1])
    t.same(await newest({ limit: 2, end: instant(40_000) }), [4, 1])
    const windows = { windowMs: 10_000, fn: 'last', start: instant(0), end: instant(60_000) }
    t.same(await newest({ ...windows, fill: 'previous' }), [16, 16, 4, 4, 1, null])
    t.same(await newest({ ...windows, fill: 'previous', limit: 3 }), [16, 16, 4])
    t.same(await newest({ ...windows, fill: 'zero', limit: 1, end: instant(40_000) }), [0])
    t.same(await newest({ ...windows, fill: 'previous', limit: 1, end: instant(40_000) }), [4])
    t.same(await newest({ ...windows, fn: 'increase' }), [12, 3, null])
    const later = { ...windows, answerFrom: instant(35_000), order: 'asc' }
    t.same(await newest({ ...later, fill: 'previous' }), [4, 16, 16], 'from the window that has the moment')
    t.same(await newest({ ...later, fn: 'increase', limit: 1 }), [12], 'those before are looked back to')
  })

  test(name('a moment in the past: what was newest, whose it was, and for how long it is looked back'), async (t) => {
    const { store } = await engine.open(t)
    await store.write(
      batchOf(
        partOf([
          gpuRecord({ time: at(0), value: 1, namespace: 'n', pod: 'p', container: 'c' }),
          gpuRecord({ time: at(1000), metric: 'B', value: null, namespace: 'n', pod: 'p' }),
          gpuRecord({ time: at(2000), value: 2, namespace: 'm' }),
          gpuRecord({ uuid: 'GPU-b', hostname: 'host-2', time: at(0), value: 3 }),
          metricRecord({ time: at(500), value: 4 }),
        ]),
      ),
    )
    const rows = async (filter: Parameters<Store['latest']>[0]) =>
      (await store.latest(filter)).map(({ uuid, metric, value, namespace }) => [uuid, metric, value, namespace])
    const disk = ['', 'disk_used', 4, '']
    const [first, b] = [
      ['GPU-a', 'DCGM_FI_DEV_GPU_UTIL', 1, 'n'],
      ['GPU-b', 'DCGM_FI_DEV_GPU_UTIL', 3, ''],
    ]
    t.same(await rows({ at: instant(-1) }), [])
    t.same(await rows({ at: instant(0) }), [first, b])
    t.same(await rows({ at: instant(1999) }), [disk, ['GPU-a', 'B', null, 'n'], first, b])
    t.same(await rows({ at: instant(1999), namespace: 'n', metric: utilisation.metric }), [first])
    t.same(await rows({ at: instant(1999), namespace: 'm' }), [])
    t.same(await rows({ at: instant(1999), hostname: 'host-2' }), [b])
    t.same(await rows({ at: instant(2000), uuid: 'GPU-a', metric: utilisation.metric }), [
      ['GPU-a', 'DCGM_FI_DEV_GPU_UTIL', 2, 'm'],
    ])
    t.same(
      (await rows({ at: instant(1000 + lookBackMs) })).map(([uuid, metric]) => [uuid, metric]),
      [
        ['GPU-a', 'B'],
        ['GPU-a', 'DCGM_FI_DEV_GPU_UTIL'],
      ],
    )
    t.same(await rows({ at: instant(2001 + lookBackMs) }), [])
    t.match(await store.gpus({ at: instant(1500), namespace: 'n' }), [
      { uuid: 'GPU-a', pod: 'p', first_seen: at(0), last_seen: at(1000), metrics: ['B', 'DCGM_FI_DEV_GPU_UTIL'] },
    ])
    t.same(await store.gpus({ at: instant(2001 + lookBackMs) }), [])
  })

  test(name('across all GPUs, by host, by model and by namespace'), async (t) => {
    const { store } = await engine.open(t)
    const gpu = (uuid: string, ms: number, value: number, given: object) =>
      gpuRecord({ uuid, time: at(ms), value, model_name: 'A', ...given })
    await store.write(
      batchOf(
        partOf([
          gpu('a', 0, 1, { hostname: 'h1', namespace: 'n' }),
          gpu('b', 0, 2, { hostname: 'h1', model_name: 'B' }),
          gpu('c', 0, 4, { hostname: 'h2', namespace: 'n' }),
          // Another namespace has it from the second window on.
          gpu('a', 10_000, 8, { hostname: 'h1', namespace: 'm' }),
        ]),
      ),
    )
    const by = async (group: AcrossGroup) => {
      const bounds = { start: instant(0), end: instant(60_000), windowMs: 10_000 }
      const rows = await store.across({ ...utilisation, ...bounds, fn: 'sum', by: group })
      return rows.map(({ time, group, value, series }) => [(Date.parse(time) - start) / 10_000, group, value, series])
    }
    t.same(await by('hostname'), [
      [0, 'h1', 3, 2],
      [0, 'h2', 4, 1],
      [1, 'h1', 8, 1],
    ])
    t.same(await by('model_name'), [
      [0, 'A', 5, 2],
      [0, 'B', 2, 1],
      [1, 'A', 8, 1],
    ])
    t.same(await by('namespace'), [
      [0, '', 2, 1],
      [0, 'n', 5, 2],
      [1, 'm', 8, 1],
    ])
  })

  test(name('whose a GPU was is kept as intervals, in whichever order it comes'), async (t) => {
    const { store, reopen } = await engine.open(t)
    let offset = 0
    const see = async (of: Store, seconds: number, given: Parameters<typeof gpuRecord>[0]) =>
      of.write(batchOf(partOf([gpuRecord({ time: at(seconds * 1000), ...given })], offset++)))
    const intervals = async (of: Store, query: Parameters<Store['owners']>[0] = {}) =>
      (await of.owners(query)).map(({ pod, from, to }) => [pod, seconds(from), to === null ? null : seconds(to)])
    t.same(await store.owners(), [])
    await see(store, 0, {})
    t.same(await store.owners(), [], 'nobody')
    await see(store, 10, { pod: 'p', namespace: 'n', container: 'c', labels: { hpc_job: '42', user: 'u', xid: '1' } })
    t.same(await store.owners(), [
      {
        uuid: 'GPU-a',
        gpu_i_id: '',
        namespace: 'n',
        pod: 'p',
        container: 'c',
        hpc_job: '42',
        user: 'u',
        from: at(10_000),
        to: null,
      },
    ])
    await see(store, 20, { pod: 'q' })
    const again = await reopen()
    await see(again, 30, { pod: 'q', metric: 'B' })
    await see(again, 40, {})
    t.same(await intervals(again), [
      ['p', 10, 20],
      ['q', 20, 40],
    ])
    await see(again, 50, { pod: 'r' })
    await see(again, 25, { pod: 'q', metric: 'C' })
    t.same((await intervals(again)).length, 3, 'a late row that says the same changes nothing')
    await see(again, 5, { pod: 'o' })
    await see(again, 30.5, { pod: 'x' })
    t.same(await intervals(again), [
      ['o', 5, 10],
      ['p', 10, 20],
      ['q', 20, 30.5],
      ['x', 30.5, 30.5],
      ['q', 30.5, 40],
      ['r', 50, null],
    ])
    t.same(await intervals(again, { start: instant(35_000), end: instant(50_000) }), [['q', 30.5, 40]])
    t.same(await intervals(again, { uuid: 'GPU-b' }), [])
    await see(again, 60, { uuid: 'GPU-c' })
    await see(again, 55, { uuid: 'GPU-c', pod: 'late' })
    t.match(await intervals(again, { uuid: 'GPU-c' }), [['late', 55, 55]], 'it has been seen with nobody since')
    await see(again, 60, { uuid: 'GPU-b', gpu_i_id: '3', user: '', labels: { user: 'z' } } as object)
    t.match(await again.owners({ uuid: 'GPU-b', gpu_i_id: '3' }), [{ user: 'z', to: null }])
  })
}

const utilisation = { metric: 'DCGM_FI_DEV_GPU_UTIL' }

/** Seconds since the start, to the ms. */
function seconds(time: string): number {
  return (Date.parse(time) - start) / 1000
}

async function valuesOf(store: Store, query: object): Promise<(number | null | undefined)[]> {
  const [series] = await store.range({ ...utilisation, ...query })
  return series?.values.map(({ value }) => (value === null ? null : Number(value.toPrecision(12)))) ?? []
}
