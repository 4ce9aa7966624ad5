/** Keys over processes: two replicas of the API and a broker behind its token, and `penstock keys` by hand. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as file, test } from 'tap'
import { startCluster, token, until } from './cluster.ts'
import { startPenstock, startRole, temporaryFolder } from './start.ts'

// Two clusters and eight replicas start one after the other, on two shared cores.
file.setTimeout(600_000)

test('what one replica revokes ends at the other, and stays ended; secrets in files are followed', async (t) => {
  const folder = temporaryFolder(t)
  const [keyFile, tokenFile] = [join(folder, 'api-key'), join(folder, 'token')]
  writeFileSync(keyFile, 'the-first-key\n')
  writeFileSync(tokenFile, 'old-token\n')
  const broker = await startRole(t, 'broker', { env: { SERVICE_TOKEN_FILE: tokenFile } })
  const env = { MSG_QUEUE_ADDR: broker.url, SERVICE_TOKEN_FILE: tokenFile, API_KEY_FILE: keyFile }
  const [here, there] = await Promise.all([startRole(t, 'api', { env }), startRole(t, 'api', { env })])

  const keys = async (args: readonly string[], key = 'the-first-key') => {
    const own = { API_URL: here.url, API_KEY: key }
    const { exited, stdout, stderr } = startPenstock(t, ['keys', ...args], { env: own })
    const { code } = await exited
    return { code, out: stdout.join('\n'), err: stderr.join('\n') }
  }
  const statusAt = async (api: { url: string }, key: string, path = '/api/v1/gpus') =>
    (await fetch(api.url + path, { headers: { 'x-api-key': key } })).status
  /** Asks until it is so; the test's own time-out ends it. */
  const becomes = async (ask: () => Promise<number>, status: number): Promise<number> => {
    const startedMs = performance.now()
    while ((await ask()) !== status) await new Promise((resolve) => setTimeout(resolve, 20))
    return performance.now() - startedMs
  }

  const made = await keys(['create', 'grafana', '--scopes', 'read', '--expires', '90d'])
  t.equal(made.code, 0, made.err)
  const key = made.out
  t.match(key, /^pnk_[0-9A-Za-z]{10}_[0-9A-Za-z]{46}$/)
  t.match(made.err, /grafana +live +read/)
  const id = key.split('_')[1] as string
  t.equal(await statusAt(here, key), 200, 'at once where it was made')
  await becomes(() => statusAt(there, key), 200)
  t.match((await keys(['list'])).out, new RegExp(`^${id} +grafana +live`, 'm'))

  const stream = await fetch(`${there.url}/api/v1/stream`, { headers: { 'x-api-key': key } })
  const streamEnds = stream.text().catch(() => 'cut')
  t.equal((await keys(['revoke', id])).code, 0)
  t.equal(await statusAt(here, key), 401, 'from the answer on')
  const ms = await becomes(() => statusAt(there, key), 401)
  t.comment(`the other replica knew after ${ms.toFixed(0)} ms`)
  t.type(await streamEnds, 'string', 'the stream that was opened with it has ended')

  // Ready means that the topic has been read to its end.
  const later = await startRole(t, 'api', { env })
  t.equal(await statusAt(later, key), 401, 'a replica that starts later knows it, too')
  t.match(await later.waitFor(/the keys are known/), /"keys":1/)

  // Both sides take the new token before one sends it; the keys follow on.
  writeFileSync(tokenFile, 'new-token,old-token\n')
  writeFileSync(keyFile, 'the-second-key\n')
  const direct = (token: string) => fetch(`${broker.url}/topics`, { headers: { authorization: `Bearer ${token}` } })
  // Each side looks at its file once a second, and the API may be the first to send what the broker has not seen.
  await becomes(async () => (await direct('new-token')).status, 200)
  await becomes(() => statusAt(here, 'the-second-key'), 200)
  t.equal(await statusAt(here, 'the-first-key'), 401)
  const second = await keys(['create', 'n', '--scopes', 'read'], 'the-second-key')
  t.equal(second.code, 0, second.err)
  t.same([(await direct('new-token')).status, (await direct('old-token')).status], [200, 200])
  t.equal((await direct(second.out)).status, 401, 'a key of the API is no token of the broker')
  t.match(await keys(['list'], 'the-first-key'), { code: 1, err: /wants a key of the scope admin: set API_KEY/ })
  t.match(await keys(['create', 'x'], 'the-second-key'), { code: 2, err: /create wants --scopes/ })
  t.match(await keys(['revoke', id, '--grace', '1h'], 'the-second-key'), { code: 2, err: /--grace is for rotate/ })
  for (const { stdout } of [here, there, broker]) {
    t.notMatch(stdout.join('\n'), /the-(first|second)-key|(old|new)-token|pnk_/, 'no log has a secret')
  }
})

test('the API starts without its broker, and knows the keys when it comes', async (t) => {
  const api = await startRole(t, 'api', { env: { API_KEY: 'the-first-key', MSG_QUEUE_ADDR: 'http://127.0.0.1:9' } })
  await api.waitFor(/only the keys of API_KEY work/)
  const answer = await fetch(`${api.url}/api/v1/gpus`, { headers: { 'x-api-key': 'the-first-key' } })
  t.equal(answer.status, 200)
})

test('a revocation on a stand-in counts: a replica that cannot read all logs lets no key in', async (t) => {
  const { brokers, proxy, client, restart } = await startCluster(t)
  const admin = 'the-first-key'
  const env = { API_KEY: admin, SERVICE_TOKEN: token, MSG_QUEUE_ADDR: proxy.url, HOST: '127.0.0.1' }
  const here = await startRole(t, 'api', { env })
  const ask = (api: { url: string }, path: string, key: string, init: RequestInit = {}) =>
    fetch(api.url + path, { ...init, headers: { 'x-api-key': key, 'content-type': 'application/json' } })
  const make = async () => {
    const body = JSON.stringify({ name: 'n', scopes: ['read'] })
    const answer = await ask(here, '/api/v1/keys', admin, { method: 'POST', body })
    return (await answer.json()) as { key: { id: string }; secret: string }
  }
  const statusAt = async (api: { url: string }, key: string) => (await ask(api, '/api/v1/gpus', key)).status

  const first = await make()
  const logs = (await client.topics()).find(({ name }) => name === '_keys')?.logs ?? []
  const owner = logs.find(({ next }) => next > 0)?.broker as number
  t.equal(logs.length, 2, 'every broker has the topic')
  await brokers[owner]?.kill('SIGKILL')
  const body = JSON.stringify({})
  const revoked = await ask(here, `/api/v1/keys/${first.key.id}/revoke`, admin, { method: 'POST', body })
  t.equal(revoked.status, 200, 'the stand-in takes it')
  t.equal(await statusAt(here, first.secret), 401)
  const second = await make()
  t.equal(await statusAt(here, second.secret), 200)

  const there = await startRole(t, 'api', { env })
  t.same([await statusAt(there, first.secret), await statusAt(there, second.secret)], [503, 503])
  t.equal(await statusAt(there, admin), 200)
  await restart(owner)
  await until(async () => (await statusAt(there, second.secret)) === 200)
  t.equal(await statusAt(there, first.secret), 401)
})
