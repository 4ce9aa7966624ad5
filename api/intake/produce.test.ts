/** `POST /telemetry`, in front of a broker that does what it is told. */

import { test } from 'tap'
import { stubBroker, testApi } from '#test/api'

const nowMs = Date.parse('2025-07-18T20:43:00Z')

test('the body of source 002, as it is', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url }, nowMs })
  const body = {
    device_id: 'gpu-001',
    metric: 'temperature',
    value: 75.5,
    time: '2025-09-25T10:30:00Z',
    gpu_id: '0',
    uuid: '12345678-1234-1234-1234-123456789012',
    model_name: 'NVIDIA RTX 4090',
    hostname: 'worker-node-1',
    container: 'gpu-workload',
    pod: 'gpu-pod-1',
    namespace: 'default',
    labels_raw: 'app=ml-training',
  }
  const post = (path: string, given: unknown, headers: Record<string, string> = {}) =>
    api.get(path, {
      method: 'POST',
      body: typeof given === 'string' ? given : JSON.stringify(given),
      headers: { 'content-type': 'application/json', ...headers },
    })
  const answer = await post('/telemetry', body)
  t.same([answer.status, await answer.json()], [200, { accepted: 1, ids: [`0/${broker.produced[0]?.partition}/0`] }])
  const { labels_raw: _, ...rest } = body
  t.same(JSON.parse(broker.produced[0]?.lines[0] as string), { kind: 'gpu', ...rest, labels: { app: 'ml-training' } })

  const many = Array.from({ length: 20 }, (_, index) => ({ ...body, uuid: `GPU-${index}` }))
  const list = (await (await post('/api/v1/telemetry', many)).json()) as { ids: string[] }
  t.equal(new Set(list.ids).size, 20, 'each record has an id of its own')
  for (const [index, id] of list.ids.entries()) {
    const [, partition, offset] = id.split('/').map(Number) as [number, number, number]
    const lines = broker.produced.filter((each) => each.partition === partition).flatMap((each) => each.lines)
    t.equal(JSON.parse(lines[offset] as string).uuid, `GPU-${index}`, 'and the id is where it stands')
  }

  // Without an uuid a GPU is known by host and index; without a time it is now; an alias is stored as what it means.
  await post('/telemetry', { metric: 'dcgm_gpu_temp', value: null, hostname: 'h', gpu_id: '3' })
  t.match(JSON.parse(broker.produced.at(-1)?.lines[0] as string), {
    metric: 'DCGM_FI_DEV_GPU_TEMP',
    uuid: 'h:3',
    time: '2025-07-18T20:43:00Z',
    value: null,
  })

  const wrong: readonly (readonly [unknown, string, RegExp])[] = [
    [{ ...body, metrik: 'x' }, 'bad_record', /metrik is not known: did you mean metric\?/],
    [{ metric: 'x', uuid: 'u' }, 'bad_record', /value is missing/],
    [{ ...body, value: '75.5' }, 'bad_record', /value must be number or be null/],
    [[body, { ...body, value: true }], 'bad_record', /record 2 of 2: value must/],
    [{ ...body, time: 'noon' }, 'bad_record', /time is "noon"/],
    [{ ...body, labels_raw: 'app' }, 'bad_record', /labels_raw is "app": want name=value pairs/],
    [{ metric: 'x', value: 1 }, 'bad_record', /uuid/],
    [{ ...body, metric: 'DCGM_FI_DEV_GPU_TEMP', value: 644245923 }, 'bad_record', /644245923/],
    [[], 'empty_batch', /empty array/],
    ['{"metric":', 'bad_request', /./],
    ['', 'bad_request', /./],
  ]
  const before = broker.produced.length
  for (const [given, code, detail] of wrong) {
    const refused = (await (await post('/telemetry', given)).json()) as { code: string; detail: string }
    t.equal(refused.code, code, JSON.stringify(given).slice(0, 80))
    t.match(refused.detail, detail)
  }
  t.equal(broker.produced.length, before, 'what is refused is not written, nor its neighbours')
  t.equal((await post('/telemetry', 'a=1', { 'content-type': 'text/plain' })).status, 415)
  t.equal((await post('/telemetry', `"${'x'.repeat(1024 * 1024)}"`)).status, 413)
  t.equal((await post('/telemetry', body, { 'x-api-key': 'wrong-key' })).status, 401)
  t.equal((await api.get('/telemetry')).status, 405)
})

test('a broker that is away is told, with when to come again', async (t) => {
  const api = await testApi(t)
  const answer = await api.get('/telemetry', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ metric: 'x', value: 1, uuid: 'u' }),
  })
  t.match(await answer.json(), { code: 'unavailable', detail: /127\.0\.0\.1:9/ })
  t.equal(answer.status, 503)
})
