/** Attacks by requests that are well made: each is tried, and found closed. */

import crypto from 'node:crypto'
import { request } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { t as file, type Test, test } from 'tap'
import { gzipSync } from 'node:zlib'
import { tokenGuard } from '#lib/auth'
import { testApi, testKey } from '#test/api'
import { RawClient } from '#test/http'

file.setTimeout(300_000)

type Headers = Readonly<Record<string, string>>

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Headers = {}): RequestInit => ({
  method: 'POST',
  body,
  headers: { 'content-type': 'application/json', ...headers },
})

/** What the compared texts were, for each comparison in constant time while `work` runs. */
async function comparisons(work: () => unknown): Promise<readonly (readonly [number, number])[]> {
  const seen: [number, number][] = []
  const { timingSafeEqual } = crypto
  crypto.timingSafeEqual = (a, b) => {
    seen.push([a.byteLength, b.byteLength])
    return timingSafeEqual(a, b)
  }
  syncBuiltinESMExports()
  try {
    await work()
  } finally {
    crypto.timingSafeEqual = timingSafeEqual
    syncBuiltinESMExports()
  }
  return seen
}

test('timing: how near a guess is changes neither what is compared nor how often', async (t) => {
  const { url } = await testApi(t, { env: { API_KEY: `${testKey},another-key-1` } })
  const guesses = ['x', testKey.slice(0, -1), `${testKey}x`, 'z'.repeat(4_000), 'another-key-2']
  const all = []
  for (const guess of guesses) {
    all.push(
      await comparisons(async () => (await fetch(`${url}/api/v1/gpus`, { headers: { 'x-api-key': guess } })).text()),
    )
  }
  for (const [index, each] of all.entries()) {
    t.ok(each.length > 0, 'keys are compared in constant time')
    t.same(each, all[0], `${guesses[index]?.slice(0, 20)}: as every other guess`)
    t.ok(
      each.every(([a, b]) => a === 32 && b === 32),
      'by digests, which have one length',
    )
  }
  const guard = tokenGuard(() => ['the-service-token'])
  const asked = (token: string) =>
    comparisons(() => t.throws(() => guard({ header: () => `Bearer ${token}` } as never)))
  t.same(await asked('x'), await asked('the-service-tokex'))
})

test('key guessing: another source in X-Forwarded-For, or another header, gives no further tries', async (t) => {
  const { url } = await testApi(t)
  const statuses = new Set<number>()
  for (let tries = 0; tries < 80; tries++) {
    const by: Headers = tries % 2 === 0 ? { 'x-api-key': `guess-${tries}` } : { authorization: `Bearer guess-${tries}` }
    const headers = {
      ...by,
      'x-forwarded-for': `10.0.0.${tries}`,
      'x-real-ip': `10.0.0.${tries}`,
      forwarded: `for=${tries}`,
    }
    const answer = await fetch(`${url}/api/v1/gpus`, { headers })
    await answer.text()
    if (tries >= 61) statuses.add(answer.status)
  }
  t.same([...statuses], [429])
})

test('mass assignment: members that a body may not have are refused and named, not passed on', async (t) => {
  const api = await testApi(t)
  const record = { metric: 'DCGM_FI_DEV_GPU_TEMP', value: 1, hostname: 'h', gpu_id: '0' }
  for (const name of ['kind', 'id', 'topic', 'partition', 'scopes', 'isAdmin', 'toString', 'hasOwnProperty']) {
    const answer = await api.json('/telemetry', post(JSON.stringify({ ...record, [name]: 'admin' })))
    t.match(answer, { status: 400, code: 'bad_record', detail: new RegExp(name) }, name)
  }
  for (const path of ['/api/v1/gpus?scope=admin', '/api/v1/dead?topic=telemetry&admin=1']) {
    t.match(await api.json(path), { status: 400, code: 'unknown_parameter' }, path)
  }
})

