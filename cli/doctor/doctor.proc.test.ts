import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Test, t as file, test } from 'tap'
import { openStore } from '#store/open'
import { newAuthority } from '#test/certificates'
import { influx1, influx2 } from '#test/influx'
import { freePort } from '#test/listen'
import { type Scope, startPenstock, startRole, temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { Config } from './config.ts'
import { lookAtAll, type Role } from './looks.ts'

file.setTimeout(600_000)

const tmpfsType = 0x01021994
const memoryFolder = '/dev/shm'

/** Nothing that depends on the machine that runs the test. */
const usual = { DISK_FLOOR: '1', MAX_CONNECTIONS: '16', MAX_OPEN_FILES: '16', MEMORY_BYTES: '8MiB' }

/** What the doctor finds that is not well; a temporary folder in a container's own layer is no fault of ours. */
async function troubles(env: Record<string, string>, roles: readonly Role[], nowMs = Date.now()) {
  const config = new Config({ ...usual, ...env })
  const found = await lookAtAll({ config, roles, alsoKnown: [], signal: new AbortController().signal, nowMs })
  return found
    .filter(({ level, what }) => level !== 'ok' && !what.includes('layer of a container'))
    .map(({ subject, level, what }) => `${level} ${subject} ${what}`)
}

/** These lines and no others. */
function has(t: Test, lines: readonly string[], wanted: readonly RegExp[]): void {
  t.equal(lines.length, wanted.length, lines.join('\n'))
  for (const [at, pattern] of wanted.entries()) t.match(lines[at], pattern)
}

function secretFile(t: Scope, text: string): string {
  const path = join(temporaryFolder(t), 'secret')
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

test('nothing is found where all is well, and each planted fault is', async (t) => {
  const token = 'the-token-of-the-cluster'
  const broker = await startRole(t, 'broker', { env: { SERVICE_TOKEN: token, HOST: '127.0.0.1', ...usual } })
  const proxy = await startRole(t, 'proxy', { env: { SERVICE_TOKEN: token, HOST: '127.0.0.1', BROKERS: broker.url } })
  const tokenFile = secretFile(t, token)
  const env = {
    DATA_DIR: broker.dataDir,
    PORT: String(broker.port),
    MSG_QUEUE_ADDR: proxy.url,
    BROKERS: broker.url,
    SERVICE_TOKEN_FILE: tokenFile,
  }
  const roles = ['broker', 'proxy', 'streamer', 'collector'] as const
  t.strictSame(await troubles(env, roles), [], 'all is well')

  const wrong = { ...env, SERVICE_TOKEN_FILE: secretFile(t, 'another-token') }
  has(t, await troubles(wrong, roles), [
    /^problem broker .*SERVICE_TOKEN is not the right one \(401\)/,
    /^problem broker .*SERVICE_TOKEN is not the right one \(401\)/,
  ])
  has(t, await troubles({ ...env, SERVICE_TOKEN_FILE: '/nowhere' }, roles), [
    /^problem settings SERVICE_TOKEN_FILE: \/nowhere: it cannot be read \(ENOENT\)/,
    /^problem secrets SERVICE_TOKEN_FILE=\/nowhere: ENOENT/,
    /^problem broker .*wants SERVICE_TOKEN/,
    /^problem broker .*wants SERVICE_TOKEN/,
  ])
  has(t, await troubles({ ...env, PENSTOCK_QUEUE_SZE: '5', VISIBILITY_TIMEOUT: '-3s' }, roles), [
    /^problem settings PENSTOCK_QUEUE_SZE is no setting/,
    /^problem settings VISIBILITY_TIMEOUT=-3s: want a duration from 1s to 12h/,
  ])
  has(t, await troubles({ ...env, PORT: '0', HOST: '10.0.0.1', SERVICE_TOKEN_FILE: '' }, ['broker']), [
    /^problem settings HOST=10.0.0.1: want a loopback address, or a SERVICE_TOKEN/,
  ])
  has(t, await troubles({ ...env, API_URL: 'http://127.0.0.1:9', COLLECTOR_URL: 'ftp://user:hush@host' }, ['api']), [
    /^problem settings COLLECTOR_URL=ftp:\/\/…@host/,
    /^problem api no API answers at http:\/\/127\.0\.0\.1:9 /,
  ])
  has(t, await troubles({ ...env, DISK_FLOOR: '1000TiB' }, roles), [/^problem disk .*below DISK_FLOOR/])
  has(t, await troubles({ ...env, BROKER_INDEX: '3' }, roles), [/^problem disk .*broker 0, BROKER_INDEX is 3/])
  has(t, await troubles({ ...env, PORT: String(await freePort()) }, roles), [/^warning disk .* is held by process \d+/])

  const other = createServer((_, answer) => answer.end('hello')).listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await new Promise((resolve) => other.on('listening', resolve))
  const { port } = other.address() as AddressInfo
  has(t, await troubles({ ...env, PORT: String(port), DATA_DIR: temporaryFolder(t) }, roles), [
    new RegExp(`^problem port port ${port} is taken by another program`),
  ])

  chmodSync(tokenFile, 0o644)
  has(t, await troubles(env, roles), [/^warning secrets .*every user of this machine may read it/])
  chmodSync(tokenFile, 0o600)

  await broker.kill('SIGKILL')
  const found = await troubles(env, roles)
  t.match(
    found.find((line) => line.includes(broker.url)),
    /^problem broker nothing answers at .*ECONNREFUSED/,
  )
})

test('a certificate that ends, has ended, or has another key', { skip: skipWithout(tools.openssl) }, async (t) => {
  const authority = newAuthority(t, 'tests')
  const certificate = authority.sign(temporaryFolder(t), 'broker')
  const env = { PORT: '0', DATA_DIR: temporaryFolder(t), TLS_CERT: certificate.cert, TLS_KEY: certificate.key }
  const later = (days: number) => troubles(env, ['broker'], Date.now() + days * 86_400_000)
  t.strictSame(await later(0), [])
  has(t, await later(20), [/^warning tls .*it ends in 9 days/])
  has(t, await later(31), [/^problem tls .*it ended on/])
  const { key } = authority.sign(temporaryFolder(t), 'other')
  has(t, await troubles({ ...env, TLS_KEY: key }, ['broker']), [/^problem tls .*the key is of another certificate/])
})

const isMemory = (() => {
  try {
    return statfsSync(memoryFolder).type === tmpfsType
  } catch {
    return false
  }
})()

test('a durable broker on tmpfs', { skip: !isMemory && `${memoryFolder} is no tmpfs` }, async (t) => {
  const folder = mkdtempSync(join(memoryFolder, 'penstock-test-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  has(t, await troubles({ DATA_DIR: folder }, ['broker']), [/^problem disk .* is on tmpfs/])
  has(t, await troubles({ DATA_DIR: folder, TOPICS: 'a:durability=memory' }, ['broker']), [/^warning disk .*tmpfs/])
})

test('the embedded store is looked at, and nothing is changed beside it', async (t) => {
  const dataDir = temporaryFolder(t)
  const env = { DATA_DIR: dataDir, STORE: 'embedded', MSG_QUEUE_ADDR: 'http://127.0.0.1:9' }
  const store = await openStore({ dataDir })
  has(t, await troubles(env, ['collector']), [/^problem broker /])
  await store.close()
  const folder = join(dataDir, 'store')
  const seen = () => readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs])
  const before = seen()
  has(t, await troubles(env, ['collector']), [/^problem broker /])
  t.strictSame(seen(), before)
  writeFileSync(join(folder, 'penstock.db'), 'no database at all'.repeat(1000))
  has(t, await troubles(env, ['collector']), [/^problem broker /, /^problem database .*not a database/])
})

test('an InfluxDB 2: its token, organisation, bucket and retention', { skip: influx2.skip }, async (t) => {
  const { settings } = await influx2.start(t)
  const env = {
    INFLUXDB_URL: settings.influxdbUrl,
    INFLUXDB_TOKEN: settings.influxdbToken ?? '',
    INFLUXDB_ORG: settings.influxdbOrg ?? '',
    INFLUXDB_BUCKET: 'first',
  }
  const found = async (change: object) =>
    (await troubles({ ...env, ...change, MSG_QUEUE_ADDR: 'http://127.0.0.1:9' }, ['collector'])).slice(1)
  t.strictSame(await found({}), [])
  has(t, await found({ INFLUXDB_TOKEN: 'another' }), [/^problem database INFLUXDB_TOKEN is not accepted/])
  has(t, await found({ INFLUXDB_ORG: 'nobody' }), [/^problem database there is no organisation nobody/])
  has(t, await found({ INFLUXDB_BUCKET: 'second' }), [/^warning database there is no second yet/])
  has(t, await found({ STORE: 'influx1' }), [/^problem database InfluxDB 2.*STORE=influx1/])
})

test('an InfluxDB 1: its database', { skip: influx1.skip }, async (t) => {
  const { settings } = await influx1.start(t)
  const env = { INFLUXDB_URL: settings.influxdbUrl, MSG_QUEUE_ADDR: 'http://127.0.0.1:9' }
  has(t, await troubles(env, ['collector']), [/^problem broker/, /^warning database there is no telemetry yet/])
  const body = new URLSearchParams({ q: 'CREATE DATABASE telemetry' })
  await fetch(`${settings.influxdbUrl}/query`, { method: 'POST', body })
  t.strictSame((await troubles(env, ['collector'])).slice(1), [])
})

test('the command: its status, its lines, and no secret in them', async (t) => {
  const run = async (env: Record<string, string>, ...args: string[]) => {
    const { exited, stdout, stderr } = startPenstock(t, ['doctor', ...args], { env: { ...usual, ...env } })
    return { ...(await exited), out: stdout.join('\n'), err: stderr.join('\n') }
  }
  const env = { SERVICE_TOKEN: 'hush hush', API_KEY: 'a-key-that-is-secret', PENSTOCK_DATADIR: 'x' }
  const told = await run(env, 'broker', '--data-dir', temporaryFolder(t), '--port', '0')
  t.match(told, {
    code: 1,
    out: /^PROBLEM +settings +PENSTOCK_DATADIR[^]*did you mean PENSTOCK_DATA_DIR\?[^]*\n2 problems, /,
  })
  t.notMatch(told.out, /hush|a-key-that/)
  const sound = await run({}, 'broker', '--data-dir', temporaryFolder(t), '--port', '0', '--json')
  t.match(sound, { code: 0, out: /^\{"subject":"settings","level":"ok","what":"/ })
  t.match(await run({}, 'brokr'), { code: 2, err: /want broker, .* \(did you mean broker\?\)/ })
})
