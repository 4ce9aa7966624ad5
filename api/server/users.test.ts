/** People whom a trusted proxy has let in, and those who say that it has. */

import { request } from 'node:http'
import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import { readSettings, SettingsError } from '#lib/settings'
import { testApi, testKey } from '#test/api'
import { apiSettings, checkUsers } from '../settings.ts'
import { counted, readNetworks } from './networks.ts'

test('addresses and networks', (t) => {
  const networks = readNetworks(['10.0.0.7', '10.1.0.0/16', 'fd00::/8'])
  for (const address of ['10.0.0.7', '::ffff:10.0.0.7', '10.1.255.1', '::FFFF:10.1.0.1', 'fd12::1', 'fd12::1%eth0']) {
    t.equal(networks?.has(address), true, address)
  }
  for (const address of ['10.0.0.8', '10.2.0.1', '::1', 'fe80::1', '', 'x', '10.0.0.7, 10.0.0.8']) {
    t.equal(networks?.has(address), false, address)
  }
  t.equal(readNetworks([])?.has('127.0.0.1'), false)
  for (const wrong of ['x', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'fd00::/129', '10.0.0', '10.0.0.0/-1', '']) {
    t.equal(readNetworks([wrong]), undefined, wrong)
  }
  t.end()
})

test('who has an IPv6 address has a whole network of them, and is counted as one', (t) => {
  const counts: readonly (readonly [string, string])[] = [
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:0002:ffff::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::10.0.0.7', '64:ff9b:0:0::/64'],
  ]
  for (const [address, expected] of counts) t.equal(counted(address), expected, address)
  t.end()
})

test('settings that belong together', (t) => {
  const wrong = (env: Record<string, string>) => {
    try {
      checkUsers(readSettings(apiSettings, { env }))
    } catch (error) {
      if (error instanceof SettingsError) return error.message
      throw error
    }
    return ''
  }
  const sound = {
    TRUSTED_PROXIES: '10.0.0.0/8',
    USER_HEADER: 'X-User',
    USER_SCOPES: 'ann=admin, b=read+produce, *=read',
  }
  t.equal(wrong({}), '')
  t.equal(wrong(sound), '')
  t.match(wrong({ ...sound, TRUSTED_PROXIES: '' }), /USER_HEADER=X-User: want TRUSTED_PROXIES beside it/)
  t.match(wrong({ ...sound, USER_SCOPES: '' }), /want USER_SCOPES beside it/)
  t.match(wrong({ ...sound, USER_HEADER: '' }), /USER_SCOPES: want USER_HEADER/)
  t.match(wrong({ TRUST_FORWARDED: 'true' }), /TRUST_FORWARDED=true: want TRUSTED_PROXIES/)
  t.match(wrong({ ...sound, TRUSTED_PROXIES: 'proxy' }), /TRUSTED_PROXIES=proxy: want addresses or networks/)
  t.match(wrong({ ...sound, USER_SCOPES: 'ann=root' }), /USER_SCOPES: ann=root: "root" is no scope/)
  t.match(wrong({ ...sound, USER_SCOPES: 'ann' }), /USER_SCOPES=ann: want user=scope pairs/)
  t.match(wrong({ ...sound, USER_SCOPES: 'ann=read,ann=admin' }), /ann is named twice/)
  t.end()
})

const users = { USER_HEADER: 'X-Forwarded-User', USER_SCOPES: 'ann=admin,bob=read' }

