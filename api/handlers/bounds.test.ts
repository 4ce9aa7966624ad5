/** Questions that are over a bound: which, and what would be right. */

import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi } from '#test/api'

const minutes = (count: number) =>
  Array.from({ length: count }, (_, minute) => `2025-07-18T20:${String(minute).padStart(2, '0')}:00Z`)

const records = ['DCGM_FI_DEV_GPU_UTIL', 'DCGM_FI_DEV_GPU_TEMP', 'DCGM_FI_DEV_POWER_USAGE'].flatMap((metric) =>
  minutes(20).map((time) => ({ ...gpuRecord(), metric, time })),
)
const path = `/api/v1/gpus/${encodeURIComponent(gpuRecord().uuid)}/telemetry?start=2025-07-18T20:00:00Z`

test('an answer of more values than may be is refused with the bound, and one of as many is not', async (t) => {
  const api = await testApi(t, { records, env: { QUERY_POINTS_MAX: '40' } })
  t.match(await api.json(path), { status: 400, code: 'too_much', bound: 'points', limit: 40, asked: 60 })
  t.match(await api.json(path), {
    detail: /more than 40 values \(QUERY_POINTS_MAX\): want a smaller limit, fewer metrics/,
  })
  t.match(await api.json(`${path}&metric=DCGM_FI_DEV_GPU_UTIL&metric=DCGM_FI_DEV_GPU_TEMP`), { truncated: false })
  t.match(await api.json(`${path}&limit=13`), { truncated: true }, 'what is cut by the limit does not count')
  t.match(await api.json(`${path}&window=10m`), { truncated: false })
})

test('an answer of more series than may be is refused', async (t) => {
  const api = await testApi(t, { records, env: { QUERY_SERIES_MAX: '2' } })
  t.match(await api.json(path), { status: 400, code: 'too_much', bound: 'series', limit: 2, asked: 3 })
  t.match(await api.json(`${path}&metric=DCGM_FI_DEV_GPU_UTIL`), { truncated: false })
})

test('a range that is longer than may be is refused; one as long is not', async (t) => {
  const api = await testApi(t, { records, env: { QUERY_RANGE_MAX: '1d' } })
  const range = (end: string) => `${path}&end=2025-07-${end}Z`
  t.match(await api.json(range('19T20:00:00')), { truncated: false })
  t.match(await api.json(range('21T08:00:00')), {
    code: 'too_much',
    bound: 'range_s',
    limit: 86_400,
    detail: /it is 2\.5 days: want 1 days at most/,
  })
  t.match(await api.json('/api/v1/fleet/history?start=2025-07-01T00:00:00Z&end=2025-07-18T00:00:00Z'), {
    code: 'too_much',
  })
  const long = path.replace('2025-07-18', '2025-07-16')
  t.match(await api.json(long), { code: 'too_much' }, 'without an end it ends at the newest value')
})
