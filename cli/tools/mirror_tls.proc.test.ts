/** `penstock mirror` by TLS, between sites of two authorities that want to see certificates; and what cannot work, told at once. */

import { join } from 'node:path'
import { t as file, test } from 'tap'

import { fetchOf } from '#lib/dial'
import { openTls } from '#lib/tls'
import { bundle, type Certificate, newAuthority } from '#test/certificates'
import { token, until } from '#test/cluster'
import { startPenstock, startRole, temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { Client } from '#wire/client'

const skip = skipWithout(tools.openssl)

file.setTimeout(300_000)

const batch = 400

test('from one authority to another, and on with a certificate that is new', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const [site, center, next] = [newAuthority(t, 'site'), newAuthority(t, 'center'), newAuthority(t, 'next')]
  // The mirror belongs to the site: the center takes its certificate because it trusts the site's authority for clients.
  const mine = site.sign(folder, 'mirror')
  const all = bundle(join(folder, 'all.pem'), site, center, next)
  // The mirror's alone: what it trusts changes, and the proxy must go on trusting its broker.
  const trusted = bundle(join(folder, 'trusted.pem'), site, center)
  const clients = bundle(join(folder, 'clients.pem'), site, center)
  const log = { info: () => {}, error: () => {} } as never
  const tls = openTls({ tlsCa: all, ...asClient(mine) }, { log })
  t.teardown(() => tls.stop())
  const send = (await fetchOf(tls.client)) as typeof fetch
  const start = (role: string, shown: Certificate, more: Record<string, string> = {}) =>
    startRole(t, role, {
      env: {
        TLS_CERT: shown.cert,
        TLS_KEY: shown.key,
        TLS_CLIENT_CA: clients,
        TLS_CA: all,
        SERVICE_TOKEN: token,
        HOST: '127.0.0.1',
        TOPICS: 'telemetry:partitions=2',
        ...more,
      },
      fetch: send,
    })
  const source = await start('broker', site.sign(folder, 'source'))
  const target = await start('broker', center.sign(folder, 'target'))
  const own = center.sign(folder, 'proxy')
  const proxied = {
    BROKERS: target.url,
    PROBE_INTERVAL: '100ms',
    TLS_CLIENT_CERT: own.cert,
    TLS_CLIENT_KEY: own.key,
  }
  let proxy = await start('proxy', own, proxied)
  const [from, to] = [source, target].map(({ url }) => new Client({ url, token, fetch: send })) as [Client, Client]

  const mirror = startPenstock(t, ['mirror', '--from', source.url, '--to', proxy.url, '--topics', 'telemetry'], {
    env: { FROM_TOKEN: token, TO_TOKEN: token, TLS_CA: trusted, TLS_CLIENT_CERT: mine.cert, TLS_CLIENT_KEY: mine.key },
  })
  const records = (first: number) =>
    Array.from({ length: batch }, (_, at) => ({ data: JSON.stringify({ n: first + at }), key: `GPU-${at % 7}` }))
  const produce = async (first: number) => {
    const producer = from.producer({ topic: 'telemetry' })
    await producer.send(records(first))
    await producer.close()
  }
  const arrived = async () => (await to.topics())[0]?.logs.reduce((sum, { next: end }) => sum + end, 0)
  await produce(0)
  await until(async () => (await arrived()) === batch)

  // The center's proxy comes back with a certificate that the mirror does not trust yet, and then does.
  await proxy.kill('SIGKILL')
  proxy = await start('proxy', next.sign(folder, 'again'), { ...proxied, PORT: String(proxy.port) })
  await produce(batch)
  await mirror.waitFor(/certificate|issuer/i)
  t.equal(await arrived(), batch, 'who is not trusted is sent nothing')
  bundle(trusted, site, next)
  await until(async () => (await arrived()) === 2 * batch)
  t.notOk(mirror.hasExited(), mirror.tail())
  const found = new Set<number>()
  const stop = new AbortController()
  for await (const messages of to.consumer({ topic: 'telemetry', from: 'earliest', signal: stop.signal }).batches()) {
    for (const { data } of messages) found.add((JSON.parse(data) as { n: number }).n)
    if (found.size === 2 * batch) stop.abort()
  }
  t.equal(found.size, 2 * batch)
  t.strictSame(await mirror.kill('SIGTERM'), { code: 0, signal: null })
  t.match(mirror.stdout.at(-1), /^forwarded 800 records, 0 were there already, 0 refused, 0 waiting$/)
})

test('what cannot work by TLS is told at once, with what to do', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const authority = newAuthority(t, 'ours')
  const [own, mine] = [authority.sign(folder, 'broker'), authority.sign(folder, 'mirror')]
  const TOPICS = 'telemetry:partitions=1'
  const tls = openTls({ tlsCa: authority.path, ...asClient(mine) }, { log: { info() {}, error() {} } as never })
  t.teardown(() => tls.stop())
  const secured = { TLS_CERT: own.cert, TLS_KEY: own.key, TLS_CLIENT_CA: authority.path, HOST: '127.0.0.1', TOPICS }
  const [open, closed] = await Promise.all([
    startRole(t, 'broker', { env: { TOPICS } }),
    startRole(t, 'broker', { env: secured, fetch: (await fetchOf(tls.client)) as typeof fetch }),
  ])
  const run = async (to: string, env: Record<string, string>) => {
    const args = ['mirror', '--from', open.url, '--to', to, '--topics', 'telemetry', '--once']
    const started = startPenstock(t, args, { env })
    const { code } = await started.exited
    return { code, err: started.stderr.join('\n') }
  }
  const trusts = { TLS_CA: authority.path }
  const shows = { TLS_CLIENT_CERT: mine.cert, TLS_CLIENT_KEY: mine.key }
  const cases: [string, Record<string, string>, number, RegExp][] = [
    [closed.url, {}, 1, /127\.0\.0\.1:\d+ shows a certificate that is not trusted here \(.*set TLS_CA to/],
    [closed.url, trusts, 1, /wants a certificate.*set TLS_CLIENT_CERT and TLS_CLIENT_KEY/],
    [closed.url.replace('https:', 'http:'), { ...trusts, ...shows }, 1, /hangs up .*begins with https$/],
    [closed.url, { TLS_CA: join(folder, 'none.pem') }, 2, /TLS_CA=\S+none\.pem: /],
    [closed.url, { ...trusts, ...shows }, 0, /^$/],
  ]
  for (const [to, env, code, err] of cases) t.match(await run(to, env), { code, err }, `${to} ${JSON.stringify(env)}`)
})

function asClient({ cert, key }: Certificate) {
  return { tlsClientCert: cert, tlsClientKey: key }
}
