/** What stands before every route: keys, limits, headers; and what needs no key. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'tap'
import { fixedSecrets } from '#lib/secret'
import { SettingsError } from '#lib/settings'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { testApi, testKey } from '#test/api'
import { temporaryFolder } from '#test/start'
import { apiHostOf } from '../settings.ts'

// The doors of InfluxDB refuse in the words of its clients (intake/write.test.ts).
const paths = Object.values<Endpoint>(contract)
  .filter(({ influx }) => influx === undefined)
  .flatMap((row) => [row.path, ...(row.also ?? [])])

test('without a key every path but the open ones answers the same 401', async (t) => {
  const api = await testApi(t)
  const known = paths.map((path) => path.replace('{id}', 'GPU-a'))
  const bodies = new Set<string>()
  for (const path of [...known, '/api/v1/nothing', '/api', '/secret', '/telemetry/x', '/api/v1/gpus/GPU-a/x']) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const answer = await fetch(api.url + path, { method })
      t.equal(answer.status, 401, `${method} ${path}`)
      t.equal(answer.headers.get('www-authenticate'), 'Bearer')
      t.equal(answer.headers.get('allow'), null)
      bodies.add(await answer.text())
    }
  }
  t.equal(bodies.size, 1, 'what exists and what does not cannot be told apart')
})

test('a wrong key answers as a missing one, whatever it looks like', async (t) => {
  const api = await testApi(t)
  const wrong = [testKey.slice(1), `${testKey}x`, testKey.toUpperCase(), 'x', '%00', 'a'.repeat(4000)]
  for (const key of wrong) {
    t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { 'x-api-key': key } })).status, 401)
    t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { authorization: `Bearer ${key}` } })).status, 401)
  }
  const basic = Buffer.from(`x:${testKey}`).toString('base64')
  t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { authorization: `Basic ${basic}` } })).status, 401)
  t.equal((await fetch(`${api.url}/api/v1/gpus?key=${testKey}&api_key=${testKey}`)).status, 401, 'not by the query')
  t.notOk(api.log.join().includes(testKey), 'and no log line holds a key')
})

test('several keys at once, by either header', async (t) => {
  const api = await testApi(t, { env: { API_KEY: 'old-key-123, new-key-456' } })
  for (const key of ['old-key-123', 'new-key-456']) {
    t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { 'x-api-key': key } })).status, 200)
    t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { authorization: `bearer ${key}` } })).status, 200)
  }
})

test('guessing: an address that tries many wrong keys must wait, and who was let in before need not', async (t) => {
  const api = await testApi(t, { env: { API_KEY: `${testKey},second-key` } })
  await api.get('/api/v1/hosts')
  let last: Response | undefined
  for (let tries = 0; tries < 61; tries++) {
    last = await fetch(`${api.url}/api/v1/gpus`, { headers: { 'x-api-key': `guess-${tries}` } })
    await last.text()
  }
  t.equal(last?.status, 429)
  t.ok(Number(last?.headers.get('retry-after')) > 0)
  const lucky = await fetch(`${api.url}/api/v1/gpus`, { headers: { 'x-api-key': 'second-key' } })
  t.equal(lucky.status, 429, 'the right guess is not told from a wrong one')
  t.equal((await api.get('/api/v1/hosts')).status, 200)
})

test('a key may ask so often a minute, as its headers say; what is open does not count', async (t) => {
  const api = await testApi(t, { env: { RATE_LIMIT: '3' } })
  const remaining: (string | null)[] = []
  for (let asked = 0; asked < 3; asked++) {
    await fetch(`${api.url}/swagger/swagger-ui.css`)
    const answer = await api.get('/api/v1/sites')
    remaining.push(answer.headers.get('ratelimit-remaining'))
    t.equal(answer.headers.get('ratelimit-limit'), '3')
  }
  t.same(remaining, ['2', '1', '0'])
  const refused = await api.get('/api/v1/sites')
  t.equal(refused.headers.get('ratelimit-policy'), '"key";q=3;w=60')
  t.match(refused.headers.get('ratelimit'), /^"key";r=0;t=\d+$/)
  const opened = await fetch(`${(await testApi(t)).url}/api/v1/stream`, { headers: { 'x-api-key': testKey } })
  t.match(opened.headers.get('ratelimit'), /^"key";r=11999;t=\d+$/, 'of a stream, too')
  await opened.body?.cancel()
  t.same([refused.status, ((await refused.json()) as { code: string }).code], [429, 'rate_limited'])
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  t.equal((await fetch(`${api.url}/health`)).status, 200)
})

test('without API_KEY: this machine may ask, by its own names only', async (t) => {
  const api = await testApi(t, { env: { API_KEY: '' } })
  t.equal((await fetch(`${api.url}/api/v1/gpus`)).status, 200)
  // A page of evil.example whose name was pointed to 127.0.0.1 sends its own name.
  const status = await new Promise((resolve, reject) => {
    const asked = request(`${api.url}/api/v1/gpus`, { headers: { host: 'evil.example' } }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.on('error', reject).end()
  })
  t.equal(status, 401)
  t.equal(apiHostOf({ host: undefined, apiKeys: undefined }), '127.0.0.1')
  t.equal(apiHostOf({ host: undefined, apiKeys: fixedSecrets('k') }), '0.0.0.0')
  t.throws(() => apiHostOf({ host: '0.0.0.0', apiKeys: undefined }), SettingsError)
  t.throws(
    () => apiHostOf({ host: '10.0.0.1', apiKeys: undefined }),
    /HOST=10\.0\.0\.1: want a loopback address, or an API_KEY/,
  )
})

test('pages of other hosts may ask only when they are listed', async (t) => {
  const api = await testApi(t, { env: { CORS_ORIGINS: 'https://grafana.example.org' } })
  const origin = async (name: string) => {
    const answer = await api.get('/api/v1/gpus', { headers: { origin: name } })
    return answer.headers.get('access-control-allow-origin')
  }
  t.equal(await origin('https://grafana.example.org'), 'https://grafana.example.org')
  t.equal(await origin('https://evil.example'), null)
  const preflight = await fetch(`${api.url}/api/v1/gpus`, {
    method: 'OPTIONS',
    headers: { origin: 'https://grafana.example.org', 'access-control-request-method': 'GET' },
  })
  t.equal(preflight.status, 204)
  t.match(preflight.headers.get('access-control-allow-headers'), /x-api-key/)
  const closed = await testApi(t)
  const none = await closed.get('/api/v1/gpus', { headers: { origin: 'https://grafana.example.org' } })
  t.equal(none.headers.get('access-control-allow-origin'), null)
})

test('no page may load anything from elsewhere, nor be framed', async (t) => {
  const api = await testApi(t)
  for (const path of ['/', '/swagger/', '/api/v1/gpus']) {
    const answer = await api.get(path)
    const policy = answer.headers.get('content-security-policy') ?? ''
    t.match(policy, /default-src 'self'/)
    t.match(policy, /frame-ancestors 'none'/)
    t.notMatch(policy, /https?:|upgrade-insecure|unsafe-eval/)
    t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    t.notMatch(await answer.text(), /(src|href)="https?:/)
  }
})

test('what needs no key', async (t) => {
  const api = await testApi(t)
  const open = async (path: string) => {
    const answer = await fetch(api.url + path)
    return [answer.status, answer.headers.get('content-type')?.split(';')[0]]
  }
  t.same(await open('/health'), [200, 'application/json'])
  t.same(await open('/ready'), [200, 'application/json'])
  t.same(await open('/metrics'), [200, 'text/plain'])
  t.same(await open('/openapi.json'), [200, 'application/json'])
  t.same(await open('/ping'), [204, undefined])
  t.same(await open('/swagger/'), [200, 'text/html'])
  t.same(await open('/swagger/swagger-initializer.js'), [200, 'text/javascript'])
  t.same(await open('/swagger/swagger-ui-bundle.js'), [200, 'application/javascript'])
  t.same(await open('/swagger/swagger-ui.css'), [200, 'text/css'])
  t.same(await open('/swagger/%2e%2e/package.json'), [401, 'application/problem+json'])
  const page = await fetch(`${api.url}/`)
  t.match(await page.text(), /dashboard is not built/)
})

test('the dashboard: assets are kept, the page is asked for anew, nothing beside them is served', async (t) => {
  const dashboardDir = temporaryFolder(t)
  mkdirSync(join(dashboardDir, 'assets'))
  writeFileSync(join(dashboardDir, 'index.html'), '<title>fleet</title>')
  writeFileSync(join(dashboardDir, 'assets', 'index-abc.js'), '1')
  writeFileSync(join(dashboardDir, '.secret'), 'x')
  const api = await testApi(t, { dashboardDir })
  const page = await fetch(`${api.url}/`)
  t.same([page.status, await page.text(), page.headers.get('cache-control')], [200, '<title>fleet</title>', 'no-cache'])
  const asset = await fetch(`${api.url}/assets/index-abc.js`)
  t.match(asset.headers.get('cache-control'), /immutable/)
  for (const path of ['/.secret', '/assets/../.secret', '/assets/%2e%2e/.secret', '/assets/none.js']) {
    t.equal((await fetch(api.url + path)).status, 401, path)
  }
})

test('with a key: what is not there is 404, a wrong method 405, and both say so', async (t) => {
  const api = await testApi(t)
  t.match(await api.json('/api/v1/nothing'), { code: 'not_found', status: 404 })
  const wrong = await api.get('/api/v1/gpus', { method: 'DELETE' })
  t.same([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD'])
  t.equal((await api.get('/api/v1/gpus', { method: 'HEAD' })).status, 200)
  t.match(await api.json('/api/v1/gpus/%E0%A4%A'), { code: 'bad_request' })
})

test('a body that nobody takes is not read: without a key and with one, whatever the method', async (t) => {
  const api = await testApi(t)
  const body = '{"never":'
  const headers = { 'content-type': 'application/json' }
  t.equal((await fetch(`${api.url}/nothing`, { method: 'POST', body, headers })).status, 401)
  t.match(await api.json('/nothing', { method: 'POST', body, headers }), { status: 404 })
  t.match(await api.json('/api/v1/gpus', { method: 'QUERY' }), { status: 405, code: 'method_not_allowed' })
  t.equal((await fetch(`${api.url}/api/v1/gpus`, { method: 'OPTIONS' })).status, 204)
})

test('a line for each request when it is asked for: who, what and how long, and no query, header or key', async (t) => {
  const asked = async (env: Record<string, string>) => {
    const api = await testApi(t, { env })
    await api.get('/api/v1/transfers?site=SECRET&limit=7', { headers: { cookie: 'SECRET', 'x-request-id': 'seen-1' } })
    await fetch(`${api.url}/api/v1/gpus?u=name&p=SECRET`, { headers: { 'x-api-key': 'SECRET' } })
    t.notMatch(api.log.join(), new RegExp(`SECRET|${testKey}`))
    return api.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'answered')
  }
  const [first, second] = await asked({ ACCESS_LOG: 'true' })
  const line = { level: 'info', request: 'seen-1', method: 'GET', path: '/api/v1/transfers', status: 200, ms: Number }
  t.match(first, { ...line, address: '127.0.0.1', key: /^key-/ })
  t.match(second, { level: 'info', path: '/api/v1/gpus', status: 401, key: null })
  t.match((await asked({}))[0], { level: 'debug' })
})

test('a reader too many of the live stream is told to come back', async (t) => {
  const api = await testApi(t, { limits: { streamsMax: 1 } })
  const opened = await api.get('/api/v1/stream')
  const refused = await api.get('/api/v1/stream')
  t.same([opened.status, refused.status, refused.headers.get('retry-after')], [200, 429, '10'])
  await opened.body?.cancel()
})

test('requests are counted by route, never by what a client invents', async (t) => {
  const api = await testApi(t)
  for (const path of ['/api/v1/gpus/a', '/api/v1/gpus/b', '/api/v1/invented']) await (await api.get(path)).text()
  const text = await (await fetch(`${api.url}/metrics`)).text()
  t.match(text, /http_requests_total\{[^}]*route="\/api\/v1\/gpus\/\{id\}"[^}]*status="404"[^}]*\} 2/)
  t.match(text, /http_requests_total\{[^}]*route="none"[^}]*status="404"[^}]*\} 1/)
  t.notMatch(text, /invented/)
})

test('an error of ours says nothing about itself but its id', async (t) => {
  const api = await testApi(t)
  mkdirSync(join(api.dataDir, 'store'))
  writeFileSync(
    join(api.dataDir, 'store', 'penstock.db'),
    'this is no database, and it is long enough to be seen as one '.repeat(20),
  )
  const answer = await api.get('/api/v1/gpus', { headers: { 'x-request-id': 'seen-7' } })
  t.equal(answer.status, 500)
  t.equal(answer.headers.get('x-request-id'), 'seen-7')
  const text = await answer.text()
  t.match(text, /seen-7/)
  t.notMatch(text, /penstock\.db|sqlite/i)
  t.ok(
    api.log.some((line) => line.includes('seen-7') && line.includes('penstock.db')),
    'the log has it',
  )
  const pipeline = await api.json<any>('/api/v1/pipeline')
  t.same([pipeline.store.state, pipeline.state], ['down', 'degraded'])
  t.match(pipeline.store.error, /not a database/)
})

test('GET /status is for the other roles: with the SERVICE_TOKEN, or a key', async (t) => {
  const api = await testApi(t, { env: { SERVICE_TOKEN: 'between-roles' } })
  const status = async (token: string) =>
    (await fetch(`${api.url}/status`, { headers: { authorization: `Bearer ${token}` } })).status
  t.same([await status('between-roles'), await status(testKey), await status('wrong')], [200, 200, 401])
  const asked = await fetch(`${api.url}/api/v1/gpus`, { headers: { authorization: 'Bearer between-roles' } })
  t.equal(asked.status, 401, 'and the token is no key')
})
