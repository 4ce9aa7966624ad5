import { test } from 'tap'
import type { Pipeline } from '#api/contract'
import { type Findings, flowBetween, progressOf, sourceText, troublesOf } from './pipeline.ts'
import { nowMs, pipelineOf } from './samples.ts'

const fine: Findings = {
  link: { state: 'live' },
  upstream: { live: true, reason: null },
  pipeline: pipelineOf(),
  pipelineError: undefined,
  isOverloaded: false,
  nowMs,
}
const titles = (change: Partial<Findings>) => troublesOf({ ...fine, ...change }).map(({ title }) => title)
const refused = { state: 'down', error: 'connect ECONNREFUSED 127.0.0.1:8091' } as const

function withBroker(part: Partial<Pipeline['brokers'][number]>): Pipeline {
  const pipeline = pipelineOf()
  return {
    ...pipeline,
    brokers: [
      pipeline.brokers[0] as Pipeline['brokers'][number],
      { ...(pipeline.brokers[1] as Pipeline['brokers'][number]), ...part },
    ],
  }
}

test('nothing is said when all is well', (t) => {
  t.strictSame(titles({}), [])
  t.strictSame(titles({ pipeline: undefined, upstream: undefined }), [], 'nor before the first answer')
  t.end()
})

test('a broker that is down is named, with the reason and what it means', (t) => {
  const [trouble, ...others] = troublesOf({ ...fine, pipeline: withBroker(refused) })
  t.strictSame(others, [])
  t.match(trouble, { level: 'bad', title: 'Broker 1 is down', text: /ECONNREFUSED.*The others take new records/ })
  t.match(troublesOf({ ...fine, pipeline: withBroker({ state: 'starting' }) }), [
    { level: 'warn', title: 'Broker 1 is starting' },
  ])
  t.match(troublesOf({ ...fine, pipeline: withBroker({ ...refused, broker: null }) }), [
    { title: /^The broker at http/ },
  ])
  t.end()
})

test('the trouble of a broker stays the same one while its reason changes', (t) => {
  const ids = ['one', 'two'].map((error) => troublesOf({ ...fine, pipeline: withBroker({ ...refused, error }) })[0]?.id)
  t.equal(ids[0], ids[1])
  t.end()
})

test('an interrupted stream is said when a person would notice it', (t) => {
  t.strictSame(titles({ link: { state: 'waiting', reason: 'x', sinceMs: nowMs - 500 } }), [])
  t.strictSame(titles({ link: { state: 'waiting', reason: 'x', sinceMs: nowMs - 5_000 } }), [
    'The live stream is interrupted',
  ])
  t.end()
})

test('an API that is asked too much is said beside what else is wrong', (t) => {
  t.strictSame(titles({ isOverloaded: true }), ['More is asked of the API than it can answer'])
  t.strictSame(titles({ isOverloaded: true, pipeline: withBroker(refused) }), [
    'Broker 1 is down',
    'More is asked of the API than it can answer',
  ])
  t.end()
})

test('an API that does not answer is one trouble, not five', (t) => {
  const link = { state: 'waiting', reason: 'no connection', sinceMs: nowMs - 9_000 } as const
  t.strictSame(titles({ link, pipelineError: 'no connection', pipeline: withBroker(refused) }), [
    'The API does not answer',
  ])
  t.end()
})

test('the API reaching no broker is said once: by the broker, where that is known', (t) => {
  const upstream = { live: false, reason: 'the broker does not answer' }
  t.strictSame(titles({ upstream }), ['No live records now'])
  t.strictSame(titles({ upstream, pipeline: withBroker(refused) }), ['Broker 1 is down'])
  t.strictSame(titles({ upstream: { live: false, reason: 'connecting' } }), [])
  t.end()
})

test('a store that is away is one trouble: the collector that waits for it is none', (t) => {
  const { collector, store } = pipelineOf()
  const away = { state: 'down', error: 'ECONNREFUSED' } as const
  const waits = {
    ...(collector as NonNullable<typeof collector>),
    state: 'starting',
    error: 'the store: ECONNREFUSED',
  } as const
  t.strictSame(titles({ pipeline: pipelineOf({ store: { ...store, ...away }, collector: waits }) }), [
    'The store is down',
  ])
  t.strictSame(titles({ pipeline: pipelineOf({ collector: waits }) }), ['The collector is starting'])
  t.end()
})

test('a source that cannot be read, and a group that is behind', (t) => {
  const source = { name: '/data/metrics.csv', rows: 0, dead: 0, bytes: 0, size: 10, done: false, error: 'no header' }
  const streamer = { state: 'up', error: null, read: 0, sent: 0, dead: 0, done: false, sources: [source] } as const
  t.strictSame(titles({ pipeline: pipelineOf({ streamer: { ...streamer, sources: [source] } }) }), [
    'metrics.csv cannot be read on',
  ])
  const group = {
    name: 'collector',
    mode: 'exclusive',
    lag: 1_234,
    in_flight: 9,
    oldest_unacknowledged_s: 90,
    consumers: 0,
  }
  const topics = [{ name: 'telemetry', records: 0, produced: 0, bytes: 0, dead: 0, groups: [group] }]
  t.match(troublesOf({ ...fine, pipeline: pipelineOf({ topics }) }), [
    { level: 'warn', text: /1,234 records of telemetry wait/ },
  ])
  t.end()
})

test('flow is what came between two answers, and unknown when a broker went or came', (t) => {
  const topic = (produced: number) => [{ name: 'telemetry', records: 0, produced, bytes: 0, dead: 0, groups: [] }]
  const before = pipelineOf({ topics: topic(100) })
  const later = { as_of: new Date(nowMs + 2_000).toISOString() }
  t.equal(flowBetween(before, pipelineOf({ ...later, topics: topic(500) })).produced, 200)
  t.equal(flowBetween(undefined, before).produced, undefined)
  t.equal(flowBetween(before, { ...withBroker(refused), ...later, topics: topic(50) }).produced, undefined)
  t.end()
})

test('the source in a few words, and how far it is', (t) => {
  const source = (name: string, bytes: number, size: number | null) => ({
    name,
    rows: 0,
    dead: 0,
    bytes,
    size,
    done: false,
    error: null,
  })
  const of = (sources: ReturnType<typeof source>[]) => {
    const streamer = { state: 'up' as const, error: null, read: 0, sent: 0, dead: 0, done: false, sources }
    return { demo: false, streamer }
  }
  t.equal(sourceText(of([source('/a/dcgm.csv', 1, 2)])), 'dcgm.csv')
  t.equal(sourceText(of([source('/a/dcgm.csv', 1, 2), source('b', 0, 0)])), 'dcgm.csv and 1 more')
  t.equal(sourceText({ demo: true, streamer: null }), 'demo fleet')
  t.equal(sourceText(of([])), 'records sent to the API or the brokers')
  t.equal(progressOf(of([source('a', 25, 50), source('b', 0, 50)])), 25)
  t.equal(progressOf(of([source('a', 25, null)])), undefined)
  t.equal(progressOf(of([source('demo', 0, 0)])), undefined)
  t.end()
})
