/** The doors of InfluxDB, in front of a broker that does what it is told. */

import { gzipSync } from 'node:zlib'
import { InfluxDB, Point, setLogger } from '@influxdata/influxdb-client'
import { test } from 'tap'
import { Problem } from '#wire/problems'
import { unboundOf } from '../keys/bounds.ts'
import { writeHandlers } from './write.ts'
import { stubBroker, testApi, testKey, type StubBroker } from '#test/api'
import type { Scope } from '#test/start'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const line = 'cpu,host=a usage_idle=98.5,procs=7i 1752871354000000000'
const idle = {
  kind: 'metric',
  time: '2025-07-18T20:42:34Z',
  metric: 'cpu_usage_idle',
  value: 98.5,
  tags: { host: 'a' },
}

const written = ({ produced }: StubBroker) =>
  produced.flatMap(({ lines }) => lines.map((text) => JSON.parse(text) as typeof idle))

async function doors(t: Scope, env: Record<string, string> = {}) {
  const broker = await stubBroker(t)
  const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url, ...env }, nowMs })
  const write = (path: string, body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(api.url + path, { method: 'POST', body, headers: { authorization: `Token ${testKey}`, ...headers } })
  return { broker, api, write }
}

test('a point comes in by either door, and the answer is that of InfluxDB', async (t) => {
  const { broker, write } = await doors(t)
  const paths = [
    '/api/v2/write?org=o&bucket=b&precision=ns',
    '/write?db=d&rp=autogen&consistency=any&precision=n',
    '/write',
  ]
  for (const path of paths) {
    const answer = await write(path, line)
    t.same([answer.status, await answer.text(), answer.headers.get('content-type')], [204, '', null], path)
    t.match(
      written(broker).toSorted((a, b) => b.value - a.value),
      [idle, { metric: 'cpu_procs', value: 7 }],
    )
    broker.produced.length = 0
  }
  for (const type of ['text/plain; charset=utf-8', 'application/x-www-form-urlencoded', 'application/octet-stream']) {
    t.equal((await write('/write?precision=s', 'cpu v=1 1752871354', { 'content-type': type })).status, 204, type)
  }
  t.equal((await write('/api/v2/write', gzipSync(line), { 'content-encoding': 'gzip' })).status, 204)
  t.equal((await write('/api/v2/write', 'cpu v=1')).status, 204)
  t.equal(written(broker).at(-1)?.time, '2025-07-18T20:43:00Z', 'without a timestamp it is now')
  t.same(broker.letters, [])
})

test('bad lines and fields that are no numbers are dead letters, the rest is taken, and nobody sends it again', async (t) => {
  const { broker, write } = await doors(t)
  const body = `${line}\n# a comment\nnonsense\nsystem,host=a up=t,uptime_format="1 day",load1=0.5 1752871354000000000\n`
  const answer = await write('/api/v2/write?bucket=telegraf', body)
  t.equal(answer.status, 204)
  t.same(
    written(broker)
      .map(({ metric }) => metric)
      .toSorted(),
    ['cpu_procs', 'cpu_usage_idle', 'system_load1'],
  )
  t.match(broker.letters, [
    { file: '/api/v2/write telegraf', line: 3, row: 'nonsense', reason: /there are no fields/ },
    {
      line: 4,
      row: /^system,host=a/,
      reason: /field up is true: only numbers are stored; field uptime_format is a text/,
    },
  ])
})

