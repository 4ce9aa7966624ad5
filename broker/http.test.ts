import { test } from 'tap'

import { tokenGuard } from '#lib/auth'
import { manualClock, type ManualClock } from '#lib/clock'
import { serve, type Server } from '#lib/http/server'
import { logTo } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import type { Ordinal } from '#wire/ids'

import { Broker } from './broker.ts'
import { Consumers } from './consume.ts'
import { MemoryDisk } from './disk/memory.ts'
import { brokerRoutes } from './routes.ts'

interface Running {
  readonly server: Server
  readonly broker: Broker
  readonly clock: ManualClock
  readonly disk: MemoryDisk
  post(
    path: string,
    body: string | Uint8Array,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: any }>
  /** Reads a stream until its text matches, then hangs up. */
  readUntil(path: string, pattern: RegExp, headers?: Record<string, string>): Promise<string>
}

interface Scope {
  teardown(callback: () => unknown): void
}

let ids = 0

async function start(t: Scope, disk = new MemoryDisk()): Promise<Running> {
  const clock = manualClock(Date.UTC(2026, 0, 1))
  const topic = { partitions: 2, durability: 'fsync' as const }
  const broker = await Broker.open(clock, disk, {
    ordinal: 0 as Ordinal,
    folder: 'data',
    topics: new Map([['telemetry', topic]]),
    memoryBytes: 16 << 20,
    segmentBytesMax: 1 << 20,
    newLogId: () => String(++ids).padStart(16, '0'),
    report: () => {},
  })
  const consumers = new Consumers(broker, { visibilityMs: 30_000, maxInFlight: 100 }, () => {})
  const engine = { broker, consumers }
  const server = await serve({
    host: '127.0.0.1',
    port: 0,
    routes: brokerRoutes(
      () => engine,
      { maxBodyBytes: 10_000, maxRecordBytes: 1_000 },
      () => {},
    ),
    guard: tokenGuard(undefined),
    log: logTo('broker', 'silent', { write() {} }),
    metrics: createMetrics('broker'),
  })
  t.teardown(async () => {
    consumers.cutAll()
    await server.close(1000)
    await broker.close()
  })
  return {
    server,
    broker,
    clock,
    disk,
    async post(path, body, headers = {}) {
      const answer = await fetch(server.url + path, {
        method: 'POST',
        body: body as string,
        headers: { 'content-type': 'application/x-ndjson', ...headers },
      })
      return { status: answer.status, body: await answer.json() }
    },
    async readUntil(path, pattern, headers = {}) {
      const stop = new AbortController()
      const answer = await fetch(server.url + path, { headers, signal: stop.signal })
      if (!answer.ok || answer.body === null) throw new Error(`${answer.status} ${await answer.text()}`)
      const decoder = new TextDecoder()
      let text = ''
      try {
        for await (const chunk of answer.body) {
          text += decoder.decode(chunk, { stream: true })
          if (pattern.test(text)) return text
        }
      } finally {
        stop.abort()
      }
      throw new Error(`the stream ended: ${text}`)
    },
  }
}

test('a record goes in and comes out', async (t) => {
  const { post, readUntil } = await start(t)
  t.match(await post('/produce?topic=telemetry&partition=1', '{"n":1}\n{"n":2}\n'), {
    status: 200,
    body: { id: '0/1/0', last_id: '0/1/1', count: 2, durability: 'fsync' },
  })
  const text = await readUntil('/consume?topic=telemetry&from=earliest', /"n":2.*\n\n/s)
  t.match(
    text,
    /^: penstock 1 \d{16} telemetry 0 0 0\n: penstock 1 \d{16} telemetry 0 1 0\n: batch 0000000000000000 00000002 /,
  )
  t.match(text, /id: 0\/1\/0\ndata: {"n":1}\n\nid: 0\/1\/1\ndata: {"n":2}\n\n$/)
})

test('what stands on disk is what went over the wire', async (t) => {
  const { post, readUntil, disk } = await start(t)
  for (let n = 0; n < 5; n++) await post('/produce?topic=telemetry&partition=0', `{"n":${n}}`)
  const text = await readUntil('/consume?topic=telemetry&partition=0&from=earliest', /"n":4}\n\n/)
  t.equal(text, disk.files.get('data/telemetry/partition-0/00000000000000000000.log')?.toString())
})

