import { test } from 'tap'

import { type LocalBroker, startBroker } from '#test/broker'

const topics = new Map([['work', { partitions: 2 }]])

async function bury(local: LocalBroker, ...letters: object[]): Promise<void> {
  const body = letters.map((letter) => JSON.stringify(letter)).join('\n')
  await local.call('POST', '/dead?topic=work', body, { 'content-type': 'application/x-ndjson' })
}

async function list(local: LocalBroker, rest = ''): Promise<any> {
  return (await local.call('GET', `/dead?topic=work${rest}`)).body
}

async function recordsOf(local: LocalBroker): Promise<string[]> {
  const answer = await fetch(`${local.url}/consume?topic=work&group=all`, {
    headers: { accept: 'application/x-ndjson' },
  })
  const lines = (await answer.text()).split('\n').filter((line) => line !== '')
  return lines.map((line) => (JSON.parse(line) as { data: string }).data)
}

const record = (n: number): string => JSON.stringify({ n })

test('letters are listed with their time, page by page, and those that were dealt with no more', async (t) => {
  const local = await startBroker(t, { topics })
  t.strictSame(await list(local), { topic: 'work', open: 0, letters: [], next: null })
  await bury(local, ...Array.from({ length: 5 }, (_, n) => ({ reason: `r${n}`, row: record(n), origin: `0/1/${n}` })))
  local.clock.advance(60_000)
  await bury(local, { reason: 'later' })
  t.match((await list(local, '&after=0/0/4')).letters, [{ id: '0/0/5', time: '2026-01-01T00:01:00.000Z' }])
  await local.call('POST', '/dead/drop?topic=work', { ids: ['0/0/5'] })
  const first = await list(local, '&limit=2')
  t.match(first, { open: 5, next: '0/0/1' })
  t.strictSame(first.letters[0], {
    id: '0/0/0',
    time: '2026-01-01T00:00:00.000Z',
    reason: 'r0',
    row: '{"n":0}',
    origin: '0/1/0',
  })
  t.match(await list(local, `&limit=2&after=${first.next}`), {
    letters: [{ reason: 'r2' }, { reason: 'r3' }],
    next: '0/0/3',
  })
  t.match(await list(local, '&after=0/0/3'), { letters: [{ reason: 'r4' }], next: null })
  const dropped = await local.call('POST', '/dead/drop?topic=work', { ids: ['0/0/1', '0/0/3', '0/0/99'] })
  t.strictSame(dropped.body, { dropped: 2, kept: [], unknown: 1, open: 3 })
  t.match((await list(local)).letters, [{ id: '0/0/0' }, { id: '0/0/2' }, { id: '0/0/4' }])
  t.match(await list(local, '&limit=1'), { open: 3, next: '0/0/0' })
  t.match(local.status().topics['work.dead'], { open: 3, groups: {} }, 'nobody reads in a group of it')
  t.strictSame((await local.call('POST', '/dead/drop?topic=work', { all: true })).body, {
    dropped: 3,
    kept: [],
    unknown: 0,
    open: 0,
  })
  t.strictSame((await list(local)).letters, [])
})

test('what was dealt with stays so after a restart, and is never forgotten', async (t) => {
  const groupExpiryMs = 3_600_000
  const local = await startBroker(t, { topics, groupExpiryMs })
  await bury(local, { reason: 'a', row: record(1), origin: '0/0/0' }, { reason: 'b', row: record(2), origin: '0/0/1' })
  await local.call('POST', '/dead/drop?topic=work', { ids: ['0/0/0'] })
  local.clock.advance(26 * 3_600_000)
  await local.broker.tend()
  await local.close()
  const again = await startBroker(t, { topics, groupExpiryMs, disk: local.disk, clock: local.clock })
  again.clock.advance(26 * 3_600_000)
  await again.broker.tend()
  t.match((await list(again)).letters, [{ reason: 'b' }])
})

