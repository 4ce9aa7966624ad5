import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import { Problem } from '#wire/problems'
import { stubBroker, testApi, testKey } from '#test/api'
import { Api } from './client.ts'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const odd = 'GPU a/b?c#d%'

test('a path says what may be asked and what is answered', async (t) => {
  const { url } = await testApi(t, { nowMs, records: [gpuRecord({ uuid: odd }), gpuRecord({ uuid: 'GPU-b' })] })
  const api = new Api({ url, token: testKey })

  const { gpus } = await api.get('/api/v1/gpus')
  t.strictSame(
    gpus.map(({ uuid }) => uuid),
    [odd, 'GPU-b'],
  )
  const { gpu } = await api.get('/api/v1/gpus/{id}', { params: { id: odd } })
  t.equal(gpu.uuid, odd, 'a parameter of a path may hold anything')
  const { series } = await api.get('/api/v1/gpus/{id}/telemetry', {
    params: { id: odd },
    query: { metric: ['DCGM_FI_DEV_GPU_UTIL', 'DCGM_FI_DEV_POWER_USAGE'], window: '1m', fn: 'max', limit: 5 },
  })
  t.match(series, [{ metric: 'DCGM_FI_DEV_GPU_UTIL', fn: 'max', values: [{ value: 50 }] }], 'a list is repeated')

  // What the contract does not know does not compile.
  // @ts-expect-error: no such path
  await t.rejects(api.get('/api/v1/gpu'), { code: 'not_found' })
  // @ts-expect-error: the path wants an id
  await t.rejects(api.get('/api/v1/gpus/{id}'), { code: 'unknown_gpu' })
  // @ts-expect-error: no such parameter
  await t.rejects(api.get('/api/v1/gpus', { query: { hots: 'a' } }), { code: 'unknown_parameter' })
})

test('a refusal is a Problem with its code', async (t) => {
  const { url } = await testApi(t, { nowMs })
  const wrong = new Api({ url, token: 'not-the-key' })
  await t.rejects(wrong.get('/api/v1/gpus'), { code: 'unauthorized', status: 401 })
  const api = new Api({ url, token: testKey })
  const error = await api.get('/api/v1/gpus/{id}', { params: { id: 'GPU-x' } }).catch((reason: unknown) => reason)
  t.ok(error instanceof Problem)
  t.match(error, { code: 'unknown_gpu', message: /there is no GPU GPU-x/ })
  const nobody = new Api({ url: 'http://127.0.0.1:9', token: testKey })
  await t.rejects(nobody.get('/api/v1/gpus'), { code: 'unavailable' })
  const aborted = AbortSignal.abort(new Error('enough'))
  await t.rejects(api.get('/api/v1/gpus', { signal: aborted }), { message: 'enough' })
})

test('records are sent, and the live stream is opened', async (t) => {
  const broker = await stubBroker(t)
  const { url } = await testApi(t, { nowMs, env: { MSG_QUEUE_ADDR: broker.url } })
  const api = new Api({ url, token: testKey })
  const record = { time: '2025-07-18T20:42:34Z', uuid: 'GPU-a', metric: 'DCGM_FI_DEV_GPU_UTIL', value: 50 }
  const { accepted } = await api.post('/api/v1/telemetry', { body: record })
  t.equal(accepted, 1)
  t.equal(broker.produced.length, 1)

  const end = new AbortController()
  const stream = await api.stream({ metric: ['DCGM_FI_DEV_GPU_UTIL'] }, '', end.signal)
  t.equal(stream.headers.get('content-type'), 'text/event-stream')
  end.abort()
})
