import { resolve } from 'node:path'
import { test } from 'tap'
import { readSettings, SettingsError } from '#lib/settings'
import { environmentOf, planOf } from './plan.ts'
import { upSettings } from './settings.ts'

function plan(flags: Record<string, string>, env: Record<string, string> = {}) {
  return planOf(readSettings(upSettings, { env, flags }), env, flags, 'a-new-key')
}

function linesOf(flags: Record<string, string>): readonly string[] {
  try {
    plan(flags)
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.lines
    throw error
  }
}

test('each role has its port, counted from PORT; with 0 the system chooses all', async (t) => {
  const ports = ({ api, proxy, streamer, collector, brokers }: ReturnType<typeof plan>) =>
    [api, proxy, streamer, collector, ...brokers].map((role) => role?.settings['PORT'])
  t.strictSame(ports(plan({ csv: 'a.csv' })), ['8080', '8081', '8082', '8083', '8090', '8091'])
  t.strictSame(ports(plan({ csv: 'a.csv', port: '0' })), ['0', '0', '0', '0', '0', '0'])
})

test('a demo has a data folder of its own', async (t) => {
  t.match(plan({ 'data-dir': '/d' }), { demo: true, dataDir: '/d/demo', streamer: { settings: { DEMO: 'true' } } })
  t.match(plan({ csv: 'a.csv', 'data-dir': '/d' }), {
    demo: false,
    dataDir: '/d',
    brokers: [{ settings: { DATA_DIR: '/d/broker-0' } }, { settings: { BROKER_INDEX: '1', DATA_DIR: '/d/broker-1' } }],
    streamer: { settings: { DEMO: 'false', CSV: 'a.csv' } },
  })
})

test('settings of a role reach that role, and no other', async (t) => {
  const flags = { csv: 'a.csv', 'visibility-timeout': '5s', 'segment-bytes': '1MiB', 'service-token': 's' }
  const { brokers, collector } = plan(flags)
  t.equal(brokers[1]?.settings['SEGMENT_BYTES'], '1MiB')
  t.equal(collector.settings['SEGMENT_BYTES'], undefined)
  t.equal(brokers[1]?.settings['VISIBILITY_TIMEOUT'], '5s')
  t.equal(collector.settings['VISIBILITY_TIMEOUT'], '5s', 'a setting of both')
  t.equal(collector.settings['SERVICE_TOKEN'], 's')
})

test('roles stay on loopback with a token, too, unless told', async (t) => {
  t.equal(plan({ csv: 'a.csv' }, { SERVICE_TOKEN: 's' }).proxy.settings['HOST'], '127.0.0.1')
  t.equal(plan({ csv: 'a.csv', host: '0.0.0.0' }, { SERVICE_TOKEN: 's' }).proxy.settings['HOST'], '0.0.0.0')
})

test('what `up` decides wins over the environment that it hands on', async (t) => {
  const env = { PENSTOCK_PORT: '1', PORT: '2', TOPICS: 'a' }
  const { proxy } = plan({ csv: 'a.csv', port: '3000' }, env)
  t.match(environmentOf(env, proxy), { PENSTOCK_PORT: '3001', TOPICS: 'a' })
})

test('the same files are the same sources, however they are named', async (t) => {
  t.equal(plan({ csv: './a.csv' }).sources, resolve('a.csv'))
  t.equal(plan({ csv: 'x/../a.csv' }).sources, plan({ csv: 'a.csv' }).sources)
})

test('everything that is wrong is told before anything starts', async (t) => {
  t.strictSame(linesOf({ csv: 'a', once: 'true', loop: 'true', 'visibility-timeout': '-3s', 'batch-records': '0' }), [
    '--once with --loop would never end: want one of them',
    '--visibility-timeout=-3s: want a duration from 1s to 12h',
    '--batch-records=0: want a whole number from 1 to 100000',
  ])
  t.match(linesOf({ once: 'true' }), ['--once wants something that ends: --csv FILE'])
  t.match(linesOf({ csv: 'a', demo: 'true' }), ['--demo with --csv: want one of them'])
  t.match(linesOf({ csv: 'a', port: '65530' }), [/^PORT=65530: want a port up to 65524/])
})

test('TLS is for roles that are started one by one: what would not be followed is refused', async (t) => {
  t.match(linesOf({ 'tls-cert': 'a.pem' }), [/^TLS_CERT: penstock up speaks plain HTTP on this machine/])
  t.throws(() => plan({}, { TLS_CLIENT_CA: 'a.pem' }), /^TLS_CLIENT_CA: /)
  t.ok(plan({}, { TLS_CA: '' }))
})

test('the key of the environment is used, else a new one is made; a run that ends by itself serves nobody', async (t) => {
  t.match(plan({ csv: 'a.csv' }), { apiKey: 'a-new-key', api: { settings: { API_KEY: 'a-new-key' } } })
  const given = plan({ csv: 'a.csv' }, { API_KEY: 'given-key-1,given-key-2' })
  t.equal(given.apiKey, 'given-key-1')
  t.equal(given.api?.settings['API_KEY'], undefined, 'it stands in the environment of the role already')
  t.equal(plan({ csv: 'a.csv', once: 'true' }).api, undefined)
})