test('prototype pollution: __proto__ and constructor reach no object', async (t) => {
  const api = await testApi(t)
  const bodies = [
    '{"__proto__":{"polluted":1},"metric":"m","value":1}',
    '{"metric":"m","value":1,"labels":{"__proto__":{"polluted":1}}}',
    '{"metric":"m","value":1,"labels":{"constructor":{"prototype":{"polluted":1}}}}',
    '{"metric":"m","value":1,"\\u005f\\u005fproto__":{"polluted":1}}',
    '[{"metric":"m","value":1},{"constructor":{"prototype":{"polluted":1}}}]',
  ]
  for (const body of bodies) t.match(await api.json('/telemetry', post(body)), { status: 400 }, body)
  const record = '{"metric":"m","uuid":"u","value":1,"labels":{"__proto__":"a","constructor":"b"}}'
  t.not((await api.json<any>('/telemetry', post(record))).status, 400, 'the names of labels are free')
  const queries = ['__proto__[polluted]=1', '__proto__.polluted=1', 'constructor[prototype][polluted]=1', '__proto__=1']
  for (const query of queries)
    t.match(await api.json(`/api/v1/gpus?${query}`), { status: 400, code: 'unknown_parameter' })
  for (const id of ['__proto__', 'constructor', 'toString']) {
    t.match(await api.json(`/api/v1/gpus/${id}`), { status: 404, code: 'unknown_gpu' })
    t.match(await api.json(`/api/v1/gpus/${id}/telemetry?metric=${id}`), { status: 404 })
  }
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('bombs: a compressed body, one that is nested deep, and one of many members do no harm', async (t) => {
  const api = await testApi(t)
  const bomb = gzipSync(Buffer.alloc(8 * 2 ** 20, '['))
  const refused = async (init: RequestInit, what: string) => {
    const { status } = await api.get('/telemetry', init)
    t.ok(status >= 400 && status < 500, `${what}: ${status}`)
  }
  for (const encoding of ['gzip', 'gzip, gzip', 'deflate', 'br']) {
    await refused(post(bomb, { 'content-encoding': encoding }), encoding)
  }
  const deep = await api.json('/telemetry', post('['.repeat(1_000_000)))
  t.match(deep, { status: 400, detail: /deeper than 32/ }, 'found before it is parsed, which takes a second')
  await refused(post('['.repeat(500_000) + ']'.repeat(500_000)), 'arrays in arrays')
  await refused(post('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)), 'objects in objects')
  await refused(post(`{${Array.from({ length: 60_000 }, (_, at) => `"m${at}":1`).join()}}`), 'many members')
  await refused({ headers: {} }, 'a GET where nothing is read')
  t.equal((await api.get('/health')).status, 200)
  const flat = JSON.stringify({ metric: 'm', value: 1, hostname: '[[[{{{"\\'.repeat(20), gpu_id: '0' })
  t.match(
    await api.json('/telemetry', post(flat)),
    { status: 503 },
    'brackets in a text are no nesting: no broker is here',
  )
})

test('CORS: no origin but a listed one may read an answer, whatever it is called; and none with credentials', async (t) => {
  const listed = 'https://grafana.example.org'
  const api = await testApi(t, { env: { CORS_ORIGINS: listed } })
  const others = [
    'null',
    'https://evil.example',
    'http://grafana.example.org',
    'https://grafana.example.org.evil.example',
    'https://evil-grafana.example.org',
    'https://grafana.example.org:8443',
    'HTTPS://GRAFANA.EXAMPLE.ORG',
    api.url,
  ]
  for (const origin of others) {
    for (const init of [{}, { method: 'OPTIONS' }]) {
      const headers = { origin, 'access-control-request-method': 'GET' }
      const answer = await api.get('/api/v1/gpus', { ...init, headers })
      t.equal(answer.headers.get('access-control-allow-origin'), null, origin)
      t.equal(answer.headers.get('access-control-allow-credentials'), null)
    }
  }
  const answer = await api.get('/api/v1/gpus', { headers: { origin: listed } })
  t.equal(answer.headers.get('access-control-allow-origin'), listed)
  t.equal(answer.headers.get('access-control-allow-credentials'), null)
  t.match(answer.headers.get('vary'), /origin/i, 'and no cache gives it to another')
  t.match(answer.headers.get('access-control-expose-headers'), /ratelimit-policy/)
})

test('DNS rebinding: without keys only the names of this machine are answered', async (t) => {
  const api = await testApi(t, { env: { API_KEY: '' } })
  const hosts = [
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil.example:80',
    '0x7f.1',
    '[::2]',
  ]
  for (const host of hosts) t.equal(await statusBy(api.url, host), 401, host)
  t.equal(await statusBy(api.url, `localhost:${api.port}`), 200)
  const client = new RawClient(t, api.port)
  await client.write('GET http://evil.example/api/v1/gpus HTTP/1.1\r\nHost: evil.example\r\n\r\n')
  t.equal((await client.answer()).status, 401)
})

function statusBy(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/api/v1/gpus`, { headers: { host } }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.on('error', reject).end()
  })
}

test('cache poisoning: answers by a key are kept by nobody, and no header of a proxy gets into one', async (t) => {
  const api = await testApi(t)
  for (const path of [
    '/api/v1/gpus',
    '/api/v1/metrics',
    '/api/v1/none',
    '/api/v1/gpus/none',
    '/openapi.json',
    '/swagger/',
  ]) {
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'gopher', 'x-host': 'evil.example' }
    const answer = await api.get(path, { headers })
    t.notMatch(JSON.stringify([...answer.headers]) + (await answer.text()), /evil\.example|gopher/, path)
    // What is tagged may be kept by who asked for it, and by nobody else.
    const kept = path === '/api/v1/metrics' ? 'private, no-cache' : 'no-store'
    if (path.startsWith('/api')) t.equal(answer.headers.get('cache-control'), kept, path)
  }
  const refused = await fetch(`${api.url}/api/v1/gpus`)
  t.equal(refused.headers.get('cache-control'), 'no-store', 'nor is a refusal')
})

test('nothing is told of what runs here: no stack, no path of a file, no name of a program', async (t) => {
  const api = await testApi(t)
  const asks: [string, RequestInit?][] = [
    ['/telemetry', post('{"metric":')],
    ['/telemetry', post('', { 'content-type': 'application/json' })],
    ['/telemetry', post('x', { 'content-type': 'text/xml' })],
    ['/telemetry', post('x', { 'content-type': 'application/json; charset=x\u00e9' })],
    ['/api/v1/gpus/%ff'],
    ['/api/v1/gpus?start=%00'],
    ['/api/v1/transfers?cursor=eyJ4Ijp7fX0'],
    ["/api/v1/transfers?site=';DROP%20TABLE%20points--"],
  ]
  for (const [path, init] of asks) {
    const answer = await api.get(path, init)
    const text = await answer.text()
    t.ok(answer.status < 500, `${path}: ${answer.status}`)
    t.notMatch(text, /node_modules|\.ts:|at .*\(|sqlite|fastify|FST_/i, path)
    for (const name of ['server', 'x-powered-by']) t.equal(answer.headers.get(name), null)
  }
})

test('Swagger UI: its page runs only its own files, and may be put into no frame', async (t: Test) => {
  const { url } = await testApi(t)
  const answer = await fetch(`${url}/swagger/`)
  const policy = new Map(
    (answer.headers.get('content-security-policy') ?? '').split(';').map((each) => {
      const [name = '', ...values] = each.trim().split(' ')
      return [name, values.join(' ')]
    }),
  )
  t.equal(policy.get('script-src'), "'self'", 'no script in the page, none from elsewhere, no eval')
  t.equal(policy.get('connect-src'), "'self'")
  t.equal(policy.get('object-src'), "'none'")
  t.equal(policy.get('base-uri'), "'none'")
  t.equal(policy.get('frame-ancestors'), "'none'")
  t.match(answer.headers.get('x-frame-options'), /DENY|SAMEORIGIN/)
  t.equal(answer.headers.get('referrer-policy'), 'no-referrer')
  t.equal(answer.headers.get('cross-origin-opener-policy'), 'same-origin')
  t.notMatch(await answer.text(), /<script>|onload=|style=/)
})
