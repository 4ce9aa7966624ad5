/** Data that an earlier program wrote, and what a newer one would write: read, or refused by name. And what is put back from a copy. */

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'

import { Level } from 'level'
import { t as file, test } from 'tap'

import { Client } from '#wire/client'

import { root, startPenstock, startRole, temporaryFolder, type Scope, type StartedRole } from './start.ts'

// Several processes start in each test, on two shared cores.
file.setTimeout(600_000)

/** The whole data folder of `penstock up` (two brokers, a store), written by that commit: test/golden/README.md. */
const earlier = join(root, 'test/golden/data-406fa70')

interface Account {
  readonly topic: string
  readonly pending: number
  readonly counts: {
    readonly stored: number
    readonly duplicate: number
    readonly dead: number
    readonly not_reported: number
  }
}

async function outcome(t: Scope, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { exited, stdout, stderr } = startPenstock(t, args, { env })
  return { code: (await exited).code, out: stdout.join('\n'), err: stderr.join('\n') }
}

/** What `penstock audit` says of a topic when nothing is pending any more. */
async function settled(t: Scope, addr: string, dataDir: string, topic = 'telemetry') {
  for (;;) {
    const { out } = await outcome(t, ['audit', '--json', '--addr', addr, '--data-dir', dataDir])
    const { topics, findings } = JSON.parse(out) as { topics: Account[]; findings: string[] }
    const account = topics.find((each) => each.topic === topic) as Account
    if (account.pending === 0) return { ...account.counts, findings }
  }
}

function startBroker(t: Scope, index: number, dataDir: string): Promise<StartedRole> {
  return startRole(t, 'broker', { env: { BROKER_INDEX: String(index), DATA_DIR: dataDir } })
}

test('what an earlier program wrote is read: logs, groups and store go on where they were, and nothing is stored twice', async (t) => {
  const folder = temporaryFolder(t)
  cpSync(earlier, folder, { recursive: true })
  const dataDir = join(folder, 'data')
  mkdirSync(join(dataDir, 'store'), { recursive: true })
  writeFileSync(join(dataDir, 'store/penstock.db'), gunzipSync(readFileSync(join(earlier, 'penstock.db.gz'))))

  const brokers = await Promise.all([0, 1].map((index) => startBroker(t, index, join(folder, `broker-${index}`))))
  const proxy = await startRole(t, 'proxy', { env: { BROKERS: brokers.map(({ url }) => url).join(',') } })
  await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: proxy.url, DATA_DIR: dataDir } })
  const before = { stored: 72, duplicate: 0, dead: 0, not_reported: 1, findings: [] }
  t.match(await settled(t, proxy.url, dataDir), before)
  const client = new Client({ url: proxy.url })
  t.match((await client.letters('telemetry')).letters, [{ line: 74 }], 'the row that was none is still told of')

  const producer = client.producer({ topic: 'telemetry' })
  const record = { kind: 'gpu', time: '2026-01-01T05:00:00Z', metric: 'DCGM_FI_DEV_GPU_UTIL', value: 9, uuid: 'GPU-1' }
  await producer.send([{ data: JSON.stringify(record), key: 'GPU-1' }])
  await producer.close()
  t.match(await settled(t, proxy.url, dataDir), { ...before, stored: 73 })
  t.match(await outcome(t, ['store', 'check', '--data-dir', dataDir]), { code: 0, out: /is sound/ })
})