test('what holds no line at all is refused, in the words of both versions, and kept', async (t) => {
  const { broker, write } = await doors(t)
  for (const path of ['/api/v2/write', '/write']) {
    const answer = await write(path, '<html>\n<body>Bad Gateway</body>')
    const body = (await answer.json()) as Record<string, unknown>
    t.same([answer.status, answer.headers.get('content-type')], [400, 'application/json'])
    t.match(body, { code: 'bad_record', status: 400, message: /no line can be read.*line 1: / })
    t.equal(body['error'], body['message'])
    t.equal(body['detail'], body['message'])
  }
  t.same(
    broker.letters.map(({ file, line: at }) => [file, at]),
    [
      ['/api/v2/write', 1],
      ['/api/v2/write', 2],
      ['/write', 1],
      ['/write', 2],
    ],
  )
  const wrong: readonly (readonly [string, string, number, RegExp])[] = [
    ['/api/v2/write', '', 400, /the body holds no line/],
    ['/api/v2/write', '# nothing\n', 400, /the body holds no line/],
    ['/write?precision=d', line, 400, /precision=d: want one of ns, n, us/],
    ['/write?presicion=s', line, 400, /presicion is not known: did you mean precision\?/],
    ['/write', 'x'.repeat(16 * 1024 * 1024 + 1), 413, /at most 16777216 bytes/],
  ]
  for (const [path, body, status, message] of wrong) {
    const answer = await write(path, body)
    t.equal(answer.status, status, path)
    t.match(((await answer.json()) as { error: string }).error, message)
  }
  t.equal((await fetch(`${(await doors(t)).api.url}/write`)).status, 401)
})

test('a short body that would be endless records is refused, and never held as a whole', async (t) => {
  let [sent, most] = [0, 0]
  const sender = {
    async send(records: readonly { readonly data: string }[]) {
      const chars = records.reduce((sum, { data }) => sum + data.length, 0)
      sent += chars
      most = Math.max(most, chars)
      return { ids: records.map(() => '0/0/0'), failure: undefined }
    },
  }
  const { writeLines } = writeHandlers(sender, { topic: 't', client: { dead: async () => {} } })
  const fields = Array.from({ length: 5_000 }, (_, index) => `f${index}=1`).join()
  const body = Buffer.from(`m,tag=${'x'.repeat(60_000)} ${fields}`)
  const { signal } = new AbortController()
  const call = {
    params: {},
    query: {},
    lines: undefined,
    nowMs,
    signal,
    bounds: unboundOf({ gpus: 't', transfers: 't' }),
    by: 'a',
    note: () => {},
  }
  await t.rejects(writeLines({ ...call, body }), { code: 'body_too_large' })
  t.ok(sent <= 64 * 1024 * 1024 && most < 3 * 1024 * 1024)
})

test('a broker that is away, or full: version 1 is told 503, since Telegraf drops what is refused with a 4xx', async (t) => {
  const { broker, write } = await doors(t, { RATE_LIMIT: '4' })
  for (const partition of [0, 1]) broker.refuse(partition, new Problem('partition_full', 'full', { retry_after_s: 30 }))
  const full = async (path: string) => {
    const answer = await write(path, line)
    return [answer.status, answer.headers.get('retry-after'), ((await answer.json()) as { code: string }).code]
  }
  t.same(await full('/api/v2/write'), [429, '30', 'partition_full'])
  t.same(await full('/write'), [503, '30', 'unavailable'])
  for (const partition of [0, 1]) broker.refuse(partition, undefined)
  broker.refuse('dead', new Problem('disk_full', 'full', { retry_after_s: 30 }))
  const unburied = await write('/write', `${line}\nnonsense`)
  t.equal(unburied.status, 503, 'nothing is answered before the bad lines are kept')
  t.equal(written(broker).length, 2)
  broker.refuse('dead', undefined)
  t.equal((await write('/write', `${line}\nnonsense`)).status, 204)
  const [first, second] = [written(broker).slice(0, 2), written(broker).slice(2)]
  t.same(second, first, 'and what is sent again is the same points')
  const limited = await write('/write', line)
  t.same([limited.status, Number(limited.headers.get('retry-after')) > 0], [503, true])
})

