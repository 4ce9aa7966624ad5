/** `POST /telemetry`, in front of a broker that does what it is told. */

import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { Problem } from '#wire/problems'
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
  t.same(
    [answer.status, await answer.json()],
    [200, { as_of: '2025-07-18T20:43:00Z', accepted: 1, ids: [`0/${broker.produced[0]?.partition}/0`] }],
  )
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
  t.equal((await post('/telemetry', `"${'x'.repeat(4 * 1024 * 1024)}"`)).status, 413)
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

const gpu = (index: number) => ({ metric: 'm', value: index, uuid: `GPU-${index}`, time: '2025-07-18T20:42:34Z' })
const ndjson = (...records: unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('')

test('NDJSON: a record a line; a bad one refuses all and is named by its line', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url }, nowMs })
  const post = async (body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = {}) => {
    const type = { 'content-type': 'application/x-ndjson; charset=utf-8' }
    const answer = await api.get('/api/v1/telemetry', { method: 'POST', body, headers: { ...type, ...headers } })
    return { status: answer.status, ...((await answer.json()) as Record<string, unknown>) }
  }
  const lines = ndjson(gpu(1), gpu(2), gpu(3))
  t.match(await post(lines), { status: 200, accepted: 3, ids: { length: 3 } })
  t.match(
    await post(`\ufeff\r\n${lines.trimEnd()}`),
    { status: 200, accepted: 3 },
    'a BOM, an empty line, no last line end',
  )
  t.match(await post(gzipSync(lines), { 'content-encoding': 'gzip' }), { status: 200, accepted: 3 })
  const before = broker.produced.length
  const wrong: readonly (readonly [string, object])[] = [
    [`${lines}\n${JSON.stringify({ ...gpu(4), valeu: 1 })}`, { line: 5, detail: /^line 5: valeu is not known/ }],
    [`${lines}{"metric":`, { line: 4, detail: /^line 4: it is no JSON/ }],
    [`${lines}7`, { line: 4, detail: /^line 4: want a JSON object/ }],
    [ndjson(gpu(1), { metric: 'm', value: 1 }), { line: 2, detail: /^line 2: uuid/ }],
    [ndjson(gpu(1), { ...gpu(2), time: 'noon' }), { line: 2, detail: /^line 2: time is "noon"/ }],
    ['\n\n', { code: 'empty_batch' }],
    [ndjson(...Array.from({ length: 10_001 }, () => gpu(1))), { detail: /10001 records: want 10000 at most/ }],
  ]
  for (const [body, expected] of wrong) t.match(await post(body), { status: 400, ...expected })
  const notUtf8 = Buffer.concat([Buffer.from(lines), Buffer.from('{"metric":"\xff"}', 'latin1')])
  t.match(await post(notUtf8), { status: 400, code: 'bad_record', line: 4 })
  t.equal(broker.produced.length, before, 'nothing of it is written')
})

test('compressed bodies: gzip, and no more of it than a body may be', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url }, nowMs })
  const post = async (body: Buffer<ArrayBuffer>, encoding: string) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding }
    const answer = await api.get('/telemetry', { method: 'POST', body, headers })
    return { status: answer.status, ...((await answer.json()) as Record<string, unknown>) }
  }
  const body = Buffer.from(JSON.stringify([gpu(1), gpu(2)]))
  t.match(await post(gzipSync(body), 'gzip'), { status: 200, accepted: 2 })
  t.match(await post(body, 'identity'), { status: 200, accepted: 2 })
  t.match(await post(body, 'gzip'), { status: 400, code: 'bad_request' })
  t.match(await post(gzipSync(body).subarray(0, -12), 'gzip'), { status: 400, code: 'bad_request' })
  t.match(await post(body, 'compress'), { status: 415, detail: /Content-Encoding is compress: want gzip/ })
  // 40 KB that would be 40 MB.
  const bomb = gzipSync(Buffer.alloc(40 * 1024 * 1024, ' '))
  t.ok(bomb.length < 64 * 1024)
  t.match(await post(bomb, 'gzip'), { status: 413, code: 'body_too_large', limit_bytes: 4 * 1024 * 1024 })
  t.equal(broker.produced.flatMap(({ lines }) => lines).length, 4)
})

test('partitions that fail: the answer says what was taken, and sending again makes the same points', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url }, nowMs })
  const records = Array.from({ length: 8 }, (_, index) => gpu(index))
  const post = async (path = '/telemetry') => {
    const headers = { 'content-type': 'application/x-ndjson' }
    const answer = await api.get(path, { method: 'POST', body: ndjson(...records), headers })
    return { ...((await answer.json()) as Record<string, any>), status: answer.status } as Record<string, any>
  }
  broker.refuse(1, new Problem('disk_full', 'the disk is full', { retry_after_s: 60 }))
  const refused = await post()
  const own = broker.produced.flatMap(({ lines }) => lines.map((line) => JSON.parse(line).value as number))
  t.ok(own.length > 0 && own.length < 8)
  t.match(refused, {
    status: 507,
    code: 'disk_full',
    accepted: own.length,
    retry_after_s: 60,
    detail: /of 8 records were taken/,
  })
  t.same(
    refused['ids'].map((id: string | null, index: number) => (id === null ? null : index)),
    records.map(({ value }) => (own.includes(value) ? value : null)),
    'each id that was given is that of its record, the others are null',
  )
  t.equal(refused['as_of'], '2025-07-18T20:43:00Z', 'the time of records without one')
  const once = broker.produced.flatMap(({ lines }) => lines)
  broker.refuse(1, undefined)
  t.match(await post(), { status: 200, accepted: 8 })
  const all = broker.produced.flatMap(({ lines }) => lines)
  t.same(new Set(all).size, 8, 'what was sent twice is byte for byte the same')
  t.ok(once.every((line) => all.filter((other) => other === line).length === 2))
  broker.refuse(1, new Problem('bad_record', 'line 2: too odd', { line: 2 }))
  const odd = await post()
  const missing = odd['ids'].flatMap((id: string | null, index: number) => (id === null ? [index + 1] : []))
  t.match(odd, { status: 400, line: missing[1], detail: /too odd$/ }, 'the line of the client, not of the partition')
})
