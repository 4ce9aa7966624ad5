/** The whole pipeline by TLS with client certificates, and certificates of another authority put in while it runs. */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { test } from 'tap'
import { fetchOf } from '#lib/dial'
import { openTls } from '#lib/tls'
import { Client } from '#wire/client'
import { bundle, newAuthority, replace } from './certificates.ts'
import { token, until } from './cluster.ts'
import { startPenstock, startRole, temporaryFolder } from './start.ts'
import { skipWithout, tools } from './tools.ts'

const key = 'a-key-of-the-tls-test'

test('roles by mTLS, certificates renewed while records flow', { skip: skipWithout(tools.openssl) }, async (t) => {
  const folder = temporaryFolder(t)
  const [first, next] = [newAuthority(t, 'first'), newAuthority(t, 'next')]
  const authorities = bundle(join(folder, 'ca.pem'), first, next)
  const role = first.sign(folder, 'role')
  const mine = first.sign(folder, 'test')
  const log = { info: () => {}, error: () => {} } as never
  const sender = async (own: { readonly cert: string; readonly key: string }) => {
    const tls = openTls({ tlsCa: authorities, tlsClientCert: own.cert, tlsClientKey: own.key }, { log })
    t.teardown(() => tls.stop())
    return (await fetchOf(tls.client)) as typeof fetch
  }
  const send = await sender(mine)
  // Whoever looks at `/status` may need a new connection at any time: by an authority that stays trusted throughout.
  const watch = await sender(next.sign(folder, 'watch'))
  const dataDir = temporaryFolder(t)
  const env = {
    TLS_CERT: role.cert,
    TLS_KEY: role.key,
    TLS_CLIENT_CA: authorities,
    TLS_CA: authorities,
    SERVICE_TOKEN: token,
    HOST: '127.0.0.1',
    DATA_DIR: dataDir,
  }
  const start = (name: string, more: Record<string, string>) =>
    startRole(t, name, { env: { ...env, ...more }, fetch: watch })
  const broker = await start('broker', { DATA_DIR: join(dataDir, 'broker') })
  const proxy = await start('proxy', { BROKERS: broker.url, PROBE_INTERVAL: '100ms' })
  const MSG_QUEUE_ADDR = proxy.url
  const collector = await start('collector', { MSG_QUEUE_ADDR })
  const api = await start('api', { MSG_QUEUE_ADDR, API_KEY: key, COLLECTOR_URL: collector.url })
  const demo = { DEMO: 'true', DEMO_HOSTS: '1', DEMO_STEP: '100ms', DEMO_HISTORY: '0' }
  const streamer = await start('streamer', { MSG_QUEUE_ADDR, ...demo })
  const roles = [broker, proxy, collector, api, streamer]
  for (const { url } of roles) t.match(url, /^https:/)

  // A live stream of the API, and one of the broker through the proxy.
  const pair = { cert: readFileSync(mine.cert), key: readFileSync(mine.key) }
  const own = { ca: readFileSync(authorities), ...pair }
  const asked = request(`${api.url}/api/v1/stream`, { ...own, headers: { 'x-api-key': key } }).end()
  t.teardown(() => asked.destroy())
  const [live] = await once(asked, 'response')
  t.match(live.headers['strict-transport-security'], 'max-age=31536000')
  let [events, isCut] = [0, false]
  live.on('data', (piece: Buffer) => (events += piece.toString().split('\ndata:').length - 1))
  live.on('close', () => (isCut = true))
  const warnings: string[] = []
  const client = new Client({ url: proxy.url, token, fetch: send, onWarning: (text) => warnings.push(text) })
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  let consumed = 0
  const consuming = (async () => {
    const consumer = client.consumer({ topic: 'telemetry', from: 'latest', signal: stop.signal })
    for await (const messages of consumer.batches()) consumed += messages.length
  })().catch(() => {})
  const stored = async () => Number((await collector.status())['stored'])
  const flows = async () => {
    const [e, c, s] = [events, consumed, await stored()]
    await until(async () => events > e && consumed > c && (await stored()) > s)
  }
  await flows()

  replace(role, next.sign(folder, 'renewed'))
  // What it listens by, and what it asks others by.
  const read = (what: RegExp) => Promise.all(roles.map((each) => each.waitFor(what)))
  await read(/the certificate of this role was read again/)
  const shown = await Promise.all(roles.map(({ port }) => issuerAt(port, own)))
  t.same(new Set(shown), new Set(['next']), 'every role shows the new one')
  await flows()

  // The first authority is trusted no more: whoever still has a certificate of it is not let in by a new connection.
  bundle(authorities, next)
  await Promise.all(
    roles.map((each) =>
      until(async () => each.logs().filter(({ msg }) => /certificate of this role/.test(String(msg))).length === 2),
    ),
  )
  const agent = new Agent({ ca: readFileSync(next.path), ...pair, keepAlive: false })
  t.same(await Promise.all(roles.map(({ url }) => statusOf(`${url}/status`, agent))), [403, 403, 403, 403, 403])
  t.same(await Promise.all(roles.map(({ url }) => statusOf(`${url}/health`, agent))), [200, 200, 200, 200, 200])
  await flows()
  t.notOk(isCut, 'the live stream is the same')
  t.same(warnings, [], 'and so is the one of the broker')
  stop.abort()
  await consuming
  asked.destroy()

  replace(mine, next.sign(folder, 'mine'))
  const table = startPenstock(t, ['topics', '--addr', proxy.url, '--service-token', token], {
    env: { TLS_CA: authorities, TLS_CLIENT_CERT: mine.cert, TLS_CLIENT_KEY: mine.key },
  })
  t.match(await table.waitFor(/^telemetry/), /telemetry/, 'the tools by the same settings')
  const lost = api.logs().filter(({ msg }) => /keys cannot be read/.test(String(msg)))
  t.same(lost, [], 'the keys that the API makes are followed by TLS, too')
})

async function issuerAt(port: number, own: object): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', ...own })
  await once(socket, 'secureConnect')
  const { issuer } = socket.getPeerCertificate()
  socket.destroy()
  return String(issuer.CN)
}

async function statusOf(url: string, agent: Agent): Promise<number> {
  const [answer] = await once(request(url, { agent }).end(), 'response')
  answer.resume()
  return answer.statusCode as number
}
