/** One trace from the row to the stored point: real roles, and a receiver of OTLP. */

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { Client } from '#wire/client'
import { listen } from './listen.ts'
import { type Scope, startRole, temporaryFolder } from './start.ts'

interface Span {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code?: number }
}

/** Each span, with the one that is its parent. */
const wanted: Readonly<Record<string, readonly [service: string, parent: string | undefined]>> = {
  'streamer batch': ['penstock-streamer', undefined],
  'streamer read': ['penstock-streamer', 'streamer batch'],
  'streamer produce': ['penstock-streamer', 'streamer batch'],
  'proxy forward': ['penstock-proxy', 'streamer produce'],
  'broker append': ['penstock-broker', 'proxy forward'],
  'broker commit': ['penstock-broker', 'broker append'],
  'collector settle': ['penstock-collector', 'broker append'],
  'collector transform': ['penstock-collector', 'collector settle'],
  'store write': ['penstock-collector', 'collector settle'],
  'collector ack': ['penstock-collector', 'collector settle'],
}

test('one trace goes from the file to the store, through every process, with right parents and times', async (t) => {
  const receiver = await startReceiver(t)
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_TRACES_SAMPLER_ARG: '1' }
  const topics = 'telemetry:partitions=1:durability=fsync,transfers:partitions=1'
  const broker = await startRole(t, 'broker', { env: { ...env, TOPICS: topics } })
  const proxy = await startRole(t, 'proxy', { env: { ...env, BROKERS: broker.url } })
  const collector = await startRole(t, 'collector', { env: { ...env, MSG_QUEUE_ADDR: proxy.url } })
  const file = join(temporaryFolder(t), 'rows.csv')
  const rows = Array.from({ length: 100 }, (_, at) => `${1_752_871_354 + at},DCGM_FI_DEV_GPU_TEMP,GPU-1,${at}`)
  writeFileSync(file, `timestamp,metric_name,uuid,value\n${rows.join('\n')}\n`)
  const beforeMs = Date.now()
  const streamer = await startRole(t, 'streamer', { env: { ...env, MSG_QUEUE_ADDR: proxy.url, CSV: file } })
  while (Number((await collector.status())['stored']) < 100) await sleep(20)
  // A stop sends what waits, so nobody here waits for the clock.
  for (const role of [streamer, collector, proxy, broker]) t.same(await role.kill(), { code: 0, signal: null })
  const afterMs = Date.now()

  t.equal(new Set(receiver.spans.map(({ traceId }) => traceId)).size, 1, 'one batch, one trace')
  const byName = new Map(receiver.spans.map((span) => [span.name, span]))
  t.same([...byName.keys()].sort(), Object.keys(wanted).sort())
  t.equal(receiver.spans.length, byName.size, 'each once')
  for (const [name, [service, parentName]] of Object.entries(wanted)) {
    const span = byName.get(name) as Span
    t.equal(span.service, service, name)
    t.equal(
      span.parentSpanId,
      parentName === undefined ? undefined : byName.get(parentName)?.spanId,
      `parent of ${name}`,
    )
    const [start, end] = [millisecondsOf(span.startTimeUnixNano), millisecondsOf(span.endTimeUnixNano)]
    t.ok(start >= beforeMs - 5 && start <= end && end <= afterMs + 5, `times of ${name}: ${start} to ${end}`)
    t.equal(span.status.code, undefined, name)
    const parent = parentName === undefined ? undefined : byName.get(parentName)
    // Two processes read the wall clock each for themselves.
    if (parent !== undefined)
      t.ok(start >= millisecondsOf(parent.startTimeUnixNano) - 5, `${name} begins in its parent`)
  }
  const append = byName.get('broker append') as Span
  const [path] = globSync(join(broker.dataDir, 'telemetry/partition-0/*.log'))
  const head = readFileSync(path as string, 'utf8')
    .split('\n')
    .find((line) => line.startsWith(': batch '))
  t.match(head, ` trace=${append.traceId}-${append.spanId} `, 'the batch header names the append')
  const again = await startRole(t, 'broker', { env: { TOPICS: topics, DATA_DIR: broker.dataDir } })
  let records = 0
  for await (const messages of new Client({ url: again.url })
    .consumer({ topic: 'telemetry', from: 'earliest' })
    .batches()) {
    records += messages.length
    if (records >= 100) break
  }
  t.equal(records, 100, 'a log with traces is opened again, and read')

  const order = [
    'streamer read',
    'proxy forward',
    'broker commit',
    'collector transform',
    'store write',
    'collector ack',
  ]
  const starts = order.map((name) => millisecondsOf(byName.get(name)?.startTimeUnixNano ?? '0'))
  for (const [at, start] of starts.entries()) {
    if (at > 0) t.ok(start >= (starts[at - 1] as number) - 5, `${order[at]} comes after ${order[at - 1]}`)
  }
})

test('a log level is changed while a role runs: by a request with the token, and by SIGUSR2', async (t) => {
  const broker = await startRole(t, 'broker', { env: { TOPICS: 'telemetry', SERVICE_TOKEN: 'secret' } })
  const put = (level: string, token = 'secret') =>
    fetch(`${broker.url}/log-level?level=${level}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` },
    })
  t.equal((await put('debug', 'wrong')).status, 401)
  t.equal((await put('loud')).status, 400)
  t.same(await (await put('debug')).json(), { level: 'debug' })
  await broker.waitFor(/"from":"info","to":"debug".*the log level is changed by PUT/)
  await broker.waitFor(new RegExp(`"trace":"${'a'.repeat(32)}".*"answered"`))
  t.same(await (await put('warn')).json(), { level: 'warn' })
  process.kill(broker.pid, 'SIGUSR2')
  await broker.waitFor(/"from":"warn","to":"debug".*SIGUSR2/)
  process.kill(broker.pid, 'SIGUSR2')
  await broker.waitFor(/"from":"debug","to":"info".*SIGUSR2/)
})

function millisecondsOf(nanoseconds: string): number {
  return Number(nanoseconds) / 1e6
}

/** Takes `POST /v1/traces` as an OpenTelemetry collector does. */
async function startReceiver(t: Scope): Promise<{ readonly url: string; readonly spans: readonly Span[] }> {
  const spans: Span[] = []
  const url = await listen(t, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(parts).toString()) as { resourceSpans: any[] }
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = resource.attributes.find(({ key }: { key: string }) => key === 'service.name').value.stringValue
        for (const { spans: own } of scopeSpans) spans.push(...own.map((span: object) => ({ service, ...span })))
      }
      response.setHeader('content-type', 'application/json').end('{"partialSuccess":{}}')
    })
  })
  return { url, spans }
}