test('the key, as clients of InfluxDB carry it, and only here', async (t) => {
  const { api, broker } = await doors(t)
  const basic = (user: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${testKey}`).toString('base64')}` })
  const right: readonly (readonly [string, Record<string, string>])[] = [
    ['/api/v2/write', { authorization: `Token ${testKey}` }],
    ['/api/v2/write', { authorization: `Bearer ${testKey}` }],
    ['/api/v2/write', { 'x-api-key': testKey }],
    ['/write', basic('telegraf')],
    ['/write', basic('')],
    [`/write?u=telegraf&p=${testKey}`, {}],
  ]
  const post = (path: string, headers: Record<string, string>) =>
    fetch(api.url + path, { method: 'POST', body: line, headers })
  for (const [path, headers] of right) t.equal((await post(path, headers)).status, 204, path)
  const before = broker.produced.length
  const wrong: readonly (readonly [string, Record<string, string>])[] = [
    ['/write', {}],
    ['/write', { authorization: 'Token wrong' }],
    ['/write', { authorization: `Basic ${Buffer.from(testKey).toString('base64')}` }],
    [`/write?u=${testKey}`, {}],
    ['/write?p=wrong', {}],
  ]
  for (const [path, headers] of wrong) {
    const answer = await post(path, headers)
    t.equal(answer.status, 401, path)
    t.match(await answer.json(), { code: 'unauthorized', message: /./, error: /./ })
  }
  t.equal(broker.produced.length, before)
  t.equal((await fetch(`${api.url}/api/v1/gpus?p=${testKey}`)).status, 401)
  t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: basic('u') })).status, 401)
  t.notOk(api.log.join().includes(testKey))
})

test('what clients ask before they write', async (t) => {
  const { api } = await doors(t)
  for (const method of ['GET', 'HEAD']) {
    const ping = await fetch(`${api.url}/ping`, { method })
    t.same([ping.status, ping.headers.get('x-influxdb-build')], [204, 'Penstock'])
    t.match(ping.headers.get('x-influxdb-version'), /^1\.8\.0-penstock-/)
  }
  const query = async (q: string, where: 'query' | 'form') => {
    const headers = { authorization: `Token ${testKey}` }
    const form = new URLSearchParams({ q })
    return where === 'form'
      ? fetch(`${api.url}/query`, { method: 'POST', headers, body: form })
      : fetch(`${api.url}/query?${form.toString()}`, { method: 'POST', headers })
  }
  for (const q of ['CREATE DATABASE "telegraf"', 'create database telegraf;', 'CREATE DATABASE "a \\"b\\""']) {
    for (const where of ['query', 'form'] as const) {
      const answer = await query(q, where)
      t.same([answer.status, await answer.json()], [200, { results: [{ statement_id: 0 }] }], q)
    }
  }
  // As many blanks as a body holds, in one go.
  const long = `CREATE DATABASE a${' '.repeat(500_000)}b`
  for (const q of ['SHOW DATABASES', 'DROP DATABASE x', 'CREATE DATABASE a; DROP DATABASE b', 'SELECT 1', long, '']) {
    const answer = await query(q, 'form')
    const refused = [400, { code: 'bad_parameter', error: /only CREATE DATABASE/ }]
    t.match([answer.status, await answer.json()], refused, q.slice(0, 100))
  }
})

test('the official client', async (t) => {
  // It tells of refusals on the console.
  setLogger({ error() {}, warn() {} })
  const { broker, api } = await doors(t)
  const client = new InfluxDB({ url: api.url, token: testKey })
  const writer = client.getWriteApi('an org', 'a bucket', 'ns', { maxRetries: 0, gzipThreshold: 100 })
  const texts = ['plain', 'a b,c=d', 'quote " and \\ slash', 'é🚰']
  for (const [index, text] of texts.entries()) {
    writer.writePoint(
      new Point('m s')
        .tag('place', text)
        .floatField('float', index + 0.5)
        .intField('int', index)
        .uintField('uint', index)
        .timestamp(String(1752871354000000000n + BigInt(index))),
    )
  }
  await writer.close()
  const records = written(broker)
  t.equal(records.length, 12)
  for (const [index, text] of texts.entries()) {
    const time = index === 0 ? '2025-07-18T20:42:34Z' : `2025-07-18T20:42:34.00000000${index}Z`
    const values = records
      .filter((record) => record.time === time)
      .map(({ metric, value, tags }) => [metric, value, tags])
    t.same(
      values.toSorted(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
      [
        ['m s_float', index + 0.5, { place: text }],
        ['m s_int', index, { place: text }],
        ['m s_uint', index, { place: text }],
      ],
    )
  }
  const wrong = new InfluxDB({ url: api.url, token: 'wrong' }).getWriteApi('o', 'b', 'ns', { maxRetries: 0 })
  wrong.writeRecord(line)
  await t.rejects(wrong.flush(), { statusCode: 401, code: 'unauthorized', message: /key/ }, 'and it can tell why')
  await wrong.close().catch(() => {})
})
