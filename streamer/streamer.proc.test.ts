import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { root, startPenstock, startRole, temporaryFolder, type StartedRole } from '#test/start'
import { SseParser } from '#wire/sse'
import { startFakeBroker, type FakeBroker } from '#test/fake-broker'

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

/** The records of a topic as they come, by metric and value. */
async function* follow(url: string, signal: AbortSignal): AsyncGenerator<string> {
  const stream = await fetch(`${url}/consume?topic=telemetry&from=earliest`, { signal })
  const found: string[] = []
  const parser = new SseParser({
    onEvent({ data }) {
      const { metric, value } = JSON.parse(data) as { metric: string; value: number }
      found.push(`${metric} ${value}`)
    },
  })
  for await (const chunk of stream.body as ReadableStream<Uint8Array>) {
    parser.feed(new TextDecoder().decode(chunk))
    yield* found.splice(0)
  }
}

const smiHeader = 'timestamp, index, uuid, name, utilization.gpu [%], memory.used [MiB]\n'

function smiRow(second: number): string {
  return `2026/11/22 12:00:${String(second).padStart(2, '0')}.123, 0, GPU-1, NVIDIA H100, ${second} %, ${1000 + second} MiB\n`
}

test('nvidia-smi piped into a streamer: each row is at the broker at once, and the end of the pipe is its end', async (t) => {
  const broker = await startRole(t, 'broker', { env: { TOPICS: 'telemetry:partitions=1,transfers:partitions=1' } })
  const dataDir = temporaryFolder(t)
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const records = follow(broker.url, stop.signal)
  const env = { PORT: '0', DATA_DIR: dataDir, MSG_QUEUE_ADDR: broker.url, SOURCE_HOST: 'h7' }
  const streamer = startPenstock(t, ['streamer', '--csv', '-'], { env, stdin: 'pipe' })
  streamer.stdin?.write(smiHeader + smiRow(1))
  const next = async (): Promise<unknown> => (await records.next()).value
  t.same([await next(), await next()], ['DCGM_FI_DEV_GPU_UTIL 1', 'DCGM_FI_DEV_FB_USED 1001'])
  for (const second of [2, 3]) {
    const sentMs = performance.now()
    streamer.stdin?.write(smiRow(second))
    t.same([await next(), await next()], [`DCGM_FI_DEV_GPU_UTIL ${second}`, `DCGM_FI_DEV_FB_USED ${1000 + second}`])
    const tookMs = performance.now() - sentMs
    t.ok(tookMs < 1000, `${Math.round(tookMs)} ms`)
  }
  // The last line lacks its end, as a file's may.
  streamer.stdin?.end(smiRow(4).trimEnd())
  t.same(await streamer.exited, { code: 0, signal: null }, streamer.tail())
  t.same([await next(), await next()], ['DCGM_FI_DEV_GPU_UTIL 4', 'DCGM_FI_DEV_FB_USED 1004'])
  t.same(readdirSync(dataDir), [], 'nothing is kept, so that pipes do not stand in the way of each other')
})

/** The values that a fake broker has, once they are so many. */
async function valuesAt(broker: FakeBroker, count: number): Promise<number[]> {
  for (;;) {
    const values = [...broker.logs]
      .filter(([log]) => log.startsWith('telemetry/'))
      .flatMap(([, records]) => records.map((data) => (JSON.parse(data) as { value: number }).value))
    if (values.length >= count) return values
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('a stop in the middle of a pipe sends what has come, but for half a line', async (t) => {
  const broker = await startFakeBroker()
  t.teardown(() => broker.close())
  const env = { PORT: '0', MSG_QUEUE_ADDR: broker.url }
  const streamer = startPenstock(t, ['streamer', '--csv', '-', '--rate', '4'], { env, stdin: 'pipe' })
  streamer.stdin?.write(smiHeader + smiRow(1))
  await valuesAt(broker, 2)
  // At 4 values a second these would take 5 s.
  const rows = Array.from({ length: 10 }, (_, at) => smiRow(at + 2))
  streamer.stdin?.write(rows.join('') + smiRow(40).slice(0, -8))
  await valuesAt(broker, 4)
  const end = await streamer.kill('SIGTERM')
  t.same(end, { code: 0, signal: null }, streamer.tail())
  const values = await valuesAt(broker, 0)
  t.equal(values.length, 22)
  t.equal(broker.logs.get('telemetry.dead/0'), undefined)
})

test('a stop while the broker is away says that what was read of a pipe is lost', async (t) => {
  const env = { PORT: '0', MSG_QUEUE_ADDR: 'http://127.0.0.1:9', STOP_GRACE: '100ms' }
  const streamer = startPenstock(t, ['streamer', '--csv', '-'], { env, stdin: 'pipe' })
  streamer.stdin?.write(smiHeader + smiRow(1))
  await streamer.waitFor((line) => line.includes('trying again'), 30_000)
  t.same(await streamer.kill('SIGTERM'), { code: 1, signal: null })
  t.match(streamer.stderr.join('\n'), /penstock streamer: stopped before the broker had acknowledged .*: it is lost/)
})

test('at four times its own pace and shifted to now', async (t) => {
  const broker = await startFakeBroker()
  t.teardown(() => broker.close())
  const env = { PORT: '0', MSG_QUEUE_ADDR: broker.url }
  const beginMs = Date.now()
  const args = ['streamer', '--csv', '-', '--speed', '4', '--times', 'now']
  const streamer = startPenstock(t, args, { env, stdin: 'pipe' })
  streamer.stdin?.end(smiHeader + smiRow(1) + smiRow(2) + smiRow(3))
  await valuesAt(broker, 2)
  const firstMs = performance.now()
  await valuesAt(broker, 6)
  const tookMs = performance.now() - firstMs
  t.ok(tookMs > 350, `the last one comes half a second after the first: ${Math.round(tookMs)} ms`)
  t.same(await streamer.exited, { code: 0, signal: null }, streamer.tail())
  const times = [...broker.logs.values()].flat().map((data) => Date.parse((JSON.parse(data) as { time: string }).time))
  const first = times[0] as number
  t.ok(first >= beginMs && first <= Date.now())
  t.same(
    times.map((ms) => ms - first),
    [0, 0, 1000, 1000, 2000, 2000],
  )
})

test('standard input that cannot be, or be read, is one line and a status', async (t) => {
  const broker = await startFakeBroker()
  t.teardown(() => broker.close())
  const env = { PORT: '0', MSG_QUEUE_ADDR: broker.url }
  const tried: [string[], number, RegExp][] = [
    [['--csv', '-,a.csv'], 2, /--csv: - is standard input, and stands alone: want it, or files, folders and globs/],
    [['--csv', '-', '--loop'], 2, /--loop reads files again, and standard input \(--csv -\) is gone/],
    [['--csv', '-'], 1, /^penstock streamer: standard input is empty: want CSV with a header line$/],
  ]
  for (const [args, code, line] of tried) {
    const streamer = startPenstock(t, ['streamer', ...args], { env })
    t.same(await streamer.exited, { code, signal: null }, streamer.tail())
    t.ok(
      streamer.stderr.some((each) => line.test(each)),
      streamer.tail(),
    )
  }
})
