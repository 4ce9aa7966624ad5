/** The reading thread: a real one, with a store of its own. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { embeddedPath } from '#store/open'
import { gpuRecord, transferRecord } from '#store/samples'
import { type TestApi, testApi } from '#test/api'
import { Inventory } from '../ask/inventory.ts'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { StoreReader } from '../ask/reader.ts'
import { Bounds, unboundOf } from '../keys/bounds.ts'
import { readHandlers, readSettingsOf } from './answers.ts'
import { errorOf, thrownOf } from './messages.ts'
import { readSettings } from '#lib/settings'
import { apiSettings } from '../settings.ts'
import { Problem } from '#wire/problems'
import { StoreError } from '#store/errors'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const power = 'DCGM_FI_DEV_POWER_USAGE'
const topics = { gpus: 'telemetry', transfers: 'transfers' }
const records = [
  gpuRecord(),
  gpuRecord({ metric: power, value: 300, namespace: 'ml', pod: 'p' }),
  gpuRecord({ metric: power, value: 100, uuid: 'GPU-b', gpu_id: '1', hostname: 'host-é' }),
  gpuRecord({ metric: 'DCGM_FI_DEV_FB_USED', value: null, uuid: 'GPU-b', gpu_id: '1', hostname: 'host-é' }),
  transferRecord(),
]

test('it answers what the thread that speaks HTTP would, byte by byte', async (t) => {
  const { thread, dataDir } = await testApi(t, { records, nowMs })
  const settings = readSettingsOf(readSettings(apiSettings, { env: { DATA_DIR: dataDir } }))
  const reader = new StoreReader(settings)
  t.teardown(() => reader.close())
  const own = readHandlers(reader, new Inventory(reader, settings.staleAfterMs, setImmediate), settings)
  const params: Readonly<Record<string, object>> = {
    getGpu: { id: 'GPU-a' },
    getGpuTelemetry: { id: 'GPU-a' },
    listOccupants: { id: 'GPU-a' },
    getLink: { a: 'a', b: 'b' },
  }
  const queries: Readonly<Record<string, object>> = {
    query: { metric: power, group_by: 'host', start: '-15m' },
    getTop: { metric: power, at: '2025-07-18T20:43:00Z' },
    getGpuTelemetry: { start: '-1h', window: '5m' },
  }
  const keys = [unboundOf(topics), new Bounds({ topics: null, hosts: ['host-é'], sites: null }, topics)]
  for (const operation of Object.keys(own) as (keyof typeof own)[]) {
    for (const bounds of keys) {
      const call = { params: params[operation] ?? {}, query: queries[operation] ?? {}, nowMs, bounds }
      const told = async (answer: Promise<unknown>) =>
        answer.then(textOf, (error: Error) => `${error.name} ${error.message}`)
      const given = await told(thread.ask(operation, call))
      t.equal(given, await told(own[operation](call as never)), `${operation}, ${bounds.isBound ? 'bound' : 'unbound'}`)
      t.ok(given.length > 2)
    }
  }
})

const textOf = (answer: unknown) =>
  typeof answer === 'string' ? answer : Buffer.isBuffer(answer) ? answer.toString() : JSON.stringify(answer)

test('the contract says of each question to the store that it may be refused', (t) => {
  const settings = readSettingsOf(readSettings(apiSettings, { env: {} }))
  const reader = new StoreReader(settings)
  const asking = readHandlers(reader, new Inventory(reader, settings.staleAfterMs, setImmediate), settings)
  const queued = Object.entries<Endpoint>(contract).filter(([, row]) => row.queued === true)
  t.same(queued.map(([name]) => name).toSorted(), Object.keys(asking).toSorted())
  t.end()
})

test('a long range of one GPU is read there, a day is not', async (t) => {
  const { thread, json } = await testApi(t, { records, nowMs })
  const asked = t.capture(thread, 'ask', thread.ask.bind(thread))
  const path = `/api/v1/gpus/GPU-a/telemetry?window=1h&metric=${power}`
  const day = await json<any>(`${path}&start=-24h`)
  t.equal(asked().length, 0)
  const days = await json<any>(`${path}&start=-30d`)
  t.equal(asked().length, 1)
  t.same(days.series, day.series)
  t.match(await json(`${path}&start=never`), { code: 'bad_parameter', detail: /^start=never: want RFC 3339/ })
})

test('refusals, and what the store throws, cross as what they are', async (t) => {
  const { json } = await testApi(t, { records, nowMs })
  t.match(await json('/api/v1/top?metric=nope'), { status: 404, code: 'unknown_metric' })
  t.match(await json('/api/v1/query?metric=x&start=never'), { code: 'bad_parameter', parameter: 'start' })
  const refused = errorOf(structuredClone(thrownOf(new Problem('ambiguous_gpu', 'two', { candidates: [1] }))))
  t.match(refused, { code: 'ambiguous_gpu', message: 'ambiguous_gpu: two', extra: { candidates: [1] } })
  t.ok(refused instanceof Problem)
  const away = errorOf(structuredClone(thrownOf(new StoreError('away', 'db: no answer', undefined, 7))))
  t.match(away, { code: 'away', retryAfterMs: 7, message: /^db: no answer: / })
  t.ok(away instanceof StoreError)
  t.equal(errorOf(structuredClone(thrownOf('text'))).message, 'text')
})

test('a store that cannot be read is an error of ours, in the log and in the status', async (t) => {
  const { get, json, dataDir, log } = await testApi(t, { nowMs })
  t.equal((await get('/api/v1/namespaces')).status, 200, 'there is none yet')
  const path = embeddedPath(dataDir)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, 'no database, but a text that is longer than the head of one. '.repeat(100))
  t.equal((await get('/api/v1/namespaces')).status, 500)
  t.match(
    log.find((line) => line.includes('"a request failed"')),
    /penstock.db: the file is not a database/,
  )
  t.match(await json('/status'), { store: /penstock.db: the file is not a database/ })
})

test('one that dies is told of, and made anew', async (t) => {
  const api = await testApi(t, { records, nowMs })
  t.equal((await api.get('/api/v1/fleet')).status, 200)
  const before = api.thread.threadId
  await sleep(1_000)
  const meanwhile = api.get('/api/v1/fleet')
  await kill(api)
  const answer = await meanwhile
  // It may have answered before it died.
  if (answer.status !== 200) await isRefused(t, answer)

  const next = await api.get('/api/v1/fleet')
  t.equal(next.status, 200)
  t.match(await next.json(), { gpus: 2 })
  t.not(api.thread.threadId, before)
  await kill(api)
  await isRefused(t, await api.get('/api/v1/fleet'))
  t.equal((await api.get('/api/v1/gpus/GPU-a')).status, 200, 'of one GPU is answered all the same')
  const lines = api.log.filter((line) => line.includes('the thread that reads the store died'))
  t.equal(lines.length, 2)
  t.match(JSON.parse(lines[0] ?? ''), { level: 'error', why: /TypeError/ })
  t.match(await (await api.get('/metrics')).text(), /penstock_api_reading_thread_deaths_total\{role="api"\} 2/)
  await sleep(1_000)
  t.equal((await api.get('/api/v1/fleet')).status, 200)
})

async function isRefused(t: Test, answer: Response): Promise<void> {
  t.equal(answer.status, 503)
  t.equal(answer.headers.get('retry-after'), '1')
  t.match(await answer.json(), { code: 'unavailable', detail: 'the thread that reads the store died' })
}

/** By what nobody sends: nothing in it catches that. */
async function kill({ thread }: TestApi): Promise<void> {
  const call = { params: {}, query: {}, nowMs, bounds: {} as Bounds }
  await thread.ask('getFleet', call).catch(() => {})
}

test('it answers what it was asked before it ends, and nothing afterwards', async (t) => {
  const { thread } = await testApi(t, { records, nowMs })
  const call = { params: {}, query: {}, nowMs, bounds: unboundOf(topics) }
  const asked = [thread.ask('listGpus', call), thread.ask('getFleet', call)]
  await thread.end(10_000)
  for (const answer of await Promise.all(asked)) t.ok(JSON.parse(answer.toString()))
  t.equal(thread.threadId, undefined)
  await t.rejects(thread.ask('getFleet', call), { code: 'unavailable', message: /stopping/ })
  thread.start()
  t.equal(thread.threadId, undefined)
  await thread.end(0)
})

test('it is ended where it takes too long', async (t) => {
  const { thread } = await testApi(t, { records, nowMs })
  const asked = thread.ask('getFleet', { params: {}, query: {}, nowMs, bounds: unboundOf(topics) })
  const refused = t.rejects(asked, { code: 'unavailable' })
  await thread.end(0)
  await refused
})
