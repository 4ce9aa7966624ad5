import { Compile } from 'typebox/compile'
import { test } from 'tap'
import { noCounts } from '#store/store'
import { type Findings, membersOf, pipelineOf } from './parts.ts'
import { pipeline } from '../schemas/pipeline.ts'

const isPipeline = Compile(pipeline)
const store = { ...noCounts, stored: 7, bytes: 4096, error: null }

const brokerStatus = (broker: number, lag: number, records: number) => ({
  role: 'broker',
  broker,
  version: '0.1.0',
  uptime_s: 5,
  topics: {
    telemetry: {
      records,
      produced: records + 10,
      bytes: 100,
      groups: { collector: { mode: 'exclusive', lag, in_flight: 1, consumers: 1, oldest_unacknowledged_s: lag } },
    },
    'telemetry.dead': { records: 2, produced: 2, bytes: 10, groups: {} },
  },
})

const member = (broker: number) => ({ url: `http://b${broker}`, broker, draining: false })

test('topics, groups and dead letters are summed over the brokers', (t) => {
  const found: Findings = {
    queue: { url: 'http://proxy', body: { role: 'proxy' } },
    behindProxy: true,
    brokers: [
      { member: member(0), asked: { url: 'http://b0', body: brokerStatus(0, 3, 20) } },
      { member: member(1), asked: { url: 'http://b1', body: brokerStatus(1, 4, 30) } },
    ],
    collector: { url: 'http://c', body: { stored: 7, pending: 1 } },
    streamer: { url: 'http://s', body: { read: 9, sources: [{ name: 'a.csv', rows: 9, done: true }], done: true } },
    store,
  }
  const told = pipelineOf(found, 'collector', 0, true)
  t.same(isPipeline.Errors(told), [])
  t.match(told, {
    state: 'ok',
    demo: true,
    proxy: { state: 'up' },
    totals: { stored: 7, dead: 4, lag: 7, pending: 7 },
    streamer: { read: 9, sources: [{ name: 'a.csv', rows: 9, done: true, error: null }] },
  })
  t.match(told.topics, [
    {
      name: 'telemetry',
      records: 50,
      produced: 70,
      dead: 4,
      groups: [{ name: 'collector', lag: 7, in_flight: 2, consumers: 1, oldest_unacknowledged_s: 4 }],
    },
  ])
  t.end()
})

test('a part that is down is told with its reason, and the others are told all the same', (t) => {
  const down = { url: 'http://b1', state: 'down' as const, error: 'connect ECONNREFUSED' }
  const told = pipelineOf(
    {
      queue: { url: 'http://proxy', body: {} },
      behindProxy: true,
      brokers: [
        { member: member(0), asked: { url: 'http://b0', body: brokerStatus(0, 0, 1) } },
        { member: member(1), asked: down },
      ],
      collector: undefined,
      streamer: undefined,
      store: { ...noCounts, bytes: undefined, error: 'the disk is gone' },
    },
    'collector',
    0,
    false,
  )
  t.same(isPipeline.Errors(told), [])
  t.equal(told.state, 'degraded')
  t.match(told.brokers[1], { broker: 1, state: 'down', error: 'connect ECONNREFUSED', url: 'http://b1' })
  t.match(told.store, { state: 'down', error: 'the disk is gone', bytes: null })
  t.same([told.collector, told.streamer, told.topics.length], [null, null, 1])
  t.end()
})

test('what is no status of ours is read without harm', (t) => {
  for (const body of [
    {},
    { topics: 3 },
    { topics: { telemetry: null } },
    { topics: { x: { groups: [1], records: 'many' } } },
  ]) {
    const found: Findings = {
      queue: { url: 'u', body },
      behindProxy: false,
      brokers: [{ member: { url: 'u', broker: null, draining: false }, asked: { url: 'u', body } }],
      collector: { url: 'c', body },
      streamer: { url: 's', body: { sources: [null, 3] } },
      store,
    }
    t.same(isPipeline.Errors(pipelineOf(found, 'g', 0, false)), [])
  }
  t.end()
})

test('the members that a proxy lists', (t) => {
  const members = [
    { broker: 0, url: 'http://b0', state: 'up' },
    { broker: 1, url: 'http://b1', state: 'draining' },
    { url: 'http://b2', state: 'down' },
    { state: 'up' },
  ]
  t.same(membersOf({ role: 'proxy', members }), [
    { url: 'http://b0', broker: 0, draining: false },
    { url: 'http://b1', broker: 1, draining: true },
    { url: 'http://b2', broker: null, draining: false },
  ])
  t.equal(membersOf({ role: 'broker' }), undefined)
  t.end()
})
