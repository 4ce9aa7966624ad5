/** The day the database is down: the collector waits, the broker keeps, and afterwards every record is where it belongs. */

import { cpSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { t as file, test } from 'tap'

import { openStore } from '#store/open'
import { Client } from '#wire/client'

import { fillUp, mounted, skipWithoutMounts as skip } from './disks.ts'
import { startPenstock, startRole, temporaryFolder, type Scope, type StartedRole } from './start.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

file.setTimeout(isFull ? 1_200_000 : 600_000)

/** How long a store is away, with a visibility of 2 s: long enough to be delivered again several times. */
const awayMs = isFull ? 60_000 : 8_000
const visibility = { VISIBILITY_TIMEOUT: '2s' }
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
  t.strictSame(await wrongIn(dataDir, load.count), [])
  t.match(await audit(t, broker, dataDir), { code: 0, out: /all agree \(embedded\)/ })
  t.strictSame(await collector.kill(), { code: 0, signal: null })
})

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
  t.match(await audit(t, broker, disk.inside, disk.under), { code: 0, out: /all agree/ })
  t.strictSame(await collector.kill(), { code: 0, signal: null })
  // SQLite opens no file by way of another process.
  const copy = temporaryFolder(t)
  cpSync(join(disk.outside, 'store'), join(copy, 'store'), { recursive: true })
  t.strictSame(await wrongIn(copy, load.count), [])
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
  for (;;) {
    const { received } = await collector.status()
    if (received === load.count) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What the store has not, or has otherwise; ten at most. */
async function wrongIn(dataDir: string, count: number): Promise<string[]> {
  const store = await openStore({ dataDir }, { readOnly: true })
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

async function audit(t: Scope, broker: StartedRole, dataDir: string, under: readonly string[] = []) {
  const env = { MSG_QUEUE_ADDR: broker.url, DATA_DIR: dataDir }
  const { exited, stdout, stderr } = startPenstock(t, ['audit'], { env, under })
  return { ...(await exited), out: stdout.join('\n'), err: stderr.join('\n') }
}
