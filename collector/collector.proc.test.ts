import { request } from 'node:http'
import { PassThrough, Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { openStore } from '#store/open'
import { Client } from '#wire/client'
import { listen } from '#test/listen'
import { type Scope, type StartedRole, startRole, temporaryFolder } from '#test/start'

const topics = { TOPICS: 'telemetry:partitions=2:durability=disk,transfers:partitions=1:durability=disk' }

test('what was written before the acknowledgement was lost is counted once', async (t) => {
  const broker = await startRole(t, 'broker', { env: topics })
  const dataDir = temporaryFolder(t)
  await produce(broker, 0, 1000)

  const gate = await deafToAcks(t, broker.url)
  const first = await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: gate.url, DATA_DIR: dataDir } })
  await gate.asked
  await settled(first, 500, 'in part: a second partition may be on its way')
  await first.kill('SIGKILL')
  const before = await contents(dataDir)
  t.ok(before.totals.received >= 500)

  const second = await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: broker.url, DATA_DIR: dataDir } })
  await acknowledged(broker, 1000)
  t.match(await second.status(), { received: 1000, stored: 990, duplicate: 0, not_reported: 8, dead: 2, pending: 0 })
  t.same(await second.kill(), { code: 0, signal: null })

  const { totals, values } = await contents(dataDir)
  t.equal(totals.received, 1000)
  t.same(values, expected(1000))
})

test('a batch that is lost between the broker and the collector comes again, and is never acknowledged unseen', async (t) => {
  const broker = await startRole(t, 'broker', { env: topics })
  for (let batch = 0; batch < 10; batch++) await produce(broker, batch * 100, 100)
  const gate = await losing(t, broker.url, { firstOffset: 200 })
  const collector = await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: gate.url } })
  await collector.waitFor(/came where 0\/[01]\/200 is next: 50 records before it did not come/)
  await acknowledged(broker, 1000)
  t.match(await collector.status(), { received: 1000, stored: 990, duplicate: 0, not_reported: 8, dead: 2, pending: 0 })
  await collector.kill()
  t.same((await contents(collector.dataDir)).values, expected(1000))
})

test('killed again and again while records come, it has them all at the end, once', async (t) => {
  const broker = await startRole(t, 'broker', { env: topics })
  const dataDir = temporaryFolder(t)
  const env = { MSG_QUEUE_ADDR: broker.url, DATA_DIR: dataDir, BATCH_RECORDS: '50', BATCH_WAIT: '5ms' }
  for (let round = 0; round < 3; round++) {
    const collector = await startRole(t, 'collector', { env })
    await produce(broker, round * 500, 500)
    await settled(collector, round * 500 + 100, 'in the middle of the work')
    await collector.kill('SIGKILL')
  }
  const collector = await startRole(t, 'collector', { env })
  await acknowledged(broker, 1500)
  const status = await collector.status()
  t.match(status, { received: 1500, duplicate: 0, dead: expectedDead(1500) })
  await collector.kill()
  t.same((await contents(dataDir)).values, expected(1500))
})

test('a store that another program locks is waited for', async (t) => {
  const { DatabaseSync } = await import('node:sqlite')
  const broker = await startRole(t, 'broker', { env: topics })
  const dataDir = temporaryFolder(t)
  const collector = await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: broker.url, DATA_DIR: dataDir } })
  const intruder = new DatabaseSync(`${dataDir}/store/penstock.db`)
  intruder.exec('BEGIN IMMEDIATE')
  await produce(broker, 0, 100)
  await collector.waitFor(/the database is locked/)
  t.equal((await fetch(`${collector.url}/ready`)).status, 503)
  t.match(await collector.status(), { received: 0, trouble: /another program holds it/ })
  intruder.exec('ROLLBACK')
  intruder.close()
  await acknowledged(broker, 100)
  t.match(await collector.status(), { received: 100 })
})

test('a second collector on the same store ends with a line that says so', async (t) => {
  const broker = await startRole(t, 'broker', { env: topics })
  const first = await startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: broker.url } })
  const second = startRole(t, 'collector', { env: { MSG_QUEUE_ADDR: broker.url, DATA_DIR: first.dataDir } })
  await t.rejects(second, /another process writes to it: only one collector/)
})

