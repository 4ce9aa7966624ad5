/**
 * The promise of the whole: whatever is killed in the middle, the table is exact at the end.
 *
 * Real processes, a file of a made-up fleet, `kill -9` of the broker, then the collector, then the streamer while rows are
 * under way. Afterwards every value in the store is held against the file, read by an obvious reader.
 */

import { createReadStream } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { t as thisFile, test } from 'tap'

import { openStore } from '#store/open'
import { sampleFiles } from '#streamer/fleet/sample'

import { startRole, temporaryFolder, type StartedRole } from './start.ts'
import { until } from './until.ts'

thisFile.setTimeout(600_000)

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

interface CollectorStatus {
  readonly received: number
  readonly stored: number
  readonly duplicate: number
  readonly not_reported: number
  readonly dead: number
}

interface StreamerStatus {
  readonly read: number
  readonly dead: number
  readonly done: boolean
}

test('kill -9 of the broker, the collector and the streamer: the table is exact', async (t) => {
  const folder = temporaryFolder(t)
  const { file, rows } = await writeSample(folder, isFull ? 30 : 12)

  const data = {
    broker: join(folder, 'broker'),
    collector: join(folder, 'collector'),
    streamer: join(folder, 'streamer'),
  }
  let broker = await startRole(t, 'broker', { env: { DATA_DIR: data.broker } })
  const brokerPort = String(broker.port)
  const common = { MSG_QUEUE_ADDR: broker.url }
  const startCollector = (): Promise<StartedRole> => {
    return startRole(t, 'collector', { env: { ...common, DATA_DIR: data.collector, BATCH_RECORDS: '500' } })
  }
  const startStreamer = (): Promise<StartedRole> => {
    // Slow enough that each kill comes in the middle.
    return startRole(t, 'streamer', {
      env: { ...common, DATA_DIR: data.streamer, CSV: file, RATE: String(Math.ceil(rows / 15)) },
    })
  }
  let collector = await startCollector()
  let streamer = await startStreamer()
  /** Waits until the collector has received more than it had, so that each kill comes while rows are under way. */
  const underWay = async (): Promise<void> => {
    const received = async (): Promise<number> => (await statusOf<CollectorStatus>(collector))?.received ?? 0
    const had = await received()
    await until(received, (now) => now > had + rows / 50)
  }

  await underWay()
  await broker.kill('SIGKILL')
  broker = await startRole(t, 'broker', { env: { DATA_DIR: data.broker, PORT: brokerPort } })
  await underWay()
  await collector.kill('SIGKILL')
  collector = await startCollector()
  await underWay()
  const before = await statusOf<StreamerStatus>(streamer)
  t.ok(before !== undefined && before.read < rows && !before.done, 'the streamer is killed in the middle')
  await streamer.kill('SIGKILL')
  streamer = await startStreamer()

  const read = await until(
    () => statusOf<StreamerStatus>(streamer),
    (status) => status?.done === true,
  )
  t.match(read, { read: rows, dead: 0 })
  const settled = await until(
    () => statusOf<CollectorStatus>(collector),
    (status) => {
      return status !== undefined && status.stored + status.not_reported >= rows
    },
  )
  t.equal(
    settled?.received,
    (settled?.stored ?? 0) + (settled?.duplicate ?? 0) + (settled?.not_reported ?? 0) + (settled?.dead ?? 0),
  )
  t.equal((settled?.stored ?? 0) + (settled?.not_reported ?? 0), rows)
  t.equal(settled?.duplicate, 0, 'the numbers of the producer left nothing to store twice')

  await Promise.all([streamer.kill(), collector.kill()])
  const wrong = await compare(file, data.collector)
  t.strictSame(wrong, [], 'every value of the file stands in the store')
})

/** One DCGM export of a fleet of 31 hosts. */
async function writeSample(folder: string, steps: number): Promise<{ file: string; rows: number }> {
  const startMs = Date.UTC(2026, 0, 1)
  let rows = 0
  let file = ''
  for (const piece of sampleFiles({
    seed: 7,
    hosts: 31,
    gpusPerHost: 8,
    startMs,
    stepMs: 1000,
    steps,
    transfersPerMinute: 0,
  })) {
    file = join(folder, piece.file)
    rows += piece.rows
    await appendFile(file, piece.text)
  }
  return { file, rows }
}

/** What differs between the file and the store, at most ten complaints. */
async function compare(file: string, dataDir: string): Promise<string[]> {
  const expected = new Map<string, number | null>()
  const lines = createInterface({ input: createReadStream(file) })
  for await (const line of lines) {
    // Fields are quoted and hold no quotes but in the last one, which nothing here needs.
    const fields = line.split('","').map((field) => field.replace(/^"|"$/g, ''))
    if (fields.length < 11) continue
    const [time, metric, , , uuid, , , , , , value] = fields
    expected.set(
      `${uuid} ${metric} ${Date.parse(time as string)}`,
      value === '' || value === '[N/A]' ? null : Number(value),
    )
  }
  const store = await openStore({ dataDir }, { readOnly: true })
  const wrong: string[] = []
  let found = 0
  try {
    for (const gpu of await store.gpus()) {
      for (const metric of gpu.metrics) {
        for (const series of await store.range({ metric, uuid: gpu.uuid, limit: 100_000 })) {
          for (const { time, value } of series.values) {
            found++
            const want = expected.get(`${gpu.uuid} ${metric} ${Date.parse(time)}`)
            if (value !== want && wrong.length < 10)
              wrong.push(`${gpu.uuid} ${metric} ${time}: ${value}, in the file ${want}`)
          }
        }
      }
    }
  } finally {
    await store.close()
  }
  if (found !== expected.size) wrong.push(`${found} values in the store, ${expected.size} in the file`)
  return wrong
}

/** The role's status; nothing while it is on its way up or down. */
async function statusOf<Status>(role: StartedRole): Promise<Status | undefined> {
  return role.status().then(
    (status) => status as Status,
    () => undefined,
  )
}
