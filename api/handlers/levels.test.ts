/** The log level of a running API. */

import { test } from 'tap'
import { Api } from '../client.ts'
import { testApi, testKey } from '#test/api'

test('PUT /log-level: changes the level, says so, and leaves a line of who did it', async (t) => {
  const { url, get, json, log } = await testApi(t)
  const put = (level: string) => get(`/log-level?level=${level}`, { method: 'PUT' })
  const linesOf = (text: string) => log.filter((line) => line.includes(text))
  await get('/health')
  const before = linesOf('"answered"').length
  t.ok(before > 0, 'the level of the test is debug, which has a line for each request')

  t.same(await (await put('error')).json(), { level: 'error' })
  t.same(await json('/api/v1/log-level'), { level: 'error' })
  t.equal(linesOf('"answered"').length, before, 'from then on there is none')
  const [changed] = linesOf('the log level is changed')
  t.match(JSON.parse(changed ?? ''), {
    level: 'info',
    from: 'debug',
    to: 'error',
    msg: /PUT \/log-level \(key-[0-9a-f]{8}\)$/,
  })
  t.match(JSON.parse(linesOf('"setLogLevel"')[0] ?? ''), { audit: true, outcome: 'done', from: 'debug', to: 'error' })

  t.same(await new Api({ url, token: testKey }).put('/api/v1/log-level', { query: { level: 'debug' } }), {
    level: 'debug',
  })
  await get('/health')
  t.ok(linesOf('"answered"').length > before, 'and back')
})

test('PUT /log-level: what is wrong changes nothing', async (t) => {
  const { get, json } = await testApi(t)
  for (const [query, code, detail] of [
    ['?level=loud', 'bad_parameter', /level=loud: want one of trace, debug/],
    ['', 'missing_parameter', /level is missing: want one of trace/],
    ['?levle=info', 'unknown_parameter', /did you mean level\?/],
  ] as const) {
    const answer = await get(`/log-level${query}`, { method: 'PUT' })
    const body = (await answer.json()) as { code: string; detail: string }
    t.same([answer.status, body.code], [400, code])
    t.match(body.detail, detail)
  }
  t.equal((await get('/log-level?level=info', { method: 'PUT', headers: { 'x-api-key': 'wrong' } })).status, 401)
  const made = await get('/log-level?level=info', { method: 'POST' })
  t.same([made.status, made.headers.get('allow')], [405, 'GET, HEAD, PUT'])
  t.same(await json('/log-level'), { level: 'debug' })
})
