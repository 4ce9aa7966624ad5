/** Topics, groups and the audit, of a broker in this process. */

import { Compile } from 'typebox/compile'
import { test } from 'tap'
import { openStore } from '#store/open'
import { gpuRecord, partOf, transferRecord } from '#store/samples'
import { testApi, testKey } from '#test/api'
import { startBroker } from '#test/broker'
import type { Scope } from '#test/start'
import * as schemas from '../schemas/broker.ts'
import { gapsOf } from './gaps.ts'

const topics = new Map([
  ['telemetry', { partitions: 2 }],
  ['transfers', { partitions: 1 }],
])

async function started(t: Scope, nowMs?: number) {
  const broker = await startBroker(t, { topics })
  const env = { MSG_QUEUE_ADDR: broker.url }
  const api = await testApi(t, { env, ...(nowMs === undefined ? undefined : { nowMs }) })
  const produce = (partition: number, ...lines: string[]) =>
    broker.call('POST', `/produce?topic=telemetry&partition=${partition}`, lines.join('\n'))
  const logId = (partition: number) => broker.broker.topic('telemetry')?.logs[partition]?.logId as string
  return { broker, produce, logId, ...api }
}

test('topics are told with their options, their figures and their logs', async (t) => {
  const { produce, json } = await started(t)
  await produce(0, '{"a":1}', '{"a":2}')
  const answer: any = await json('/api/v1/topics')
  t.same(Compile(schemas.topicList).Errors(answer), [])
  t.equal(answer.complete, true)
  t.same(
    answer.topics.map(({ name, dead_letters, open }: any) => [name, dead_letters, open]),
    [
      ['_keys', false, null],
      ['_keys.dead', true, 0],
      ['telemetry', false, null],
      ['telemetry.dead', true, 0],
      ['transfers', false, null],
      ['transfers.dead', true, 0],
    ],
  )
  t.match(answer.topics[2], {
    partitions: 2,
    durability: 'fsync',
    strict: false,
    records: 2,
    produced: 2,
    missing: {},
    groups: [],
    logs: [
      { broker: 0, partition: 0, first: 0, next: 2, records: 2 },
      { broker: 0, partition: 1, first: 0, next: 0, records: 0 },
    ],
  })
})

test('groups are told with their lag, what is in flight, and the record that waits longest', async (t) => {
  const { broker, produce, json } = await started(t)
  t.match(await json('/api/v1/groups'), { groups: [], complete: true })
  await produce(1, '1', '2', '3')
  broker.clock.advance(40_000)
  const read = await broker.stream('/consume?topic=telemetry&group=work&consumer=me')
  await read(/id: 0\/1\/2/)
  await broker.call('POST', '/ack?topic=telemetry&group=work', '{"ids":["0/1/0"]}')
  const answer: any = await json('/api/v1/groups')
  t.same(Compile(schemas.groupList).Errors(answer), [])
  t.match(answer.groups, [
    {
      topic: 'telemetry',
      name: 'work',
      mode: 'exclusive',
      lag: 2,
      in_flight: 2,
      given_up: 0,
      lost: 0,
      consumers: 1,
      oldest_unacknowledged_s: 40,
      idle_s: null,
      logs: [
        { broker: 0, partition: 0, floor: 0, lag: 0, in_flight: 0, consumer: 'me' },
        { broker: 0, partition: 1, floor: 1, next: 3, lag: 2, in_flight: 2, consumer: 'me' },
      ],
    },
  ])
  t.match(await json('/api/v1/groups?topic=transfers'), { groups: [] })
  t.match(await json('/api/v1/groups?topic=none'), { status: 404, code: 'unknown_topic', detail: /topic none/ })
  t.match(await json('/api/v1/groups?topic=a%20b'), { status: 400, code: 'bad_parameter' })
  t.match(await json('/api/v1/groups?name=x'), { status: 400, code: 'unknown_parameter' })
  t.match(await json('/api/v1/topics?topic=x'), { status: 400, code: 'unknown_parameter' })
})

