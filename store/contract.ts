/** The suite that every engine passes: what goes in comes out. `contract.test.ts` runs it against each engine that is there. */

import { test } from 'tap'
import { formatTime, type Instant } from '#telemetry/time'
import { batchOf, gpuRecord, metricRecord, partOf, transferRecord } from './samples.ts'
import type { Counts, Store } from './store.ts'

/** What of tap's `t` an engine needs. */
export interface Scope {
  teardown(callback: () => unknown): void
}

export interface EngineUnderTest {
  readonly name: string
  /** Of each property, where a new store costs more than a file does; default 40. */
  readonly runs?: number
  /** A new, empty store; it is closed and removed with the test. */
  open(t: Scope, limits?: Limits): Promise<OpenedStore>
}

/** What a store is told not to take. */
export interface Limits {
  readonly retentionMs?: number
  readonly seriesMax?: number
}

export interface OpenedStore {
  readonly store: Store
  /** Closes the store and opens its data again, as a restart does. */
  readonly reopen: () => Promise<Store>
}

const start = Date.parse('2025-07-18T20:00:00Z')
const at = (ms: number, ns = 0): string => formatTime({ ms: start + ms, ns })

export function storeContract(engine: EngineUnderTest): void {
  const name = (text: string): string => `${engine.name}: ${text}`

  test(name('an empty store answers with nothing'), async (t) => {
    const { store } = await engine.open(t)
    t.same(await store.latest(), [])
    t.same(await store.gpus(), [])
    t.same(await store.hosts(), [])
    t.same(await store.namespaces(), [])
    t.same(await store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL' }), [])
    t.same(await store.transfers(), [])
    t.same(await store.sites(), [])
    t.match(await store.totals(), { received: 0, stored: 0, topics: {}, logs: [] })
  })

  test(name('numbers come back as they went in'), async (t) => {
    const { store, reopen } = await engine.open(t)
    const values = [0, 1, -1, 0.1, 65.432, 1e-300, 1.7976931348623157e308, Number.MAX_SAFE_INTEGER, 5e-324, 2 ** 62]
    const records = values.map((value, index) => gpuRecord({ metric: 'X', value, time: at(index * 1000) }))
    await store.write(batchOf(partOf(records)))
    const stored = async (of: Store) => (await of.range({ metric: 'X' }))[0]?.values.map(({ value }) => value)
    t.same(await stored(store), values)
    t.same(await stored(await reopen()), values)
  })

  test(name('writing again changes nothing, and is counted as nothing new'), async (t) => {
    const { store } = await engine.open(t)
    const records = [gpuRecord(), gpuRecord({ metric: 'B', value: null }), transferRecord(), metricRecord()]
    t.same(await store.write(batchOf(partOf(records))), counts(4, 3, 0, 1, 0))
    const before = await everything(store)
    t.same(await store.write(batchOf(partOf(records))), counts(0, 0, 0, 0, 0), 'the same offsets: a redelivery')
    t.same(await everything(store), before)
    t.same(await store.write(batchOf(partOf(records, 4))), counts(4, 0, 4, 0, 0), 'new offsets: duplicates')
    t.same({ ...(await everything(store)), totals: 0 }, { ...before, totals: 0 })
  })

  test(
    name('of two values for one identity the later stands, and "not reported" never replaces a number'),
    async (t) => {
      const { store } = await engine.open(t)
      let offset = 0
      const write = (...values: (number | null)[]): Promise<Counts> => {
        offset += values.length
        const records = values.map((value) => gpuRecord({ value }))
        return store.write(batchOf(partOf(records, offset - values.length)))
      }
      const stored = async () => [
        (await store.latest())[0]?.value,
        (await store.range(utilisation))[0]?.values[0]?.value,
      ]
      t.same(await write(null), counts(1, 0, 0, 1, 0))
      t.same(await stored(), [null, null])
      t.same(await write(7), counts(1, 0, 1, 0, 0))
      t.same(await stored(), [7, 7])
      await write(null)
      t.same(await stored(), [7, 7])
      await write(8, null, 9, null)
      t.same(await stored(), [9, 9])
      t.equal((await store.range(utilisation))[0]?.values.length, 1)
    },
  )

  test(name('across all GPUs: the mean of each in a window, then one value of those'), async (t) => {
    const { store } = await engine.open(t)
    const value = (uuid: string, ms: number, value: number | null) =>
      gpuRecord({ uuid, metric: 'W', value, time: at(ms) })
    await store.write(
      batchOf(
        partOf([
          value('a', 0, 10),
          value('a', 9_999, 20),
          value('b', 5_000, 100),
          value('a', 10_000, 1),
          value('b', 10_000, null),
          value('b', 30_000, null),
          // Not of the metric, not of a GPU, not in the range.
          gpuRecord({ metric: 'V', value: 7 }),
          metricRecord({ metric: 'W', time: at(0) }),
          value('a', 40_000, 3),
        ]),
      ),
    )
    const [from, to] = [0, 40_000].map((ms) => ({ ms: start + ms, ns: 0 })) as [Instant, Instant]
    const ask = { metric: 'W', start: from, end: to, windowMs: 10_000 }
    t.same(await store.across({ ...ask, fn: 'sum' }), [
      { time: at(0), value: 115, series: 2 },
      { time: at(10_000), value: 1, series: 1 },
      { time: at(30_000), value: null, series: 0 },
    ])
    const first = async (fn: 'mean' | 'min' | 'max') => (await store.across({ ...ask, fn }))[0]?.value
    t.same([await first('mean'), await first('min'), await first('max')], [57.5, 15, 100])
    t.same(await store.across({ ...ask, fn: 'sum', metric: 'none' }), [])
  })

  test(name('points are told apart to the nanosecond, and spellings of a time are not'), async (t) => {
    const { store } = await engine.open(t)
    const times = [at(0, 1), at(0, 2), at(0), at(1), at(0, 999_999)]
    const spellings = [
      '2025-07-18T20:00:00.000000001Z',
      '2025-07-18T21:00:00.000000001+01:00',
      '2025-07-18T20:00:00.000Z',
    ]
    const records = [...times, ...spellings].map((time) => gpuRecord({ time, value: 1 }))
    t.same(await store.write(batchOf(partOf(records))), counts(8, 5, 3, 0, 0))
    const [series] = await store.range(utilisation)
    t.same(
      series?.values.map(({ time }) => time),
      [at(0), at(0, 1), at(0, 2), at(0, 999_999), at(1)],
    )
  })

  test(name('slices of a GPU and labelled series are apart; pod, host and driver are attributes'), async (t) => {
    const { store } = await engine.open(t)
    const records = [
      gpuRecord({ value: 1 }),
      gpuRecord({ value: 2, gpu_i_id: '1' }),
      gpuRecord({ value: 3, gpu_i_id: '2' }),
      gpuRecord({ value: 4, labels: { xid: '79', driver_version: '1' } }),
      gpuRecord({ value: 5, labels: { xid: '31', driver_version: '1' } }),
      gpuRecord({ value: 6, pod: 'p', namespace: 'n', hostname: 'host-2', labels: { driver_version: '2' } }),
    ]
    t.same(await store.write(batchOf(partOf(records))), counts(6, 5, 1, 0, 0))
    const latest = await store.latest()
    t.same(
      latest
        .map(({ gpu_i_id, labels, value }) => ({ gpu_i_id, labels, value }))
        .sort((a, b) => Number(a.value) - Number(b.value)),
      [
        { gpu_i_id: '1', labels: {}, value: 2 },
        { gpu_i_id: '2', labels: {}, value: 3 },
        { gpu_i_id: '', labels: { xid: '79' }, value: 4 },
        { gpu_i_id: '', labels: { xid: '31' }, value: 5 },
        { gpu_i_id: '', labels: {}, value: 6 },
      ],
    )
    const whole = (await store.gpus()).find(({ gpu_i_id }) => gpu_i_id === '')
    t.match(whole, { pod: 'p', namespace: 'n', hostname: 'host-2', labels: { driver_version: '2' } })
  })

  test(name('attributes are those of the newest sighting, however late others come'), async (t) => {
    const { store, reopen } = await engine.open(t)
    await store.write(batchOf(partOf([gpuRecord({ time: at(5000), pod: 'new', namespace: 'n' })])))
    const again = await reopen()
    await again.write(
      batchOf(partOf([gpuRecord({ time: at(1000), pod: 'old' }), gpuRecord({ time: at(3000), metric: 'B' })], 1)),
    )
    t.match(await again.gpus(), [
      { pod: 'new', first_seen: at(1000), last_seen: at(5000), metrics: ['B', 'DCGM_FI_DEV_GPU_UTIL'] },
    ])
    await again.write(batchOf(partOf([gpuRecord({ time: at(6000), metric: 'B', pod: '', namespace: 'm' })], 3)))
    t.match(await again.gpus(), [{ pod: '', namespace: 'm', last_seen: at(6000) }])
  })

  test(name('the newest value of each series, in order, by filters'), async (t) => {
    const { store } = await engine.open(t)
    const records = [
      gpuRecord({ uuid: 'GPU-b', gpu_id: '10', value: 1 }),
      gpuRecord({ uuid: 'GPU-c', gpu_id: '9', value: 2, namespace: 'n' }),
      gpuRecord({ uuid: 'GPU-c', gpu_id: '9', value: 3, namespace: 'n', time: '2025-07-18T20:42:33Z' }),
      gpuRecord({ uuid: 'GPU-d', hostname: 'host-0', metric: 'B', value: null }),
      metricRecord({ tags: { disk: 'sda' }, value: 4 }),
    ]
    await store.write(batchOf(partOf(records)))
    const rows = async (filter: Parameters<Store['latest']>[0]) =>
      (await store.latest(filter)).map(({ uuid, metric, value }) => [uuid, metric, value])
    const b = ['GPU-b', 'DCGM_FI_DEV_GPU_UTIL', 1]
    const c = ['GPU-c', 'DCGM_FI_DEV_GPU_UTIL', 2]
    const d = ['GPU-d', 'B', null]
    const disk = ['', 'disk_used', 4]
    t.same(await rows({}), [disk, d, c, b], 'host, then index as a number')
    t.same(await rows({ hostname: 'host-1' }), [c, b])
    t.same(await rows({ uuid: 'GPU-d' }), [d])
    t.same(await rows({ namespace: 'n' }), [c])
    t.same(await rows({ metric: 'DCGM_FI_DEV_GPU_UTIL', hostname: 'host-0' }), [])
    t.match((await store.latest({ metric: 'disk_used' }))[0], { kind: 'metric', labels: { disk: 'sda' } })
    t.match(await store.hosts(), [
      { hostname: 'host-0', gpus: 1 },
      { hostname: 'host-1', gpus: 2, last_seen: '2025-07-18T20:42:34Z' },
    ])
    t.same(await store.namespaces(), [
      { namespace: '', gpus: 2, pods: 0 },
      { namespace: 'n', gpus: 1, pods: 0 },
    ])
  })

  test(name('any text comes back as it went in'), async (t) => {
    const { store } = await engine.open(t)
    const texts = [
      ' ',
      ',',
      '=',
      '"',
      "'",
      '\\',
      '\\"',
      '\n',
      '🚰',
      'a=b,c d',
      'é',
      '\u2028',
      '%_',
      'x'.repeat(64 * 1024),
    ]
    const records = texts.map((text, index) =>
      gpuRecord({ uuid: `GPU-${index}`, gpu_id: String(index), hostname: text, labels: { job: text, xid: text } }),
    )
    await store.write(batchOf(partOf(records)))
    for (const [index, text] of texts.entries()) {
      const [latest] = await store.latest({ hostname: text })
      t.match(latest, { uuid: `GPU-${index}`, hostname: text, labels: { xid: text } })
      t.match(await store.gpus({ uuid: `GPU-${index}` }), [{ labels: { job: text } }])
    }
    await store.write(batchOf(partOf([metricRecord({ tags: { 'a=b,c': texts.join('') } })], records.length)))
    t.match((await store.latest({ metric: 'disk_used' }))[0]?.labels, { 'a=b,c': texts.join('') })
  })

  test(name('transfers are kept by id, listed newest first, in pages, and summed by site'), async (t) => {
    const { store } = await engine.open(t)
    const whole = transferRecord({
      id: 'whole',
      time: at(9000),
      source: 's',
      destination: 'd',
      started: at(8000),
      source_site: 'A',
      attempt: 2,
      destination_site: 'B',
      final: true,
      error_class: 'timeout',
      status: 'failed',
      error: 'no route',
    })
    const records = [
      ...['a', 'b', 'c'].map((id) => transferRecord({ id, time: at(1000), final: false })),
      transferRecord({ id: 'd', time: at(2000), site: 'SITE_B', bytes: null, duration_s: null }),
      whole,
    ]
    t.same(await store.write({ topic: 'transfers', parts: [partOf(records)] }), counts(5, 5, 0, 0, 0))
    const ids = async (query: Parameters<Store['transfers']>[0]) => (await store.transfers(query)).map(({ id }) => id)
    t.same(await ids({}), ['whole', 'd', 'c', 'b', 'a'])
    t.same(await ids({ limit: 3 }), ['whole', 'd', 'c'])
    t.same(await ids({ after: { time: { ms: start + 1000, ns: 0 }, id: 'c' } }), ['b', 'a'])
    t.same(await ids({ site: 'SITE_B' }), ['d'])
    t.same(await ids({ status: 'failed' }), ['whole'])
    t.same(await ids({ start: { ms: start + 2000, ns: 0 }, end: { ms: start + 9000, ns: 0 } }), ['d'])
    const { kind: _, ...row } = whole
    t.same((await store.transfers({ limit: 1 }))[0], row)
    t.match((await store.transfers({ site: 'SITE_B' }))[0], { bytes: null, duration_s: null })
    const bytes = 4 * 1_048_576
    t.match(await store.sites(), [
      { site: 'SITE_A', transfers: 4, statuses: { success: 3, failed: 1 }, bytes, last: at(9000) },
      { site: 'SITE_B', transfers: 1, statuses: { success: 1 }, bytes: 0, duration_s: 0 },
    ])
  })

  test(name('totals are kept by topic and log'), async (t) => {
    const { store, reopen } = await engine.open(t)
    const first = partOf([gpuRecord(), undefined, gpuRecord({ value: null, metric: 'B' })])
    await store.write(batchOf(first, partOf([gpuRecord({ metric: 'C' })], 7, 'b'.repeat(16))))
    await store.write({ topic: 'transfers', parts: [partOf([transferRecord()], 0, 'c'.repeat(16))] })
    const totals = await (await reopen()).totals()
    t.match(totals, counts(5, 3, 0, 1, 1))
    t.same(totals.topics, { telemetry: counts(4, 2, 0, 1, 1), transfers: counts(1, 1, 0, 0, 0) })
    const identity = { topic: 'telemetry', broker: 0, partition: 0 }
    t.same(totals.logs, [
      { ...identity, log_id: 'a'.repeat(16), next: 3, ...counts(3, 1, 0, 1, 1) },
      { ...identity, log_id: 'b'.repeat(16), next: 8, ...counts(1, 1, 0, 0, 0) },
      { ...identity, topic: 'transfers', log_id: 'c'.repeat(16), next: 1, ...counts(1, 1, 0, 0, 0) },
    ])
  })

  test(name('a batch out of the order of its log is refused, and nothing of it is written'), async (t) => {
    const { store } = await engine.open(t)
    const part = partOf([gpuRecord(), gpuRecord({ metric: 'B' })])
    await t.rejects(store.write(batchOf({ ...part, offsets: part.offsets.toReversed() })), { name: 'StoreError' })
    t.same(await store.latest(), [])
    t.equal((await store.totals()).received, 0)
    await store.write(batchOf(part))
    t.equal((await store.latest()).length, 2)
  })

  test(name('a closed store says so'), async (t) => {
    const { store } = await engine.open(t)
    await store.close()
    await t.rejects(store.latest(), { code: 'closed' })
    await t.rejects(store.write(batchOf(partOf([gpuRecord()]))), { code: 'closed' })
  })
}

const utilisation = { metric: 'DCGM_FI_DEV_GPU_UTIL' }

function counts(received: number, stored: number, duplicate: number, not_reported: number, dead: number): Counts {
  return { received, stored, duplicate, not_reported, dead }
}

async function everything(store: Store): Promise<Record<string, unknown>> {
  return {
    latest: await store.latest(),
    gpus: await store.gpus(),
    transfers: await store.transfers(),
    sites: await store.sites(),
    range: await store.range(utilisation),
    totals: await store.totals(),
  }
}