const start = Date.parse('2025-07-18T00:00:00Z')
const timeOf = (n: number): string => new Date(start + n * 1000).toISOString()
const isDead = (n: number): boolean => n % 500 === 499
const valueOf = (n: number): number | null => (n % 125 === 0 ? null : n / 8)
const expectedDead = (count: number): number => Array.from({ length: count }, (_, n) => n).filter(isDead).length

function expected(count: number): (readonly [string, number | null])[] {
  const all = Array.from({ length: count }, (_, n) => n).filter((n) => !isDead(n))
  return all.map((n) => [new Date(start + n * 1000).toISOString().replace('.000', ''), valueOf(n)])
}

async function produce(broker: StartedRole, from: number, count: number): Promise<void> {
  const producer = new Client({ url: broker.url }).producer({ topic: 'telemetry' })
  const gpu = { kind: 'gpu', metric: 'DCGM_FI_DEV_POWER_USAGE' }
  const records = Array.from({ length: count }, (_, index) => {
    const n = from + index
    const data = isDead(n)
      ? `no record ${n}`
      : JSON.stringify({ ...gpu, uuid: `GPU-${n % 2}`, time: timeOf(n), value: valueOf(n) })
    return { data, partition: n % 2 }
  })
  await producer.send(records)
  await producer.close()
}

/** Until the ledger has so many records. */
async function settled(collector: StartedRole, count: number, what: string): Promise<void> {
  await poll(what, async () => Number((await collector.status())['received']) >= count)
}

/** Until the broker knows that the group is done with so many records. */
async function acknowledged(broker: StartedRole, count: number): Promise<void> {
  await poll(`${count} acknowledged`, async () => {
    const { topics } = (await broker.status()) as {
      topics: Record<string, { records: number; groups: Record<string, { lag: number }> }>
    }
    const telemetry = topics['telemetry']
    return telemetry?.records === count && telemetry.groups['collector']?.lag === 0
  })
}

async function poll(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not within 20 s: ${what}`)
    await sleep(10)
  }
}

async function contents(dataDir: string) {
  const store = await openStore({ dataDir }, { readOnly: true })
  try {
    const series = await store.range({ metric: 'DCGM_FI_DEV_POWER_USAGE' })
    const values = series.flatMap(({ values }) => values.map(({ time, value }) => [time, value] as const))
    return { totals: await store.totals(), values: values.sort(([a], [b]) => (a < b ? -1 : 1)) }
  } finally {
    await store.close()
  }
}

/** Stands before a broker and swallows acknowledgements. */
async function deafToAcks(t: Scope, url: string): Promise<{ readonly url: string; readonly asked: Promise<void> }> {
  const asked = Promise.withResolvers<void>()
  const gate = await between(t, url, (path) => {
    if (path.startsWith('/ack')) asked.resolve()
    return path.startsWith('/ack') ? undefined : new PassThrough()
  })
  return { url: gate, asked: asked.promise }
}

/** Stands before a broker and loses one batch of its streams, once, as a fault of a server on the way would. */
async function losing(
  t: Scope,
  url: string,
  { firstOffset }: { readonly firstOffset: number },
): Promise<{ readonly url: string }> {
  let isLost = false
  const header = Buffer.from(`: batch ${String(firstOffset).padStart(16, '0')} `)
  const gate = await between(t, url, () => {
    let held = Buffer.alloc(0)
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        if (isLost) return done(null, chunk)
        held = Buffer.concat([held, chunk])
        const at = held.indexOf(header)
        const [line] = at === -1 ? [''] : held.toString('latin1', at).split('\n', 1)
        const end = at + Number(line?.split(' ')[4]) + (line?.length ?? 0) + 1
        if (at === -1 || held.length < end) {
          const whole = at === -1 ? Math.max(0, held.lastIndexOf(': batch ')) : at
          this.push(held.subarray(0, whole))
          held = held.subarray(whole)
          return done()
        }
        isLost = true
        this.push(held.subarray(0, at))
        return done(null, held.subarray(end))
      },
    })
  })
  return { url: gate }
}

/** Stands before a broker. @param way what an answer goes through, by the path of its question; `undefined`: there is no answer */
async function between(t: Scope, url: string, way: (path: string) => Transform | undefined): Promise<string> {
  return listen(t, (incoming, answer) => {
    const { method, headers, url: path = '/' } = incoming
    const through = way(path)
    if (through === undefined) return
    const outgoing = request(new URL(path, url), { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(through).pipe(answer)
    })
    outgoing.on('error', () => answer.destroy())
    answer.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  })
}
