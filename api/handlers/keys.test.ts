/** `/keys` through a real server and a real broker: made, listed, rotated, ended; and what somebody would try. */

import { Compile } from 'typebox/compile'
import { t as root, test } from 'tap'
import { logTo } from '#lib/log'
import { gpuRecord } from '#store/samples'
import { startBroker } from '#test/broker'
import { stubBroker, type TestApi, testApi, testKey } from '#test/api'
import { contract } from '../contract.ts'
import { auditLog } from '../server/audit.ts'
import { newKeyId, newKeyText } from '../keys/text.ts'

const nowMs = Date.parse('2026-02-01T00:00:00Z')
const json = { 'content-type': 'application/json' }

const broker = await startBroker(root)
const env = { MSG_QUEUE_ADDR: broker.url }
const api = await testApi(root, { env, nowMs, records: [gpuRecord()] })

function post(path: string, body?: unknown, key = testKey, to: TestApi = api): Promise<Response> {
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
  return to.get(path, { method: 'POST', ...sent, headers: { 'x-api-key': key, ...(body === undefined ? {} : json) } })
}

const told = async (answer: Promise<Response>): Promise<any> => (await answer).json()
const make = (body: object, to = api) => told(post('/api/v1/keys', { name: 'test', ...body }, testKey, to))
const statusOf = async (path: string, key: string, to = api) =>
  (await to.get(path, { headers: { 'x-api-key': key } })).status

test('a key is made, works, is listed without its secret, and is revoked', async (t) => {
  const answer = await post('/api/v1/keys', { name: 'grafana', scopes: ['read'], expires: '90d' })
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('cache-control'), 'no-store')
  const made = (await answer.json()) as any
  t.same(Compile(contract.createKey.answer).Errors(made), [])
  const { key, secret } = made
  t.match(key, { name: 'grafana', state: 'live', expires: '2026-05-02T00:00:00.000Z', last_used: null, hosts: null })
  t.match(key.created_by, /^key-[0-9a-f]{8}$/)
  t.equal(await statusOf('/api/v1/gpus', secret), 200)
  t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { authorization: `Bearer ${secret}` } })).status, 200)

  const listed = await api.get('/api/v1/keys')
  const text = await listed.text()
  t.notMatch(text, secret.slice(15, 30), 'no answer has the secret again')
  const list = JSON.parse(text)
  t.same(Compile(contract.listKeys.answer).Errors(list), [])
  t.match(
    list.keys.find((each: any) => each.id === key.id),
    { last_used: '2026-02-01T00:00:00.000Z' },
  )
  const log = broker.broker.topic('_keys')
  t.match(log?.options, { partitions: 1, durability: 'fsync', retentionAgeMs: Infinity, retentionBytes: Infinity })
  t.notMatch(api.log.join(''), secret.slice(15, 30), 'nor has the log')

  t.match(await told(post(`/api/v1/keys/${key.id}/revoke`)), { key: { state: 'revoked' } })
  t.equal(await statusOf('/api/v1/gpus', secret), 401)
  const end = log?.logs[0]?.end
  t.match(await told(post(`/api/v1/keys/${key.id}/revoke`)), { key: { state: 'revoked' } }, 'once more changes nothing')
  t.equal(log?.logs[0]?.end, end)
  t.match(await told(post(`/api/v1/keys/${key.id}/rotate`)), { status: 409, code: 'key_ended' })
  t.match(await told(post(`/api/v1/keys/${key.id}/expire?at=1h`)), { status: 409, code: 'key_ended' })
})

test('rotated: two secrets for a while, never three', async (t) => {
  const { key, secret: first } = await make({ scopes: ['read'] })
  const { secret: second, key: after } = await told(post(`/api/v1/keys/${key.id}/rotate?grace=1h`))
  t.match(after, { previous_until: '2026-02-01T01:00:00.000Z', rotated: /2026-02-01T00:00:00/ })
  t.same([await statusOf('/api/v1/gpus', first), await statusOf('/api/v1/gpus', second)], [200, 200])
  const { secret: third } = await told(post(`/api/v1/keys/${key.id}/rotate`))
  const works = await Promise.all([first, second, third].map((secret) => statusOf('/api/v1/gpus', secret)))
  t.same(works, [401, 200, 200])
  await told(post(`/api/v1/keys/${key.id}/rotate?grace=0`))
  const ended = await Promise.all([second, third].map((secret) => statusOf('/api/v1/gpus', secret)))
  t.same(ended, [401, 401], 'without grace at once')
})

test('expired: at a moment that can be made earlier, and not later', async (t) => {
  const { key, secret } = await make({ scopes: ['read'], expires: '2026-02-02T00:00:00Z' })
  t.match(await told(post(`/api/v1/keys/${key.id}/expire?at=30d`)), { key: { expires: '2026-02-02T00:00:00.000Z' } })
  t.match(await told(post(`/api/v1/keys/${key.id}/expire?at=1h`)), { key: { expires: '2026-02-01T01:00:00.000Z' } })
  t.equal(await statusOf('/api/v1/gpus', secret), 200)
  t.match(await told(post(`/api/v1/keys/${key.id}/expire?at=now`)), { key: { state: 'expired' } })
  t.equal(await statusOf('/api/v1/gpus', secret), 401)
})