test('bad requests are told what is wrong and what would be right', async (t) => {
  const { post, server } = await start(t)
  const refusals: [string, string, Record<string, string>, number, string, RegExp][] = [
    ['/produce?topic=telemtry', 'x', {}, 404, 'unknown_topic', /there are telemetry/],
    ['/produce', 'x', {}, 400, 'missing_parameter', /topic/],
    ['/produce?topic=a/b', 'x', {}, 400, 'bad_name', /topic=a\/b/],
    ['/produce?topic=..', 'x', {}, 400, 'bad_name', /topic=\.\./],
    ['/produce?topic=telemetry&partition=2', 'x', {}, 404, 'unknown_partition', /0 to 1/],
    ['/produce?topic=telemetry&partition=-1', 'x', {}, 400, 'bad_parameter', /partition/],
    ['/produce?topic=telemetry&partiton=1', 'x', {}, 400, 'unknown_parameter', /did you mean partition/],
    ['/produce?topic=telemetry&partition=1&key=a', 'x', {}, 400, 'bad_parameter', /exclude each other/],
    ['/produce?topic=telemetry', '', {}, 400, 'empty_batch', /no record/],
    ['/produce?topic=telemetry', 'ok\nno\0', {}, 415, 'binary_record', /line 2/],
    ['/produce?topic=telemetry', `ok\n${'x'.repeat(1001)}`, {}, 413, 'record_too_large', /limit is 1000/],
    ['/produce?topic=telemetry', 'x'.repeat(10_001), {}, 413, 'body_too_large', /10000|10,000/],
    ['/produce?topic=telemetry', '{"a"', { 'content-type': 'application/json' }, 400, 'bad_record', /not JSON/],
    ['/produce?topic=telemetry', 'x', { 'content-type': 'image/png' }, 415, 'unsupported_type', /image\/png/],
    ['/produce?topic=telemetry.dead', 'x', {}, 403, 'dead_topic', /\/dead/],
    ['/produce?topic=telemetry', 'x', { 'producer-id': 'p' }, 400, 'bad_sequence', /Producer-Sequence/],
    [
      '/produce?topic=telemetry',
      'x',
      { 'producer-id': 'p', 'producer-sequence': '0' },
      400,
      'bad_sequence',
      /partition/,
    ],
    ['/dead?topic=telemetry', '{"row":"x"}', {}, 400, 'bad_record', /reason/],
    ['/dead?topic=telemetry.dead', '{"reason":"x"}', {}, 403, 'dead_topic', /of their own/],
    ['/ack?topic=telemetry&group=g', '{"id":"0/0/0"}', {}, 404, 'unknown_group', /no group g/],
    ['/nowhere', 'x', {}, 404, 'not_found', /nowhere/],
    ['/consume?topic=telemetry', 'x', {}, 405, 'method_not_allowed', /POST/],
  ]
  for (const [path, body, headers, status, code, detail] of refusals) {
    t.match(await post(path, body, headers), { status, body: { code, detail } }, path)
  }
  const lost = await fetch(`${server.url}/consume?topic=telemetry`, { headers: { 'last-event-id': '0/0/3' } })
  t.match(await lost.json(), { code: 'cursor_needed', detail: /2/ })
  for (const from of ['yesterday', '0/7/1', '1/0/1']) {
    const answer = await fetch(`${server.url}/consume?topic=telemetry&from=${from}`)
    t.ok(answer.status === 400 || answer.status === 404 || answer.status === 409, `${from}: ${answer.status}`)
    t.match(answer.headers.get('content-type'), 'application/problem+json')
  }
  const topics = (await (await fetch(`${server.url}/topics`)).json()) as { topics: { logs: { next: number }[] }[] }
  t.ok(
    topics.topics.every((topic) => topic.logs.every((log) => log.next === 0)),
    'and nothing was written',
  )
})