test('the audit says what became of every record, and where it differs', async (t) => {
  const { broker, produce, logId, json, dataDir } = await started(t)
  await produce(0, '1', '2', '3')
  await produce(1, '1', '2')
  t.match(await json('/api/v1/audit?rows=true'), {
    agree: true,
    topics: [
      { topic: 'telemetry', produced: 5, received: 0, pending: 5 },
      { topic: 'transfers', produced: 0, pending: 0 },
    ],
    rows: null,
    gaps: null,
  })
  const store = await openStore({ dataDir })
  t.teardown(() => store.close())
  const part = partOf([gpuRecord(), gpuRecord({ metric: 'B', value: null }), undefined], 0, logId(0))
  await store.write({ topic: 'telemetry', parts: [part] })
  const answer: any = await json('/api/v1/audit?rows=true')
  t.same(Compile(schemas.audit).Errors(answer), [])
  t.match(answer, {
    agree: true,
    group: 'collector',
    rows: { kept: 2, removed: 0, ledger_min: 2, ledger_max: 2, agree: true },
    topics: [
      {
        topic: 'telemetry',
        received: 3,
        stored: 1,
        not_reported: 1,
        dead: 1,
        pending: 2,
        removed: 0,
        logs: [
          { partition: 0, log_id: logId(0), received: 3, dead: 1, pending: 0, end: 3, acknowledged: null, settled: 3 },
          { partition: 1, received: 0, pending: 2, end: 2, settled: 0 },
        ],
        gone: [],
        findings: [],
      },
      { topic: 'transfers' },
    ],
  })
  t.equal((await json<any>('/api/v1/audit?topic=transfers')).topics.length, 1)

  // Somebody acknowledges what nobody stored, and the ledger of a log that is gone is told as such.
  const read = await broker.stream('/consume?topic=telemetry&group=collector')
  await read(/id: 0\/1\/1/)
  await broker.call('POST', '/ack?topic=telemetry&group=collector', '{"up_to":["0/1/1"]}')
  await store.write({ topic: 'telemetry', parts: [partOf([transferRecord()], 0, 'f'.repeat(16))] })
  const wrong: any = await json('/api/v1/audit')
  const finding = /^telemetry: 2 records below 0\/1\/2 are acknowledged at the broker, and the store has not settled/
  t.match(wrong, { agree: false, findings: [finding], topics: [{ findings: [finding], gone: ['f'.repeat(16)] }, {}] })
})

test('the audit of a range has the times in which a host gave nothing', async (t) => {
  const nowMs = Date.parse('2025-07-18T21:00:00Z')
  const { json, dataDir } = await started(t, nowMs)
  const nothing: any = await json('/api/v1/audit?start=-1h')
  t.match(nothing.gaps, { hosts: 0, gaps: [], window_s: 90, truncated: false })
  const store = await openStore({ dataDir })
  t.teardown(() => store.close())
  const minutes = (hostname: string, ...at: number[]) =>
    at.map((minute) =>
      gpuRecord({ hostname, uuid: hostname, time: new Date(nowMs - (60 - minute) * 60_000).toISOString() }),
    )
  const quiet = gpuRecord({ ...minutes('host-b', 3)[0], value: null })
  const all = [
    ...minutes('host-a', ...Array.from({ length: 60 }, (_, n) => n)),
    quiet,
    ...minutes('host-b', 10, 11, 40),
  ]
  await store.write({ topic: 'telemetry', parts: [partOf([...all, ...minutes('host-c', -90)])] })
  const { gaps }: any = await json('/api/v1/audit?start=-1h&window=5m')
  t.match(gaps, { metric: 'DCGM_FI_DEV_GPU_UTIL', hosts: 3, window_s: 300 })
  t.same(
    gaps.gaps.map(({ hostname, from, to, duration_s }: any) => [
      hostname,
      from.slice(11, 16),
      to.slice(11, 16),
      duration_s,
    ]),
    [
      ['host-b', '20:05', '20:10', 300],
      ['host-b', '20:15', '20:40', 1500],
      ['host-b', '20:45', '21:00', 900],
      ['host-c', '20:00', '21:00', 3600],
    ],
  )
  t.match(await json('/api/v1/audit?window=5m'), { status: 400, parameter: 'window', detail: /want a start or an end/ })
  t.match(await json('/api/v1/audit?start=-1h&window=1s'), { status: 400, detail: /more than 1000 windows: want 4s/ })
  t.match(await json('/api/v1/audit?rows=yes'), { status: 400, detail: /rows=yes: want one of true, false/ })
  t.match(await json('/api/v1/audit?topic=none'), { status: 404, code: 'unknown_topic' })
})

test('what reaches over the end of a range, or lies before a host was seen, is no gap', async (t) => {
  const range = { start: { ms: 1_500, ns: 0 }, end: { ms: 6_500, ns: 0 }, windowMs: 1_000 }
  const at = (ms: number) => new Date(ms).toISOString()
  const spans = (firstMs: number, ...values: number[]) =>
    gapsOf(
      new Map([['h', { ms: firstMs, ns: 0 }]]),
      values.map((ms) => ({ time: at(ms), group: 'h', value: null, series: 0 })),
      range,
    ).map(({ from, to }) => [Date.parse(from), Date.parse(to)])
  t.same(spans(0), [[2_000, 6_000]])
  t.same(spans(3_500), [[4_000, 6_000]])
  t.same(spans(0, 2_000, 3_000, 4_000, 5_000), [])
  t.same(spans(0, 4_000), [
    [2_000, 4_000],
    [5_000, 6_000],
  ])
  t.same(spans(9_000), [])
})

test('without the broker, and without a key', async (t) => {
  const { json, url } = await testApi(t)
  for (const path of ['/api/v1/topics', '/api/v1/groups', '/api/v1/audit']) {
    t.match(await json(path), { status: 503, code: 'unavailable' }, path)
    for (const headers of [{}, { 'x-api-key': `${testKey}x` }]) {
      t.equal((await fetch(url + path, { headers: headers as Record<string, string> })).status, 401, path)
    }
  }
})