test('a user of a trusted proxy may do what the settings say', async (t) => {
  const api = await testApi(t, { env: { ...users, TRUSTED_PROXIES: '127.0.0.1' }, records: [gpuRecord()] })
  const ask = async (user: string, path = '/api/v1/gpus', init: RequestInit = {}) => {
    const headers = { 'x-forwarded-user': user, ...(init.headers as object) }
    const answer = await fetch(api.url + path, { ...init, headers })
    return [answer.status, ((await answer.json()) as { detail?: string }).detail ?? '']
  }
  t.equal((await ask('bob'))[0], 200)
  t.match(await ask('bob', '/api/v1/keys'), [403, 'user bob has not the scope admin'])
  t.match(await ask('ann', '/api/v1/keys'), [503, /the keys are not known/])
  t.match(await ask('eve'), [403, 'user eve has not the scope read'], 'who is not listed may do nothing')
  for (const wrong of ['ann, bob', ' ', 'x'.repeat(300)]) t.equal((await ask(wrong))[0], 401, wrong.slice(0, 9))
  t.equal((await fetch(`${api.url}/api/v1/gpus`)).status, 401, 'and who is not named is nobody')

  // A page of elsewhere makes the browser of ann ask: the proxy adds her name, and the browser says whose page it was.
  const drop = { method: 'POST', body: '{"all":true}', headers: { 'content-type': 'application/json' } }
  const forged: readonly Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]
  for (const headers of forged) {
    const answer = await ask('ann', '/api/v1/dead/drop', { ...drop, headers: { ...drop.headers, ...headers } })
    t.match(answer, [403, /a page of another host may not change anything/], JSON.stringify(headers))
  }
  for (const headers of [
    {},
    { origin: api.url },
    { origin: 'https://fleet.example', 'sec-fetch-site': 'same-origin' },
  ]) {
    t.equal((await ask('ann', '/api/v1/dead/drop', { ...drop, headers: { ...drop.headers, ...headers } }))[0], 503)
  }
  const lines = api.log.filter((line) => line.includes('"audit":true')).map((line) => JSON.parse(line))
  t.match(lines[0], { by: 'user:bob', operation: 'listKeys', outcome: 'refused', status: 403 })
})

test('attack: naming oneself in the header, from an address that is not the proxy', async (t) => {
  for (const env of [users, {}]) {
    const proxies: Record<string, string> = 'USER_HEADER' in env ? { TRUSTED_PROXIES: '10.9.9.9' } : {}
    const api = await testApi(t, { env: { ...env, ...proxies } })
    const headers = { 'x-forwarded-user': 'ann', 'x-forwarded-for': '10.9.9.9', forwarded: 'for=10.9.9.9' }
    t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers })).status, 401)
    t.equal((await fetch(`${api.url}/api/v1/gpus`, { headers: { ...headers, 'x-api-key': testKey } })).status, 200)
  }
})

test('behind a proxy that names its users this machine may not ask without a name', async (t) => {
  const api = await testApi(t, { env: { ...users, TRUSTED_PROXIES: '127.0.0.1', API_KEY: '' } })
  t.equal((await fetch(`${api.url}/api/v1/gpus`)).status, 401)
})

test('where a client is: from a trusted proxy only', async (t) => {
  const failuresOf = async (env: Record<string, string>, addressOf: (nth: number) => string) => {
    const api = await testApi(t, { env })
    const statuses = new Set<number>()
    for (let nth = 0; nth < 65; nth++) {
      const headers = { 'x-api-key': 'wrong-key', 'x-forwarded-for': addressOf(nth) }
      statuses.add((await fetch(`${api.url}/api/v1/gpus`, { headers })).status)
    }
    return [...statuses]
  }
  const each = (nth: number) => `203.0.113.${nth}`
  t.same(await failuresOf({}, each), [401, 429], 'attack: an invented address for each guess')
  t.same(await failuresOf({ TRUSTED_PROXIES: '127.0.0.1' }, each), [401, 429], 'not unless told')
  const forwarded = { TRUSTED_PROXIES: '127.0.0.1', TRUST_FORWARDED: 'true' }
  t.same(await failuresOf(forwarded, each), [401], 'clients behind a proxy do not lock one another out')
  t.same(
    await failuresOf(forwarded, (nth) => `203.0.113.${nth}, 198.51.100.1`),
    [401, 429],
    'attack: an address before the real one',
  )
})

test('attack: a name pointed here, with the header of a proxy that says otherwise', async (t) => {
  const env = { API_KEY: '', TRUSTED_PROXIES: '127.0.0.1', TRUST_FORWARDED: 'true' }
  const api = await testApi(t, { env })
  const status = await new Promise((resolve, reject) => {
    const headers = { host: 'evil.example', 'x-forwarded-host': 'localhost' }
    request(`${api.url}/api/v1/gpus`, { headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
      .on('error', reject)
      .end()
  })
  t.equal(status, 401)
})
