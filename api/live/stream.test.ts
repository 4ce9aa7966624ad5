/** The live stream through a real server, a broker that does what it is told, and the parser of our client. */

import { test } from 'tap'
import { gpuRecord, transferRecord } from '#store/samples'
import { SseParser, type SseEvent } from '#wire/sse'
import { Compile } from 'typebox/compile'
import { contract } from '../contract.ts'
import { stubBroker, testApi } from '#test/api'

type Api = Awaited<ReturnType<typeof testApi>>

async function listen(t: { teardown(work: () => unknown): void }, api: Api, query: string, lastId?: string) {
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
  const answer = await api.get(`/api/v1/stream${query}`, { headers, signal: stop.signal })
  const events: SseEvent[] = []
  const waiting: { is(event: SseEvent): boolean; resolve(event: SseEvent): void }[] = []
  const parser = new SseParser({
    onEvent(event) {
      events.push(event)
      for (const each of waiting) if (each.is(event)) each.resolve(event)
    },
  })
  void (async () => {
    try {
      for await (const text of (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
        parser.feed(text)
      }
    } catch {
      // The test has ended.
    }
  })()
  const heard = (is: (event: SseEvent) => boolean) =>
    new Promise<SseEvent>((resolve) => {
      const known = events.find(is)
      if (known === undefined) waiting.push({ is, resolve })
      else resolve(known)
    })
  return { answer, events, heard, stop: () => stop.abort() }
}

const isLive = ({ event, data }: SseEvent) => event === 'state' && JSON.parse(data).live === true
const isRecord = (uuid: string) => (event: SseEvent) => event.event === 'message' && event.data.includes(uuid)

test('records reach their readers, filtered and in the names of the catalogue', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
  const every = await listen(t, api, '')
  const host = await listen(t, api, '?host=host-2&metric=DCGM_FI_DEV_GPU_TEMP')
  const site = await listen(t, api, '?site=SITE_A')
  t.match(every.answer.headers.get('content-type'), /^text\/event-stream/)
  t.equal(every.answer.headers.get('x-accel-buffering'), 'no')
  await broker.readers(2)
  await every.heard(isLive)

  broker.emit('telemetry', [
    gpuRecord({ uuid: 'GPU-1' }),
    { not: 'a record' },
    gpuRecord({ uuid: 'GPU-2', hostname: 'host-2', metric: 'dcgm_gpu_temp', value: 2147483647 }),
    gpuRecord({ uuid: 'GPU-3', hostname: 'host-2' }),
  ])
  broker.emit('transfers', [transferRecord({ id: 'tr-9' })])
  await every.heard(isRecord('GPU-3'))
  await every.heard(isRecord('tr-9'))
  const { data } = await host.heard(isRecord('GPU-2'))
  await site.heard(isRecord('tr-9'))
  t.match(JSON.parse(data), { metric: 'DCGM_FI_DEV_GPU_TEMP', value: null })
  const isRow = Compile(contract.stream.answer)
  const messages = every.events.filter(({ event }) => event === 'message')
  for (const message of messages) t.same(isRow.Errors(JSON.parse(message.data)), [])
  t.equal(messages.length, 4, 'what is no record is passed over')
  t.equal(host.events.filter(({ event }) => event === 'message').length, 1)
  t.equal(site.events.filter(({ event }) => event === 'message').length, 1)
})

test('a reader that comes back goes on behind its last event', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
  const other = await listen(t, api, '')
  const first = await listen(t, api, '')
  await broker.readers(2)
  broker.emit('telemetry', [gpuRecord({ uuid: 'GPU-1' })])
  const last = await first.heard(isRecord('GPU-1'))
  first.stop()
  broker.emit('telemetry', [gpuRecord({ uuid: 'GPU-2' })])
  await other.heard(isRecord('GPU-2'))
  const again = await listen(t, api, '', last.id)
  await again.heard(isRecord('GPU-2'))
  t.notOk(again.events.some(({ event, data }) => event === 'gap' || data.includes('GPU-1')))
  const late = await listen(t, api, '', 'ffffffff-3')
  t.match(JSON.parse((await late.heard(({ event }) => event === 'gap')).data), { missed: null })
})

test('every=: one event an interval, the newest of each series', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
  const reader = await listen(t, api, '?every=100ms')
  await broker.readers(2)
  broker.emit('telemetry', [gpuRecord({ value: 1 }), gpuRecord({ value: 2 })])
  const { data, id } = await reader.heard(({ event }) => event === 'records')
  t.equal(JSON.parse(data).at(-1).value, 2)
  t.ok(id)
})

test('a broker that is away is told, and so is its return', async (t) => {
  const broker = await stubBroker(t)
  const api = await testApi(t)
  const without = await listen(t, api, '')
  const state = await without.heard(({ event, data }) => event === 'state' && data.includes('127.0.0.1:9'))
  t.equal(JSON.parse(state.data).live, false)
  const there = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
  await (await listen(t, there, '')).heard(isLive)
})

test('wrong questions and no key', async (t) => {
  const api = await testApi(t)
  for (const [query, detail] of [
    ['?every=5ms', /every=5ms: want a duration from 100ms to 60s/],
    ['?kind=gpus', /kind=gpus: want one of gpu, transfer, metric/],
    ['?hostname=x', /did you mean/],
  ] as const) {
    const answer = await api.get(`/api/v1/stream${query}`)
    t.equal(answer.status, 400)
    t.match(((await answer.json()) as { detail: string }).detail, detail)
  }
  t.equal((await fetch(`${api.url}/api/v1/stream`)).status, 401)
  t.equal((await api.get('/api/v1/stream', { method: 'HEAD' })).status, 200)
})