test('bodies of the three kinds', async (t) => {
  const { post, readUntil } = await start(t)
  await post('/produce?topic=telemetry&partition=0', '{\n"a": 1\n}', {
    'content-type': 'application/json; charset=utf-8',
  })
  await post('/produce?topic=telemetry&partition=0', 'two\r\nlines', { 'content-type': 'text/plain' })
  await post('/produce?topic=telemetry&partition=0&unwrap=payload', '{"payload":{"b":2}}', {
    'content-type': 'application/json',
  })
  await post('/produce?topic=telemetry&partition=0&unwrap=payload', '{"payload":"{\\"c\\":3}"}', {
    'content-type': 'application/json',
  })
  const text = await readUntil('/consume?topic=telemetry&partition=0&from=earliest', /"c":3}\n\n/)
  t.match(text, 'data: { "a": 1 }\n\n')
  t.match(text, 'data: two\ndata: lines\n\n')
  t.match(text, 'data: {"b":2}\n\n')
})

test('a group goes on behind what it acknowledged, also after a restart', async (t) => {
  const disk = new MemoryDisk()
  const first = await start(t, disk)
  for (let n = 0; n < 3; n++) await first.post('/produce?topic=telemetry&partition=0', `{"n":${n}}`)
  await first.readUntil('/consume?topic=telemetry&group=g&consumer=c', /"n":2}/)
  const group = first.broker.topic('telemetry')?.groups.named('g')
  while (group?.members.size !== 0) await new Promise(setImmediate)
  t.match(
    await first.post('/ack?topic=telemetry&group=g', '{"up_to":["0/0/1"]}'),
    { status: 409 },
    'nobody holds it now',
  )
  const stop = new AbortController()
  const stream = await fetch(`${first.server.url}/consume?topic=telemetry&group=g`, { signal: stop.signal })
  const reader = stream.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  while (!/"n":2}\n\n/.test(text)) text += decoder.decode((await reader.read()).value, { stream: true })
  t.match(text, /: attempt 2\nid: 0\/0\/0\n/)
  t.match(await first.post('/ack?topic=telemetry&group=g', '{"up_to":["0/0/1"]}'), {
    status: 200,
    body: { acknowledged: 1 },
  })
  t.match(await first.post('/ack?topic=telemetry&group=g', '{"ids":["0/0/0","0/0/9"]}'), {
    status: 409,
    body: { code: 'not_delivered', acknowledged: 1, refused: [{ id: '0/0/9' }] },
  })
  t.match(await first.post('/ack?topic=telemetry&group=g', '{"id":"3/0/0"}'), {
    status: 409,
    body: { code: 'wrong_broker' },
  })
  stop.abort()
  const second = await start(t, disk)
  const again = await second.readUntil('/consume?topic=telemetry&group=g', /"n":2}\n\n/)
  t.notMatch(again, '"n":1}')
})

test('what is not acknowledged in time comes again on the same stream', async (t) => {
  const { post, server, clock, broker } = await start(t)
  await post('/produce?topic=telemetry&partition=0', '{"n":0}')
  const stream = await fetch(`${server.url}/consume?topic=telemetry&group=g&visibility=5s`)
  const reader = stream.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  while (!/"n":0}/.test(text)) text += decoder.decode((await reader.read()).value, { stream: true })
  clock.advance(4_999)
  broker.tick()
  clock.advance(1)
  broker.tick()
  while (!/: attempt 2\nid: 0\/0\/0\n/.test(text)) text += decoder.decode((await reader.read()).value, { stream: true })
  t.equal(text.match(/"n":0}/g)?.length, 2)
  await reader.cancel()
})

