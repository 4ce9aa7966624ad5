import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { catalogue, clockEventReasons, metricOf } from './catalogue.ts'
import { gpuSeriesKey, identityOf, seriesLabels } from './identity.ts'
import { normalise } from './normalise.ts'
import { isRefused, readRecord, type GpuRecord, type TelemetryRecord } from './record.ts'

const gpu = {
  time: '2025-07-18T20:42:34Z',
  device_id: 'nvidia1',
  metric: 'DCGM_FI_DEV_GPU_UTIL',
  value: 100,
  gpu_id: '1',
  uuid: 'GPU-1',
  model_name: 'NVIDIA H100 80GB HBM3',
  hostname: 'h1',
  container: '',
  pod: '',
  namespace: '',
  labels: { job: 'x' },
}
const transfer = { kind: 'transfer', time: '2025-07-18T20:42:34Z', id: 't1', site: 'SITE_A', bytes: 1, duration_s: 0.5 }

function read(value: unknown): TelemetryRecord {
  const record = readRecord(value)
  if (isRefused(record)) throw new Error(record.refused)
  return record
}

function readGpu(over: object): GpuRecord {
  return normalise(read({ ...gpu, ...over })) as GpuRecord
}

test('a whole record comes through as it is, a short one with its gaps filled', async (t) => {
  t.same(read(gpu), { kind: 'gpu', ...gpu })
  t.same(read({ time: gpu.time, metric: 'x', uuid: 'u', value: null }), {
    kind: 'gpu',
    time: gpu.time,
    device_id: '',
    metric: 'x',
    value: null,
    gpu_id: '',
    uuid: 'u',
    model_name: '',
    hostname: '',
    container: '',
    pod: '',
    namespace: '',
    labels: {},
  })
  t.same(read({ ...transfer, final: true, attempt: 2, junk: 1 }), {
    ...transfer,
    source: '',
    destination: '',
    status: '',
    error: '',
    final: true,
    attempt: 2,
  })
  t.same(read({ kind: 'metric', time: gpu.time, metric: 'cpu_idle', value: 1, tags: { host: 'a' } }), {
    kind: 'metric',
    time: gpu.time,
    metric: 'cpu_idle',
    value: 1,
    tags: { host: 'a' },
  })
})

test('each refusal names the field, what came and what would be right', async (t) => {
  const cases: [unknown, RegExp][] = [
    [null, /want a JSON object/],
    [[], /a list: want a JSON object/],
    [{ ...gpu, kind: 'cpu' }, /kind is "cpu": want gpu, transfer or metric/],
    [{ ...gpu, time: 'now' }, /time is "now": want RFC 3339/],
    [{ ...gpu, time: undefined }, /time is missing/],
    [{ ...gpu, uuid: '' }, /uuid is empty/],
    [{ ...gpu, uuid: 'u'.repeat(513) }, /uuid has 513 characters/],
    [{ ...gpu, metric: 7 }, /metric is 7/],
    [{ ...gpu, value: '97' }, /value is "97": want a number/],
    [{ ...gpu, value: undefined }, /value is missing: want a number, or null/],
    [{ ...gpu, hostname: 3 }, /hostname is 3: want a text/],
    [{ ...gpu, labels: { a: 1 } }, /labels\.a is 1: want a text/],
    [{ ...gpu, metric: 'DCGM_FI_DEV_GPU_TEMP', value: 644_245_923 }, /implausible: want -60 to 200 C/],
    [{ ...gpu, metric: 'DCGM_FI_DEV_SM_CLOCK_HERTZ', value: -5 }, /implausible/],
    [{ ...transfer, id: '' }, /id is empty/],
    [{ ...transfer, bytes: -1 }, /bytes is -1: want a number from 0/],
    [{ ...transfer, attempt: 0 }, /attempt is 0/],
    [{ ...transfer, final: 'yes' }, /final is "yes"/],
  ]
  for (const [value, reason] of cases) {
    const record = readRecord(value)
    t.match(isRefused(record) ? record.refused : 'accepted', reason)
  }
})

test('anything at all is read or refused in one short line, never thrown', async () => {
  const some = fc.oneof(
    fc.anything(),
    fc.record({
      time: fc.constant(gpu.time),
      metric: fc.string(),
      uuid: fc.string(),
      value: fc.anything(),
      labels: fc.anything(),
    }),
  )
  fc.assert(
    fc.property(some, (value) => {
      const record = readRecord(value)
      if (isRefused(record)) assert.ok(record.refused.length < 1000)
      else assert.equal(JSON.stringify(readRecord(JSON.parse(JSON.stringify(record)))), JSON.stringify(record))
    }),
  )
})

