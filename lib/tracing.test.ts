import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'tap'
import { listen } from '#test/listen'
import { logTo } from './log.ts'
import { createMetrics } from './metrics.ts'
import { readSettings, SettingsError } from './settings.ts'
import { openTracer, spanFigures, Tracer, type TracerOptions, tracingSettings } from './tracing.ts'

const silent = logTo('test', 'silent', { write() {} })

/** A tracer whose requests are answered by a function. */
function tracerTo(send: typeof fetch, options: Partial<TracerOptions> = {}) {
  const metrics = createMetrics('test')
  const lines: string[] = []
  const log = { warn: (line: string) => void lines.push(line), info: (line: string) => void lines.push(line) }
  const tracer = new Tracer({
    endpoint: 'http://collector.example',
    headers: {},
    service: 'test',
    ratio: 1,
    log,
    figures: spanFigures(metrics),
    fetch: send,
    ...options,
  })
  const count = async (result: string): Promise<number> => {
    const { body } = await metrics.text()
    return Number(new RegExp(`penstock_trace_spans_total\\{[^}]*result="${result}"[^}]*\\} (\\d+)`).exec(body)?.[1])
  }
  return { tracer, lines, count }
}

test('spans are told as OTLP/HTTP JSON wants them', async (t) => {
  const seen: { url: string; headers: IncomingHttpHeaders; body: any }[] = []
  const url = await listen(t, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body: unknown = JSON.parse(Buffer.concat(parts).toString())
      seen.push({ url: request.url ?? '', headers: request.headers, body })
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  const settings = readSettings(tracingSettings, {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b, x-other=c',
      OTEL_TRACES_SAMPLER_ARG: '1',
    },
  })
  const tracer = openTracer(settings, { log: silent, metrics: createMetrics('broker') }) as Tracer
  const beforeMs = Date.now()
  const parent = tracer.begin('a', 'server')
  const child = tracer.child('b', parent?.trace)
  child?.end({ topic: 'telemetry', records: 3, share: 0.5, whole: true }, new Error('it broke'))
  parent?.end()
  await tracer.close()
  const [post] = seen
  t.equal(post?.url, '/v1/traces')
  t.match(post?.headers, { 'content-type': 'application/json', 'x-key': 'a b', 'x-other': 'c' })
  const { resource, scopeSpans } = (post as (typeof seen)[0]).body.resourceSpans[0]
  t.same(resource.attributes[0], { key: 'service.name', value: { stringValue: 'penstock-broker' } })
  const [b, a] = scopeSpans[0].spans
  t.match(a, { name: 'a', kind: 2, traceId: /^[0-9a-f]{32}$/, spanId: /^[0-9a-f]{16}$/, status: {} })
  t.notOk('parentSpanId' in a)
  t.match(b, { name: 'b', kind: 1, traceId: a.traceId, parentSpanId: a.spanId })
  t.same(b.status, { code: 2, message: 'it broke' })
  t.same(b.attributes, [
    { key: 'topic', value: { stringValue: 'telemetry' } },
    { key: 'records', value: { intValue: '3' } },
    { key: 'share', value: { doubleValue: 0.5 } },
    { key: 'whole', value: { boolValue: true } },
  ])
  const startMs = Number(BigInt(a.startTimeUnixNano) / 1_000_000n)
  t.ok(startMs >= beforeMs - 5 && startMs <= Date.now() + 5, `${startMs} is about ${beforeMs}`)
  t.ok(BigInt(a.endTimeUnixNano) >= BigInt(b.endTimeUnixNano))
})

test('an endpoint that is away costs spans beyond the bound, one line, and nothing else', async (t) => {
  let isAway = true
  const sent: number[] = []
  const { tracer, lines, count } = tracerTo(async (_, init) => {
    if (isAway) throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })
    sent.push(JSON.parse(init?.body as string).resourceSpans[0].scopeSpans[0].spans.length)
    return new Response('{}')
  })
  for (let at = 0; at < 3_000; at++) tracer.begin('a')?.end()
  await new Promise((resolve) => setImmediate(resolve))
  for (let at = 0; at < 3_000; at++) tracer.begin('a')?.end()
  t.equal(await count('dropped'), 6_000 - 2_048)
  t.match(lines, [/not sent to http:\/\/collector\.example.*ECONNREFUSED/])
  isAway = false
  await tracer.close()
  t.same(sent, [512, 512, 512, 512], 'what waited is sent when it is back')
  t.equal(await count('exported'), 2_048)
  t.match(lines[1], /again/)
  t.equal(lines.length, 2)
})

test('what the endpoint refuses is counted, and not sent again', async (t) => {
  const refusing = tracerTo(async () => new Response('no', { status: 400 }))
  refusing.tracer.begin('a')?.end()
  await refusing.tracer.close()
  t.equal(await refusing.count('refused'), 1)
  t.equal(await refusing.count('dropped'), 0)
  const partial = tracerTo(async () => Response.json({ partialSuccess: { rejectedSpans: '1' } }))
  for (let at = 0; at < 3; at++) partial.tracer.begin('a')?.end()
  await partial.tracer.close()
  t.equal(await partial.count('refused'), 1)
  t.equal(await partial.count('exported'), 2)
})

test('a stop does not wait for an endpoint that does not answer', async (t) => {
  const { tracer, count } = tracerTo(
    (_, init) => new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))),
  )
  tracer.begin('a')?.end()
  const startedMs = performance.now()
  await tracer.close()
  t.ok(performance.now() - startedMs < 5_000)
  t.equal(await count('dropped'), 1)
})

test('what is not drawn, or not sampled by who began it, makes no span', async (t) => {
  const { tracer } = tracerTo(async () => new Response('{}'), { ratio: 0 })
  t.equal(tracer.begin('a'), undefined)
  t.equal(tracer.child('a', undefined), undefined)
  const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) }
  t.equal(tracer.child('a', { ...trace, sampled: false }), undefined)
  t.not(tracer.child('a', { ...trace, sampled: true }), undefined)
  await tracer.close()
})

test('without an endpoint there is no tracer; wrong settings are named, secrets are not shown', async (t) => {
  const settings = readSettings(tracingSettings, { env: {} })
  t.equal(settings.traceRatio, 0.01)
  t.equal(openTracer(settings, { log: silent, metrics: createMetrics('test') }), undefined)
  const env = {
    OTEL_TRACES_SAMPLER_ARG: '1.5',
    OTEL_EXPORTER_OTLP_HEADERS: 'hunter2',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'x',
  }
  t.throws(() => readSettings(tracingSettings, { env }), SettingsError)
  try {
    readSettings(tracingSettings, { env })
  } catch (error) {
    t.match((error as Error).message, /OTEL_TRACES_SAMPLER_ARG=1\.5: want a number from 0 to 1/)
    t.notMatch((error as Error).message, /hunter2/)
  }
})
