/** The day the database is down: the collector waits, the broker keeps, and afterwards every record is where it belongs. */

import { cpSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { t as file, test } from 'tap'

import { openStore } from '#store/open'
import type { StoreSettings } from '#store/settings'
import { Client } from '#wire/client'

import { fillUp, mounted, skipWithoutMounts as skip } from './disks.ts'
import { influx1, influx2, influx3 } from './influx.ts'
import { startPenstock, startRole, temporaryFolder, type Scope, type StartedRole } from './start.ts'
import { until } from './until.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

file.setTimeout(isFull ? 1_200_000 : 600_000)

/** How long a store is away, with a visibility of 5 s: long enough to be delivered again several times. */
const awayMs = isFull ? 60_000 : 12_000
const visibility = { VISIBILITY_TIMEOUT: '5s' }
const topics = { TOPICS: 'telemetry:partitions=4:durability=disk,transfers:partitions=1:durability=disk' }

test('a store that is away for longer than the visibility: nothing is delivered twice, nothing is lost', async (t) => {
  const broker = await startRole(t, 'broker', { env: { ...topics, ...visibility } })
  const dataDir = temporaryFolder(t)
  const env = { MSG_QUEUE_ADDR: broker.url, DATA_DIR: dataDir, ...visibility }
  const collector = await startRole(t, 'collector', { env })
  const load = new Load(broker)
  await load.send(500)
  await settled(collector, load)

  const other = new DatabaseSync(join(dataDir, 'store/penstock.db'))
  other.exec('BEGIN IMMEDIATE')
  const untilMs = performance.now() + awayMs
  while (performance.now() < untilMs) await load.send(100)
  t.match(await collector.status(), { trouble: /another program holds it/ })
  t.equal((await fetch(`${collector.url}/ready`)).status, 503)
  other.exec('ROLLBACK')
  other.close()

  await settled(collector, load)
  const metrics = await (await fetch(`${collector.url}/metrics`)).text()
  const consumed = /^messages_consumed_total\{[^}]*topic="telemetry"[^}]*\} (\d+)$/m.exec(metrics)?.[1]
  t.equal(Number(consumed), load.count, 'each record was delivered once')
  t.strictSame(await wrongIn({ dataDir }, load.count), [])
  t.match(await audit(t, broker, { DATA_DIR: dataDir }), { code: 0, out: /all agree \(embedded\)/ })
  t.strictSame(await collector.kill(), { code: 0, signal: null })
})

