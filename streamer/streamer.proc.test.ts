import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { root, startRole, temporaryFolder, type StartedRole } from '#test/start'
import { SseParser } from '#wire/sse'
import { startFakeBroker } from '#test/fake-broker'

const sample = join(root, '../shared/data/dcgm_metrics_20250718_134233.csv')

interface Status {
  readonly read: number
  readonly dead: number
  readonly done: boolean
  readonly sources: readonly { readonly name: string; readonly rows: number; readonly error?: string }[]
}

/** Asks until the status is as wanted: the streamer has no event for what a checkpoint holds. */
async function until(role: StartedRole, wanted: (status: Status) => boolean): Promise<Status> {
  for (;;) {
    const status = (await role.status()) as unknown as Status
    if (wanted(status)) return status
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('killed by SIGKILL again and again, the process sends each row once', async (t) => {
  const broker = await startFakeBroker()
  t.teardown(() => broker.close())
  const folder = temporaryFolder(t)
  const path = join(folder, 'a.csv')
  const rows = Array.from(
    { length: 4000 },
    (_, at) => `${1_752_871_354 + at},M,GPU-${at % 5},${at % 100 === 7 ? 'bad' : at}`,
  )
  writeFileSync(path, `timestamp,metric_name,uuid,value\n${rows.join('\n')}\n`)
  const env = { DATA_DIR: join(folder, 'data'), MSG_QUEUE_ADDR: broker.url, CSV: path, RATE: '4000' }
  let before = 0
  for (let kill = 0; kill < 3; kill++) {
    const streamer = await startRole(t, 'streamer', { env })
    const from = before
    before = (await until(streamer, ({ read }) => read > from + 300)).read
    await streamer.kill('SIGKILL')
  }
  const streamer = await startRole(t, 'streamer', { env })
  t.match(await until(streamer, ({ done }) => done), { read: 4000, dead: 40, sent: 3960 })
  const values = [...broker.logs]
    .filter(([log]) => log.startsWith('telemetry/'))
    .flatMap(([, records]) => records.map((data) => (JSON.parse(data) as { value: number }).value))
  t.same(
    values.sort((a, b) => a - b),
    Array.from({ length: 4000 }, (_, at) => at).filter((at) => at % 100 !== 7),
  )
  t.equal(broker.logs.get('telemetry.dead/0')?.length, 40)
  t.same(await streamer.kill(), { code: 0, signal: null })
})

test('it serves what it sends, its figures, and keeps serving when a source is wrong', async (t) => {
  const broker = await startFakeBroker()
  t.teardown(() => broker.close())
  const folder = temporaryFolder(t)
  const good = existsSync(sample) ? sample : join(folder, 'good.csv')
  if (good !== sample) writeFileSync(good, 'timestamp,metric_name,uuid,value\n1752871354,M,GPU-1,1\n')
  const late = join(folder, 'late.csv')
  const env = { MSG_QUEUE_ADDR: broker.url, CSV: `/nowhere/x.csv,${good},${folder}`, RESCAN: '100ms' }
  const streamer = await startRole(t, 'streamer', { env })
  const status = await until(streamer, ({ done }) => done)
  t.match(status.sources[0], { name: 'x.csv', error: '/nowhere/x.csv does not exist' })
  if (good === sample) t.equal(status.read, 2470)

  const stream = await fetch(`${streamer.url}/stream`)
  t.equal(stream.headers.get('content-type'), 'text/event-stream')
  const event = new Promise<string>((resolve) => {
    const parser = new SseParser({ onEvent: ({ data }) => resolve(data) })
    void (async () => {
      for await (const chunk of stream.body as ReadableStream<Uint8Array>) parser.feed(new TextDecoder().decode(chunk))
    })().catch(() => {})
  })
  writeFileSync(late, 'timestamp,metric_name,uuid,value\n1752871354,LATE,GPU-1,1\n')
  t.match(JSON.parse(await event), { metric: 'LATE', value: 1 })
  await until(streamer, ({ read, done }) => done && read === status.read + 1)
  const metrics = await (await fetch(`${streamer.url}/metrics`)).text()
  t.match(metrics, new RegExp(`telemetry_data_points_total\\{role="streamer"\\} ${status.read + 1}`))
  t.match(metrics, /penstock_streamer_sources\{state="failed",role="streamer"\} 1/)
})