test('what a newer program wrote is refused by name, with its version and what to do', async (t) => {
  const folder = temporaryFolder(t)
  const refused = async (role: string, env: Record<string, string>, error: RegExp): Promise<void> => {
    const { code, out, err } = await outcome(t, [role], { PORT: '0', ...env })
    t.match({ code, said: out + err }, { code: 1, said: error }, `${role}: ${error.source}`)
  }
  const broker = (name: string): string => {
    const copy = join(folder, name)
    cpSync(join(earlier, 'broker-0'), copy, { recursive: true })
    return copy
  }
  const identity = broker('identity')
  writeFileSync(join(identity, 'identity'), '{"format":2,"broker":0}\n')
  await refused(
    'broker',
    { DATA_DIR: identity },
    /identity is of format 2, this program reads format 1: run the version/,
  )

  for (const [name, path] of [
    ['log', 'telemetry/partition-2/00000000000000000000.log'],
    ['group', 'telemetry/groups/collector.log'],
  ] as const) {
    const copy = broker(name)
    const text = readFileSync(join(copy, path), 'latin1').replace(': penstock 1 ', ': penstock 2 ')
    writeFileSync(join(copy, path), text, 'latin1')
    await refused(
      'broker',
      { DATA_DIR: copy },
      new RegExp(`${path} is of format 2, this program reads format 1: run the`),
    )
  }

  const store = join(folder, 'newer/store')
  mkdirSync(store, { recursive: true })
  const db = gunzipSync(readFileSync(join(earlier, 'penstock.db.gz')))
  writeFileSync(join(store, 'penstock.db'), db)
  const opened = new DatabaseSync(join(store, 'penstock.db'))
  opened.exec('PRAGMA user_version = 99')
  opened.close()
  const { code, err } = await outcome(t, ['store', 'check', '--data-dir', join(folder, 'newer')])
  t.match(
    { code, err },
    { code: 1, err: /penstock.db: its schema is version 99 and this program knows versions up to \d+/ },
  )

  const level = new Level(join(folder, 'sources/streamer'))
  const csv = join(folder, 'a.csv')
  writeFileSync(csv, readFileSync(join(root, 'test/golden/README.md')))
  await level.put(`file:${csv}`, JSON.stringify({ version: 2 }))
  await level.close()
  const target = await startBroker(t, 0, join(folder, 'target'))
  await refused(
    'streamer',
    { DATA_DIR: join(folder, 'sources'), CSV: csv, MSG_QUEUE_ADDR: target.url },
    /the checkpoint of \S+a.csv is of version 2, this program reads version 1: run the version of Penstock that wrote it/,
  )
})

test('a broker whose volume is gone: its copy is mirrored back, and what was acknowledged before the copy is there once', async (t) => {
  const folder = temporaryFolder(t)
  const [live, store] = [join(folder, 'broker-0'), join(folder, 'store')]
  let broker = await startBroker(t, 0, live)
  const send = async (from: number): Promise<void> => {
    const producer = new Client({ url: broker.url }).producer({ topic: 'telemetry' })
    const records = Array.from({ length: 500 }, (_, n) => ({
      data: JSON.stringify({
        kind: 'gpu',
        time: new Date(Date.UTC(2026, 0, 1) + (from + n) * 1000).toISOString(),
        metric: 'DCGM_FI_DEV_GPU_UTIL',
        value: n % 100,
        uuid: `GPU-${n % 7}`,
      }),
      key: `GPU-${n % 7}`,
    }))
    await producer.send(records)
    await producer.close()
  }
  await send(0)
  // A backup: stopped, copied, started again.
  await broker.kill('SIGTERM')
  const copy = join(folder, 'copy')
  cpSync(live, copy, { recursive: true })

  // The volume is lost, before anything was stored. Another, empty, takes its place.
  broker = await startBroker(t, 0, join(folder, 'empty'))
  await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: broker.url, DATA_DIR: store } })
  await send(1_000)
  const restored = await startBroker(t, 0, copy)
  const back = [
    'mirror',
    '--from',
    restored.url,
    '--to',
    broker.url,
    '--topics',
    'telemetry',
    '--group',
    'restore',
    '--once',
  ]
  t.match(await outcome(t, back), {
    code: 0,
    out: /^forwarded 500 records, 0 were there already, 0 refused, 0 waiting$/,
  })
  t.match(await settled(t, broker.url, store), { stored: 1_000, duplicate: 0, findings: [] })

  // And the store: copied beside the collector, and sound.
  const file = join(folder, 'penstock.db')
  t.match(await outcome(t, ['store', 'backup', file, '--data-dir', store]), { code: 0 })
  const put = join(folder, 'put/store')
  mkdirSync(put, { recursive: true })
  cpSync(file, join(put, 'penstock.db'))
  t.match(await outcome(t, ['store', 'check', '--data-dir', join(folder, 'put')]), { code: 0, out: /is sound/ })
})