test('names of other exporter versions become one series in one unit', async (t) => {
  const cases: [string, number, string, number][] = [
    ['DCGM_FI_DEV_SM_CLOCK_HERTZ', 1_980_000_000, 'DCGM_FI_DEV_SM_CLOCK', 1980],
    ['DCGM_FI_DEV_FB_USED_BYTES', 81_559 * 1_048_576, 'DCGM_FI_DEV_FB_USED', 81_559],
    ['DCGM_FI_DEV_GPU_ENERGY_JOULES_TOTAL', 12, 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION', 12_000],
    ['DCGM_FI_DEV_GPU_UTIL_RATIO', 0.97, 'DCGM_FI_DEV_GPU_UTIL', 97],
    ['DCGM_FI_DEV_GPU_UTIL_RATIO', 97, 'DCGM_FI_DEV_GPU_UTIL', 97],
    ['DCGM_FI_DEV_BOARD_POWER_WATTS', 650.5, 'DCGM_FI_DEV_POWER_USAGE', 650.5],
    ['DCGM_FI_DEV_CLOCK_THROTTLE_REASONS', 0x44, 'DCGM_FI_DEV_CLOCKS_EVENT_REASONS', 0x44],
    ['SOMETHING_ELSE', 7, 'SOMETHING_ELSE', 7],
  ]
  for (const [metric, value, name, expected] of cases) {
    const record = readGpu({ metric, value })
    t.same([record.metric, record.value], [name, expected])
  }
})

test('blank numbers become null, also under an alias; a record without change is the same object', async (t) => {
  for (const value of [2_147_483_632, 2 ** 63, 140_737_488_355_328, 140_737_488_355_999]) {
    t.equal(readGpu({ metric: 'DCGM_FI_DEV_GPU_TEMP', value }).value, null)
    t.equal(readGpu({ metric: 'DCGM_FI_DEV_GPU_TEMP_CELSIUS', value }).value, null)
  }
  t.equal(readGpu({ metric: 'DCGM_FI_DEV_POWER_VIOLATION', value: 140_737_488_355_999 }).value, 140_737_488_355_999)
  const record = read(gpu)
  t.equal(normalise(record), record)
})

test('normalising twice changes nothing, for every name of the catalogue', async (t) => {
  for (const metric of catalogue) {
    for (const name of [metric.name, ...metric.aliases.map((alias) => alias.name)]) {
      t.equal(metricOf(name)?.metric, metric, `${name} is in the catalogue once`)
      const once = readGpu({ metric: name, value: metric.kind === 'gauge' ? 0.5 : 1 })
      t.equal(normalise(once), once)
      t.equal(once.metric, metric.name)
    }
  }
  t.notOk(metricOf('DCGM_FI_DEV_CLOCKS_EVENT_REASONS')?.metric.functions.includes('mean'), 'no mean of a mask')
  t.equal(
    clockEventReasons.reduce((all, { bit }) => all | bit, 0),
    0x1ff,
  )
})

test('identity: uuid, slice, metric, series labels and the moment; nothing else', async (t) => {
  const one = readGpu({})
  const same = readGpu({
    time: '2025-07-18T22:42:34.000+02:00',
    pod: 'p',
    hostname: 'h2',
    labels: { job: 'y', driver_version: '1' },
  })
  t.equal(identityOf(one), identityOf(same))
  const others = [
    { uuid: 'GPU-2' },
    { gpu_i_id: '1' },
    { metric: 'DCGM_FI_DEV_GPU_TEMP', value: 1 },
    { time: '2025-07-18T20:42:34.000000001Z' },
  ]
  for (const other of others) t.not(identityOf(readGpu(other)), identityOf(one))
  for (const label of seriesLabels) t.not(gpuSeriesKey(readGpu({ labels: { [label]: '1' } })), gpuSeriesKey(one))
})

test('two different identities never share a key, whatever characters they hold', async () => {
  const text = fc.string({ unit: fc.constantFrom('\0', '\x01', '\x02', 'a', '='), minLength: 1, maxLength: 4 })
  const parts = fc.tuple(text, text, text, text, text)
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const [keyA, keyB] = [a, b].map(([uuid, gpu_i_id, metric, nvlink, xid]) =>
        gpuSeriesKey({ ...(read(gpu) as GpuRecord), uuid, gpu_i_id, metric, labels: { nvlink, xid } }),
      )
      assert.equal(keyA === keyB, JSON.stringify(a) === JSON.stringify(b))
    }),
    { numRuns: 2000 },
  )
})
