import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { boundedLabel, createMetrics, secondsBuckets } from './metrics.ts'
import { version } from './version.ts'

async function linesOf(metrics: ReturnType<typeof createMetrics>, name: string): Promise<string[]> {
  const { body } = await metrics.text()
  return body.split('\n').filter((line) => line.startsWith(name))
}

test('a counter and a gauge show what they hold, with the label role', async (t) => {
  const metrics = createMetrics('broker')
  const produced = metrics.counter('messages_produced_total', 'h', ['topic']).with({ topic: 'telemetry' })
  const open = metrics.gauge('penstock_streams', 'h')
  const total = metrics.counter('penstock_total', 'h')
  t.same(await linesOf(metrics, 'penstock_total'), ['penstock_total{role="broker"} 0'])
  produced.inc()
  produced.inc(41)
  open.set(5)
  open.inc()
  open.dec(2)
  total.inc()
  // Asked twice: what is shown does not add up.
  for (let pass = 0; pass < 2; pass++) {
    t.same(await linesOf(metrics, 'messages_produced'), ['messages_produced_total{topic="telemetry",role="broker"} 42'])
    t.same(await linesOf(metrics, 'penstock_streams'), ['penstock_streams{role="broker"} 4'])
    t.same(await linesOf(metrics, 'penstock_total'), ['penstock_total{role="broker"} 1'])
  }
})

test('a member of a family is one, in whatever order its labels are named, until it is removed', async (t) => {
  const metrics = createMetrics('broker')
  const size = metrics.gauge('message_queue_size', 'h', ['topic', 'partition'])
  size.with({ topic: 'a', partition: '0' }).set(1)
  size.with({ partition: '0', topic: 'a' }).inc()
  size.with({ topic: 'a', partition: '1' }).set(7)
  t.equal((await linesOf(metrics, 'message_queue_size')).length, 2)
  size.remove({ partition: '1', topic: 'a' })
  t.same(await linesOf(metrics, 'message_queue_size'), ['message_queue_size{topic="a",partition="0",role="broker"} 2'])
})

test('a label cannot forge a line', async (t) => {
  const metrics = createMetrics('broker')
  metrics.counter('x_total', 'h', ['a']).with({ a: 'q"\n\\forged_total 1' }).inc()
  t.same(await linesOf(metrics, 'x_total'), ['x_total{a="q\\"\\n\\\\forged_total 1",role="broker"} 1'])
  t.same(await linesOf(metrics, 'forged'), [])
})

test('a histogram counts into buckets', async (t) => {
  const metrics = createMetrics('collector')
  const seconds = metrics.histogram('message_processing_duration_seconds', 'h', [0.1, 1], ['topic'])
  seconds.with({ topic: 'a' }).observe(0.5)
  metrics.histogram('plain_seconds', 'h').observe(0.5)
  const lines = await linesOf(metrics, 'message_processing_duration_seconds')
  t.match(
    lines.find((line) => line.includes('le="0.1"')),
    / 0$/,
  )
  t.match(
    lines.find((line) => line.includes('le="1"')),
    / 1$/,
  )
  t.same(await linesOf(metrics, 'plain_seconds_count'), ['plain_seconds_count{role="collector"} 1'])
})

test('what is set before a scrape is in it', async (t) => {
  const metrics = createMetrics('broker')
  const gauge = metrics.gauge('penstock_lag', 'h')
  metrics.onScrape(() => gauge.set(17))
  t.same(await linesOf(metrics, 'penstock_lag'), ['penstock_lag{role="broker"} 17'])
})

test('the build, and Node itself without its lists of open handles', async (t) => {
  const metrics = createMetrics('broker')
  t.same(await linesOf(metrics, 'penstock_build_info'), [`penstock_build_info{version="${version}",role="broker"} 1`])
  t.equal((await linesOf(metrics, 'process_cpu_user_seconds_total')).length, 1)
  t.same(await linesOf(metrics, 'nodejs_active'), [])
  t.match((await metrics.text()).type, 'text/plain; version=0.0.4')
})

test('a histogram says what counting one by one says', async () => {
  const values = fc.array(fc.double({ min: -1, max: 12, noNaN: true }), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(values, async (observed) => {
      const metrics = createMetrics('collector')
      const seconds = metrics.histogram('x_seconds', 'h', secondsBuckets)
      for (const value of observed) seconds.observe(value)
      const lines = await linesOf(metrics, 'x_seconds')
      const expected = [...secondsBuckets, Infinity].map((bound) => {
        const le = bound === Infinity ? '+Inf' : String(bound)
        return `x_seconds_bucket{le="${le}",role="collector"} ${observed.filter((value) => value <= bound).length}`
      })
      assert.deepEqual(lines.slice(0, expected.length), expected)
      assert.equal(lines.at(-1), `x_seconds_count{role="collector"} ${observed.length}`)
    }),
    { numRuns: 30 },
  )
})

test('a label that others choose has so many values at most', async (t) => {
  const label = boundedLabel(2)
  t.same(['a', 'b', 'c', 'a', 'd'].map(label), ['a', 'b', 'other', 'a', 'other'])
})

test('what was registered is described, what Node has included, and members can be forgotten', async (t) => {
  const metrics = createMetrics('broker')
  const open = metrics.gauge('penstock_open', 'How many', ['topic'])
  metrics.histogram('penstock_seconds', 'How long', [1, 2])
  const described = new Map(metrics.described.map((metric) => [metric.name, metric]))
  t.match(described.get('penstock_open'), { type: 'gauge', help: 'How many', labels: ['topic'] })
  t.match(described.get('penstock_seconds'), { type: 'histogram', labels: [], buckets: [1, 2] })
  t.match(described.get('nodejs_gc_duration_seconds'), { type: 'histogram', labels: ['kind'] })
  t.equal(described.has('nodejs_active_handles'), false)
  open.with({ topic: 'a' }).set(1)
  open.clear()
  open.with({ topic: 'b' }).set(2)
  t.same(await linesOf(metrics, 'penstock_open'), ['penstock_open{topic="b",role="broker"} 2'])
})
