/** Brokers that are looked up by a name, by TLS: what their certificates must name is the name that was looked up. */

import { test } from 'tap'

import { fetchOf } from '#lib/dial'
import { readSettings } from '#lib/settings'
import { openTls } from '#lib/tls'
import { newAuthority } from '#test/certificates'
import { token, until } from '#test/cluster'
import { freePort } from '#test/listen'
import { startRole, temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { Client } from '#wire/client'

import { run } from './main.ts'
import { proxySettings } from './settings.ts'

test(
  'an address that was looked up must show a certificate of the name',
  { skip: skipWithout(tools.openssl) },
  async (t) => {
    const folder = temporaryFolder(t)
    const authority = newAuthority(t, 'of the test')
    // It names 127.0.0.1 and localhost: the address itself must not be what counts.
    const { cert, key } = authority.sign(folder, 'broker')
    const tls = openTls({ tlsCa: authority.path }, { log: { info: () => {}, error: () => {} } as never })
    t.teardown(() => tls.stop())
    const broker = await startRole(t, 'broker', {
      env: { TLS_CERT: cert, TLS_KEY: key, SERVICE_TOKEN: token, HOST: '127.0.0.1', TOPICS: 'telemetry:partitions=1' },
      fetch: (await fetchOf(tls.client)) as typeof fetch,
    })
    const open = async (name: string) => {
      const port = await freePort()
      const env = {
        PORT: String(port),
        HOST: '127.0.0.1',
        SERVICE_TOKEN: token,
        LOG_LEVEL: 'silent',
        TLS_CA: authority.path,
        BROKER_SERVICE: name,
        BROKER_COUNT: '1',
        BROKER_PORT: String(broker.port),
        PROBE_INTERVAL: '100ms',
      }
      const stop = new AbortController()
      const proxying = run(readSettings(proxySettings, { env, flags: {} }), stop.signal, async () => ['127.0.0.1'])
      t.teardown(async () => (stop.abort(), proxying))
      const client = new Client({ url: `http://127.0.0.1:${port}`, token })
      const member = async () =>
        ((await client.status().catch(() => ({}))) as { members?: { state: string; reason?: string }[] }).members?.[0]
      return { client, member }
    }
    const known = await open('localhost')
    await until(async () => (await known.member())?.state === 'up')
    await known.client.producer({ topic: 'telemetry' }).send([{ data: '{}' }])
    t.pass('records go by the same name')
    const wrong = await open('brokers.test')
    await until(async () => (await wrong.member())?.state === 'down')
    t.match(await wrong.member(), { reason: /brokers\.test|altnames/ })
  },
)

test(
  'the API asks brokers that the proxy looked up by the name that the proxy tells',
  { skip: process.platform === 'linux' ? skipWithout(tools.openssl) : 'only Linux has 127.0.0.2' },
  async (t) => {
    const authority = newAuthority(t, 'of the test')
    const { cert, key } = authority.sign(temporaryFolder(t), 'broker')
    const common = { SERVICE_TOKEN: token, TLS_CA: authority.path }
    // Its certificate names localhost, and not this address.
    const broker = await startRole(t, 'broker', {
      env: { ...common, TLS_CERT: cert, TLS_KEY: key, HOST: '127.0.0.2', TOPICS: 'telemetry:partitions=1' },
      awaitReady: false,
    })
    const port = await freePort()
    const env = {
      ...common,
      PORT: String(port),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'silent',
      BROKER_SERVICE: 'localhost',
      BROKER_COUNT: '1',
      BROKER_PORT: String(broker.port),
      PROBE_INTERVAL: '100ms',
    }
    const stop = new AbortController()
    const proxying = run(readSettings(proxySettings, { env, flags: {} }), stop.signal, async () => ['127.0.0.2'])
    t.teardown(async () => (stop.abort(), proxying))
    const api = await startRole(t, 'api', {
      env: { ...common, HOST: '127.0.0.1', MSG_QUEUE_ADDR: `http://127.0.0.1:${port}`, API_KEY: 'a-key-of-the-test' },
    })
    interface Told {
      readonly brokers: readonly { readonly state: string; readonly error?: string | null }[]
    }
    let told: Told = { brokers: [] }
    await until(async () => {
      const answer = await fetch(`${api.url}/api/v1/pipeline`, { headers: { 'x-api-key': 'a-key-of-the-test' } })
      told = (await answer.json()) as Told
      return told.brokers.length > 0
    })
    t.match(told.brokers, [{ state: 'up' }])
  },
)