test('a retry sends the record to the partition that it came from, and keeps what is no record', async (t) => {
  const local = await startBroker(t, { topics })
  await bury(
    local,
    { reason: 'the store', row: record(1), origin: '0/1/7', group: 'collector' },
    { reason: 'no time', file: 'a.csv', line: 3, row: '1,2,"3"' },
    { reason: 'large', row: '', origin: '0/0/3' },
    { reason: 'by hand', row: record(2) },
    { reason: 'lines', row: 'one\ntwo', origin: '0/1/9' },
  )
  const { body } = await local.call('POST', '/dead/retry?topic=work', { all: true })
  t.match(body, {
    retried: 3,
    open: 2,
    kept: [
      { id: '0/0/1', why: /^it is a row of a file/ },
      { id: '0/0/2', why: /not kept/ },
    ],
  })
  t.ok((local.broker.topic('work')?.logs[1]?.end ?? 0) >= 2, 'the one by hand goes anywhere')
  t.strictSame((await recordsOf(local)).toSorted(), ['one two', record(1), record(2)])
  t.match((await list(local)).letters, [{ id: '0/0/1' }, { id: '0/0/2' }])
})

test('a retry into a partition that is full is refused as a whole, and the letters stay', async (t) => {
  const local = await startBroker(t, { topics: new Map([['work', { partitions: 2, maxBytes: 1_000 }]]) })
  await local.call('POST', '/produce?topic=work&partition=1', JSON.stringify({ filler: 'x'.repeat(2_000) }), {
    'content-type': 'application/x-ndjson',
  })
  await bury(local, { reason: 'a', row: record(1), origin: '0/0/0' }, { reason: 'b', row: record(2), origin: '0/1/0' })
  const { body } = await local.call('POST', '/dead/retry?topic=work', { all: true })
  t.match(body, { code: 'partition_full', detail: /partition 1 of work/ })
  t.equal(local.broker.topic('work')?.logs[0]?.end, 0, 'nothing was sent')
  t.match(await list(local), { open: 2 })
  t.match((await local.call('POST', '/dead/retry?topic=work', { ids: ['0/0/0'] })).body, { retried: 1, open: 1 })
})

test('two retries at one time send each record once', async (t) => {
  const local = await startBroker(t, { topics })
  await bury(local, ...Array.from({ length: 50 }, (_, n) => ({ reason: 'r', row: record(n), origin: `0/0/${n}` })))
  const retry = () => local.call('POST', '/dead/retry?topic=work', { all: true })
  const answers = await Promise.all([retry(), retry(), retry()])
  t.equal(
    answers.reduce((sum, { body }) => sum + body.retried, 0),
    50,
  )
  t.equal((await recordsOf(local)).length, 50)
})

test('what cannot be meant is refused, and changes nothing', async (t) => {
  const local = await startBroker(t, { topics })
  await bury(local, { reason: 'a', row: record(1), origin: '0/0/0' })
  const refused = async (path: string, body: unknown, code: string) => {
    const answer = await local.call('POST', path, body)
    t.match(answer.body, { code }, `${path} ${JSON.stringify(body)}`)
  }
  await refused('/dead/drop', { all: true }, 'missing_parameter')
  await refused('/dead/drop?topic=none', { all: true }, 'unknown_topic')
  await refused('/dead/drop?topic=work.dead', { all: true }, 'dead_topic')
  await refused('/dead/drop?topic=work', 'nonsense', 'bad_request')
  await refused('/dead/drop?topic=work', {}, 'bad_request')
  await refused('/dead/drop?topic=work', { ids: [] }, 'bad_request')
  await refused('/dead/drop?topic=work', { ids: ['x'] }, 'bad_request')
  await refused('/dead/drop?topic=work', { ids: ['0/0/0'], all: true }, 'bad_request')
  await refused('/dead/drop?topic=work', { all: true, force: true }, 'bad_request')
  await refused('/dead/drop?topic=work', { ids: ['1/0/0'] }, 'wrong_broker')
  await refused('/dead/drop?topic=work', { ids: ['0/1/0'] }, 'unknown_partition')
  t.match((await local.call('GET', '/dead?topic=work&after=1/0/0')).body, { code: 'bad_parameter' })
  t.match(await list(local), { open: 1 })
})