for (const server of [influx1, influx2, influx3]) {
  const title = `${server.name}: the database is stopped under load, and killed while it is written to`
  test(title, { skip: server.skip }, async (t) => {
    const broker = await startRole(t, 'broker', { env: { ...topics, ...visibility } })
    const folder = temporaryFolder(t)
    let database = await server.start(t, folder)
    const { influxdbUrl: url, influxdbToken = '', influxdbOrg = '' } = database.settings
    const place = { INFLUXDB_URL: url, INFLUXDB_TOKEN: influxdbToken, INFLUXDB_ORG: influxdbOrg }
    const env = { MSG_QUEUE_ADDR: broker.url, ...place, ...visibility, BATCH_RECORDS: '500' }
    const restart = async () => (database = await server.start(t, folder, Number(new URL(url).port)))
    // Two share the work, and need no setting for it.
    const collectors = await Promise.all([0, 1].map(() => startRole(t, 'collector', { env })))
    const [collector] = collectors as [StartedRole, StartedRole]
    const load = new Load(broker)
    await load.send(1_000)
    await settled(collector, load)

    await database.kill()
    const untilMs = performance.now() + awayMs
    while (performance.now() < untilMs) await load.send(100)
    const ready = await fetch(`${collector.url}/ready`)
    t.equal(ready.status, 503)
    t.match(((await ready.json()) as { detail: string }).detail, /^the store: .*ECONNREFUSED/)
    await restart()

    for (let kill = 0; kill < 3; kill++) {
      const before = Number((await until(() => collector.status(), hasTotals))['received'])
      const sending = load.send(5_000)
      await until(
        () => collector.status(),
        (status) => Number(status['received']) > before,
      )
      await database.kill('SIGKILL')
      await sending
      await restart()
    }
    await settled(collector, load)
    const settings = { ...database.settings, dataDir: '' }
    t.strictSame(await wrongIn(settings, load.count), [])
    t.match(await audit(t, broker, place), { code: 0, out: /all agree \(InfluxDB/ })
    t.match(await collector.status(), { received: load.count, stored: load.count, duplicate: 0, dead: 0 })
    for (const each of collectors) t.strictSame(await each.kill(), { code: 0, signal: null })
  })
}

test('the disk of the store is full, and then freed, with a kill in between', { skip }, async (t) => {
  const broker = await startRole(t, 'broker', { env: { ...topics, ...visibility } })
  const disk = await mounted(t, (folder) => `mount -t tmpfs -o size=24m tmpfs ${folder}`)
  const env = { MSG_QUEUE_ADDR: broker.url, DATA_DIR: disk.inside, ...visibility }
  let collector = await startRole(t, 'collector', { env, under: disk.under })
  const load = new Load(broker)
  await load.send(500)
  await settled(collector, load)
  const ballast = join(disk.outside, 'ballast')
  fillUp(ballast)
  const full = collector.waitFor(/the disk is full/, 120_000)
  for (let round = 0; round < 40; round++) await load.send(500)
  await full
  t.equal((await fetch(`${collector.url}/ready`)).status, 503)
  await collector.kill('SIGKILL')
  truncateSync(ballast)
  collector = await startRole(t, 'collector', { env, under: disk.under })
  await settled(collector, load)
  t.match(await audit(t, broker, { DATA_DIR: disk.inside }, disk.under), { code: 0, out: /all agree/ })
  t.strictSame(await collector.kill(), { code: 0, signal: null })
  // SQLite opens no file by way of another process.
  const copy = temporaryFolder(t)
  cpSync(join(disk.outside, 'store'), join(copy, 'store'), { recursive: true })
  t.strictSame(await wrongIn({ dataDir: copy }, load.count), [])
})

/** Records whose values say which one they are. */
class Load {
  readonly #producer
  count = 0

  constructor(broker: StartedRole) {
    this.#producer = new Client({ url: broker.url }).producer({ topic: 'telemetry' })
  }

  async send(records: number): Promise<void> {
    const from = this.count
    this.count += records
    await this.#producer.send(
      Array.from({ length: records }, (_, index) => {
        const n = from + index
        const record = {
          kind: 'gpu',
          metric: 'DCGM_FI_DEV_POWER_USAGE',
          uuid: `GPU-${n % 16}`,
          time: timeOf(n),
          value: valueOf(n),
        }
        return { data: JSON.stringify(record), partition: n % 4 }
      }),
    )
  }
}

const startMs = Date.parse('2025-07-18T00:00:00Z')
const timeOf = (n: number): string => new Date(startMs + n * 1000).toISOString()
const valueOf = (n: number): number => (n % 5600) / 8

/** Until the ledger has all that was sent. */
async function settled(collector: StartedRole, load: Load): Promise<void> {
  await until(
    () => collector.status(),
    ({ received }) => received === load.count,
  )
}

/** Whether the store could be asked. */
function hasTotals(status: Readonly<Record<string, unknown>>): boolean {
  return typeof status['received'] === 'number'
}

/** What the store has not, or has otherwise; ten at most. */
async function wrongIn(settings: StoreSettings, count: number): Promise<string[]> {
  const store = await openStore(settings, { readOnly: true })
  try {
    const found = new Map<number, number | null>()
    for (const series of await store.range({ metric: 'DCGM_FI_DEV_POWER_USAGE', limit: 10_000_000 })) {
      for (const { time, value } of series.values) found.set((Date.parse(time) - startMs) / 1000, value)
    }
    const wrong = Array.from({ length: count }, (_, n) => n).filter((n) => found.get(n) !== valueOf(n))
    const more = found.size === count ? [] : [`${found.size} values, ${count} sent`]
    return [...wrong.slice(0, 10).map((n) => `${timeOf(n)}: ${found.get(n)}, want ${valueOf(n)}`), ...more]
  } finally {
    await store.close()
  }
}

async function audit(
  t: Scope,
  broker: StartedRole,
  place: Readonly<Record<string, string>>,
  under: readonly string[] = [],
) {
  const env = { MSG_QUEUE_ADDR: broker.url, ...place }
  const { exited, stdout, stderr } = startPenstock(t, ['audit'], { env, under })
  return { ...(await exited), out: stdout.join('\n'), err: stderr.join('\n') }
}
