import { test } from 'tap'

import { testApi } from '#test/api'
import { startBroker } from '#test/broker'

const topics = new Map([
  ['telemetry', { partitions: 1 }],
  ['transfers', { partitions: 1 }],
])

test('dead letters are listed, sent again and put away', async (t) => {
  const broker = await startBroker(t, { topics })
  const { json } = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
  const letters = [
    { reason: 'time is missing', row: '{"uuid":"a"}', origin: '0/0/3', group: 'collector' },
    { reason: 'no number', file: 'a.csv', line: 7, row: 'a,b' },
    { reason: 'twice', row: '{}', origin: '0/0/4', attempts: 5 },
  ]
  const body = letters.map((letter) => JSON.stringify(letter)).join('\n')
  await broker.call('POST', '/dead?topic=telemetry', body, { 'content-type': 'application/x-ndjson' })
  t.match(await json('/api/v1/dead-letters?limit=2'), {
    topic: 'telemetry',
    open: 3,
    letters: letters.slice(0, 2),
    next: '0/0/1',
  })
  t.match(await json('/api/v1/dead-letters?after=0/0/1'), { letters: [letters[2]], next: null })
  t.match(await json('/api/v1/dead?topic=transfers'), { topic: 'transfers', open: 0 }, 'the path of before')
  t.match(await json('/api/v1/dead-letters?topic=transfers'), { open: 0, letters: [] })
  const post = (path: string, given: unknown) =>
    json(path, { method: 'POST', body: JSON.stringify(given), headers: { 'content-type': 'application/json' } })
  t.strictSame(await post('/api/v1/dead-letters/retry', { ids: ['0/0/0', '0/0/1', '0/0/9'] }), {
    retried: 1,
    kept: [{ id: '0/0/1', why: 'it is a row of a file: mend the file and read that again' }],
    unknown: 1,
    open: 2,
  })
  t.equal(broker.broker.topic('telemetry')?.logs[0]?.end, 1)
  t.strictSame(await post('/api/v1/dead-letters/drop', { all: true }), { dropped: 2, kept: [], unknown: 0, open: 0 })
  t.match(await json('/api/v1/dead-letters?topic=none'), { status: 404, code: 'unknown_topic' })
  t.match(await post('/api/v1/dead-letters/drop', { ids: [] }), { status: 400 })
  t.match(await post('/api/v1/dead-letters/drop', { all: false }), { status: 400 })
  t.match(await post('/api/v1/dead-letters/drop', { ids: ['nonsense'] }), { status: 400, code: 'bad_request' })
})

test('without the broker it says so', async (t) => {
  const { json } = await testApi(t)
  t.match(await json('/api/v1/dead-letters'), { status: 503, code: 'unavailable' })
})