test('what a consumer gives back comes again, and what it needs longer for does not', async (t) => {
  const { post, server, clock, broker } = await start(t)
  for (let n = 0; n < 3; n++) await post('/produce?topic=telemetry&partition=0', `{"n":${n}}`)
  const stream = await fetch(`${server.url}/consume?topic=telemetry&group=g&visibility=5s`)
  const reader = stream.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  const until = async (wanted: RegExp): Promise<void> => {
    while (!wanted.test(text)) text += decoder.decode((await reader.read()).value, { stream: true })
  }
  await until(/"n":2}\n\n/)
  const at = '?topic=telemetry&group=g'
  t.match(await post(`/nack${at}`, '{"id":"0/0/1"}'), { status: 200, body: { given_back: 1 } })
  await until(/: attempt 2\nid: 0\/0\/1\n/)
  t.match(await post(`/nack${at}`, '{"ids":["0/0/1","0/0/7"],"delay_ms":3000}'), {
    status: 409,
    body: { code: 'not_delivered', given_back: 1, refused: [{ id: '0/0/7' }] },
  })
  t.match(await post(`/ack${at}`, '{"id":"0/0/1"}'), { status: 409, body: { code: 'lease_lost' } })
  clock.advance(3_000)
  broker.tick()
  await until(/: attempt 3\nid: 0\/0\/1\n/)
  clock.advance(4_000)
  t.match(await post(`/extend${at}`, '{"ids":["0/0/0","0/0/2"]}'), { status: 200, body: { extended: 2 } })
  clock.advance(4_000)
  broker.tick()
  t.match(await post(`/ack${at}`, '{"up_to":["0/0/2"]}'), { status: 200, body: { acknowledged: 1 } }, 'in time still')

  const refusals: [string, string, RegExp][] = [
    ['/nack', '{"up_to":["0/0/1"]}', /up_to is for \/ack alone/],
    ['/nack', '{"id":"0/0/1","delay_ms":-1}', /delay_ms=-1: want 0 to 43200000/],
    ['/nack', '{"id":"0/0/1","delay_ms":"1s"}', /delay_ms="1s"/],
    ['/nack', '{"id":"0/0/1","dead":true}', /dead is not known/],
    ['/nack', '[]', /want \{"id"/],
    ['/extend', '{"id":"0/0/1","delay_ms":1}', /delay_ms is not known/],
    ['/extend', '{}', /names no id/],
    ['/ack', '{"id":7}', /7 is no id/],
  ]
  for (const [path, body, detail] of refusals) {
    t.match(await post(path + at, body), { status: 400, body: { code: 'bad_request', detail } }, body)
  }
  t.match(await post('/nack?topic=telemetry&group=none', '{"id":"0/0/1"}'), { body: { code: 'unknown_group' } })
  await reader.cancel()
})

test('a new connection of a name replaces the old one, which is told', async (t) => {
  const { post, server } = await start(t)
  await post('/produce?topic=telemetry&partition=0', '{"n":0}')
  const old = await fetch(`${server.url}/consume?topic=telemetry&group=g&consumer=c`)
  const young = await fetch(`${server.url}/consume?topic=telemetry&group=g&consumer=c`)
  t.match(
    await old.text(),
    /event: cut\ndata: {"code":"replaced","reason":"replaced by a new connection of consumer c"}\n\n$/,
  )
  await young.body?.cancel()
})

test('a repeated batch is answered as before, an overlap with what is expected', async (t) => {
  const { post } = await start(t)
  const numbered = (sequence: number) => ({ 'producer-id': 'p', 'producer-sequence': String(sequence) })
  const first = await post('/produce?topic=telemetry&partition=1', 'a\nb', numbered(0))
  const again = await post('/produce?topic=telemetry&partition=1', 'a\nb', numbered(0))
  t.strictSame(again.body, { ...first.body, duplicate: true })
  t.match(await post('/produce?topic=telemetry&partition=1', 'b\nc', numbered(1)), {
    status: 409,
    body: { code: 'sequence_overlap', expected: 2 },
  })
})

test('a full disk refuses produce and nothing else', async (t) => {
  const { post, readUntil, disk } = await start(t)
  await post('/produce?topic=telemetry&partition=0', '{"n":0}')
  disk.failNext('write', 'ENOSPC', 3)
  t.match(await post('/produce?topic=telemetry&partition=0', '{"n":1}'), { status: 507, body: { code: 'disk_full' } })
  t.match(await readUntil('/consume?topic=telemetry&partition=0&from=earliest', /\n\n/), '"n":0')
  t.match(await post('/produce?topic=telemetry&partition=0', '{"n":2}'), { status: 200, body: { id: '0/0/1' } })
})