test('pages of keys follow one another, and can be those of one state', async (t) => {
  const fresh = await testApi(t, { env: { MSG_QUEUE_ADDR: (await startBroker(t)).url } })
  t.match(await fresh.json('/api/v1/keys'), { keys: [], truncated: false, cursor: null })
  const ids: string[] = []
  for (const name of ['a', 'b', 'c']) ids.push((await make({ name, scopes: ['read'] }, fresh)).key.id)
  await post(`/api/v1/keys/${ids[1]}/revoke`, undefined, testKey, fresh)
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: any = await fresh.json(`/api/v1/keys?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
    seen.push(...page.keys.map((key: any) => key.id))
    cursor = page.cursor
  }
  t.same(seen.toSorted(), ids.toSorted())
  t.equal(new Set(seen).size, 3)
  const ofState = async (state: string) =>
    (await fresh.json<any>(`/api/v1/keys?state=${state}`)).keys.map((key: any) => key.id)
  t.same((await ofState('revoked')) as string[], [ids[1]])
  t.equal((await ofState('live')).length, 2)
})

test('what is asked wrongly is told with what would be right', async (t) => {
  const { key } = await make({ scopes: ['read'] })
  const wrong: readonly (readonly [path: string, body: unknown, code: string, detail: RegExp])[] = [
    ['/api/v1/keys', { name: 'x' }, 'bad_request', /scopes is missing/],
    ['/api/v1/keys', { name: '', scopes: ['read'] }, 'bad_request', /name/],
    ['/api/v1/keys', { name: 'a\nb', scopes: ['read'] }, 'bad_request', /name/],
    ['/api/v1/keys', { name: 'x', scopes: [] }, 'bad_request', /scopes/],
    ['/api/v1/keys', { name: 'x', scopes: ['root'] }, 'bad_request', /scopes/],
    ['/api/v1/keys', { name: 'x', scopes: ['read'], hosts: [] }, 'bad_request', /hosts/],
    [
      '/api/v1/keys',
      { name: 'x', scopes: ['read'], expires: 'soon' },
      'bad_parameter',
      /expires=soon: want a time from now/,
    ],
    ['/api/v1/keys', { name: 'x', scopes: ['read'], expires: '-1h' }, 'bad_parameter', /expires=-1h/],
    ['/api/v1/keys', { name: 'x', scopes: ['read'], expires: '99999d' }, 'bad_parameter', /within ten years/],
    ['/api/v1/keys', { name: 'x', scopes: ['read'], topics: ['_keys'] }, 'bad_request', /no topic for keys/],
    ['/api/v1/keys', { name: 'x', scopes: ['admin'], hosts: ['h'] }, 'bad_request', /cannot be bound/],
    ['/api/v1/keys', [], 'bad_request', /./],
    ['/api/v1/keys', '{"name":', 'bad_request', /./],
    [`/api/v1/keys/${key.id}/rotate?grace=91d`, undefined, 'bad_parameter', /grace=91d: want a duration from 0 to 90d/],
    [`/api/v1/keys/${key.id}/rotate?garce=1d`, undefined, 'unknown_parameter', /did you mean grace/],
    [`/api/v1/keys/${key.id}/expire`, undefined, 'missing_parameter', /at is missing/],
    [`/api/v1/keys/${key.id}/expire?at=-1h`, undefined, 'bad_parameter', /at=-1h/],
    ['/api/v1/keys/none/revoke', undefined, 'unknown_key', /there is no key none/],
    ['/api/v1/keys/__proto__/rotate', undefined, 'unknown_key', /there is no key __proto__/],
  ]
  for (const [path, body, code, detail] of wrong) {
    const answer = await told(post(path, body))
    t.same(answer.code, code, `${path} ${JSON.stringify(body)}`)
    t.match(answer.detail, detail)
  }
  t.match(await api.json('/api/v1/keys?cursor=x'), { code: 'bad_parameter' })
})

test('attack: members that only the server sets are given in the body', async (t) => {
  const members = { id: 'mine', sha256: '0'.repeat(64), state: 'live', created_by: 'root', isAdmin: true, bounds: null }
  for (const [member, value] of Object.entries(members)) {
    const answer = await told(post('/api/v1/keys', { name: 'x', scopes: ['read'], [member]: value }))
    t.match(answer, { status: 400, code: 'bad_request', detail: new RegExp(`${member} is not known`) })
  }
  const raw = '{"name":"x","scopes":["read"],"__proto__":{"scopes":["admin"]}}'
  t.equal((await post('/api/v1/keys', raw)).status, 400)
})

test('attack: a key that may not make keys tries to', async (t) => {
  const { secret, key } = await make({ scopes: ['read', 'produce', 'consume'] })
  const tries: readonly (readonly [path: string, body?: object])[] = [
    ['/api/v1/keys', { name: 'x', scopes: ['admin'] }],
    [`/api/v1/keys/${key.id}/rotate`],
    [`/api/v1/keys/${key.id}/expire?at=1h`],
    [`/api/v1/keys/${key.id}/revoke`],
  ]
  for (const [path, body] of tries) {
    t.match(await told(post(path, body, secret)), { status: 403, code: 'forbidden' }, path)
    t.equal((await fetch(api.url + path, { method: 'POST' })).status, 401, `${path} without a key`)
  }
  t.equal(await statusOf('/api/v1/keys', secret), 403)
  t.equal((await fetch(`${api.url}/api/v1/keys`)).status, 401)
})

test('attack: guessing secrets of a key whose id is known', async (t) => {
  const fresh = await testApi(t, { env, nowMs })
  const { secret, key } = await make({ scopes: ['read'] })
  const answers = new Map<number, number>()
  for (let tried = 0; tried < 65; tried++) {
    const status = await statusOf('/api/v1/gpus', newKeyText(key.id), fresh)
    answers.set(status, (answers.get(status) ?? 0) + 1)
  }
  t.same(
    [...answers.keys()].toSorted((a, b) => a - b),
    [401, 429],
    'first refused, then not listened to',
  )
  t.equal(await statusOf('/api/v1/gpus', secret, fresh), 429, 'nor is it told that the right one was found')
})

test('attack: reading or writing the topic of the keys with a key', async (t) => {
  for (const topic of ['_keys', '_keys.dead']) {
    t.match(await api.json(`/api/v1/dead?topic=${topic}`), { status: 403, code: 'forbidden' })
    t.match(await told(post(`/api/v1/dead/retry?topic=${topic}`, { all: true })), { status: 403 })
    t.match(await told(post(`/api/v1/dead/drop?topic=${topic}`, { all: true })), { status: 403 })
  }
  const own = await testApi(t, { env: { ...env, MSG_QUEUE_TOPIC: '_keys' } })
  t.match(await told(post('/telemetry', { metric: 'x', value: 1, uuid: 'u' }, testKey, own)), { status: 403 })
})

test('every change is accounted for, by whom, and without a secret', async (t) => {
  const { secret, key } = await make({ name: 'audited', scopes: ['read'] })
  await post(`/api/v1/keys/${key.id}/revoke`)
  await post('/api/v1/keys', { name: 'x', scopes: ['admin'] }, secret)
  const lines = api.log.filter((line) => line.includes('"audit":true')).map((line) => JSON.parse(line))
  const of = (operation: string) => lines.filter((line) => line.operation === operation && line.key === key.id)
  t.match(of('createKey'), [{ outcome: 'done', status: 200, granted: { name: 'audited', scopes: ['read'] } }])
  t.match(of('revokeKey'), [
    { outcome: 'done', params: { id: key.id }, by: /^key-/, request: /.+/, address: '127.0.0.1' },
  ])
  t.notMatch(JSON.stringify(lines), secret.slice(15, 30))
  const quiet: string[] = []
  const audit = auditLog(logTo('api', 'error', { write: (line) => void quiet.push(line) }))
  const request = { routeOptions: { config: { operation: 'createKey' } }, key: { id: 'k' } }
  audit(request as never, 200)
  t.match(quiet, [/"audit":true.*"by":"k"/], 'also where only errors are logged')
})

test('a broker that is away: keys of API_KEY work, others are refused, and it says so', async (t) => {
  const alone = await testApi(t)
  t.equal((await fetch(`${alone.url}/ready`)).status, 200)
  t.equal(await statusOf('/api/v1/gpus', testKey, alone), 200)
  const issued = newKeyText(newKeyId())
  t.equal(await statusOf('/api/v1/gpus', issued, alone), 503, 'it may have been revoked, or not')
  t.match(await alone.json('/status'), { keys: { state: 'away', problem: /127\.0\.0\.1:9/ } })
  t.match(await alone.json('/api/v1/keys'), { status: 503, code: 'unavailable' })
  t.match(await make({ scopes: ['read'] }, alone), { status: 503, code: 'unavailable' })
  t.ok(alone.log.some((line) => line.includes('only the keys of API_KEY work')))
  const old = await testApi(t, { env: { MSG_QUEUE_ADDR: (await stubBroker(t)).url } })
  t.match(await old.json('/status'), { keys: { state: 'away' } }, 'so does one that has no such topic')
})

test('without API_KEY this machine may ask, but not with a key that ended', async (t) => {
  const open = await testApi(t, {
    env: { ...env, API_KEY: '' },
    nowMs,
    records: [gpuRecord(), gpuRecord({ uuid: 'GPU-h2', hostname: 'h2' })],
  })
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetch(`${open.url}/api/v1/gpus`, { headers })
    return [answer.status, ((await answer.json()) as any).gpus?.length]
  }
  const { secret, key } = await make({ scopes: ['read'], hosts: ['h2'] })
  t.same(await ask({}), [200, 2])
  t.same(await ask({ 'x-api-key': secret }), [200, 1], 'a key is taken at its word')
  await post(`/api/v1/keys/${key.id}/revoke`, undefined, testKey, open)
  t.same((await ask({ 'x-api-key': secret }))[0], 401)
})
