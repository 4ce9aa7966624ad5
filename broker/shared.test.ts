import { test } from 'tap'

import { startBroker, type LocalBroker } from '#test/broker'

const at = '?topic=work&group=g'
const topics = new Map([['work', { partitions: 1 }]])

function records(count: number): string {
  return Array.from({ length: count }, (_, n) => `{"n":${n}}`).join('\n')
}

function idsIn(text: string): string[] {
  return [...text.matchAll(/^id: (\S+)$/gm)].map((match) => match[1] as string)
}

/** Waits until the broker sees so many consumers. */
async function connected({ broker }: LocalBroker, count: number): Promise<void> {
  const group = broker.topic('work')?.groups.named('g')
  while (group?.members.size !== count) await new Promise(setImmediate)
}

test('in shared mode the records of one partition go to several consumers, each to one', async (t) => {
  const local = await startBroker(t, { topics })
  const streams = [
    await local.stream(`/consume${at}&mode=shared&consumer=a`),
    await local.stream(`/consume${at}&mode=shared&consumer=b`),
  ]
  await connected(local, 2)
  await local.call('POST', '/produce?topic=work', records(1000))
  const texts = await Promise.all(streams.map((until) => until({ test: (text) => idsIn(text).length >= 300 })))
  while (local.status().topics.work.groups.g.in_flight < 1000) await new Promise(setImmediate)
  const ids = texts.flatMap(idsIn)
  t.equal(new Set(ids).size, ids.length, 'none came twice')
  t.match(local.status().topics.work.groups.g, { mode: 'shared', consumers: 2 })
  t.match(await local.call('POST', `/ack${at}`, { ids: ids.slice(0, 300) }), { body: { acknowledged: 300 } })
  t.match(local.status().topics.work.groups.g, { in_flight: 700, lag: 700 })
})

test('who has as many as it asked for gets no more, and another does', async (t) => {
  const local = await startBroker(t, { topics })
  const first = await local.stream(`/consume${at}&mode=shared&max_in_flight=3`)
  await connected(local, 1)
  await local.call('POST', '/produce?topic=work', records(10))
  t.strictSame(idsIn(await first(/id: 0\/0\/2\n[\s\S]*\n\n/)), ['0/0/0', '0/0/1', '0/0/2'])
  t.match(local.status().topics.work.groups.g, { in_flight: 3 })
  const second = await local.stream(`/consume${at}&mode=shared&max_in_flight=5`)
  t.strictSame(idsIn(await second(/id: 0\/0\/7\n[\s\S]*\n\n/)), ['0/0/3', '0/0/4', '0/0/5', '0/0/6', '0/0/7'])
  await local.call('POST', `/ack${at}`, { ids: ['0/0/1'] })
  t.match(await first(/id: 0\/0\/8\n/), /id: 0\/0\/8\n/, 'one is acknowledged, one comes')
  t.match(local.status().topics.work.groups.g, { in_flight: 8, lag: 9 })
})

test('what a shared consumer leaves goes to the others, under its number', async (t) => {
  const local = await startBroker(t, { topics })
  await local.call('POST', '/produce?topic=work', records(6))
  const stop = new AbortController()
  const leaving = await fetch(`${local.url}/consume${at}&mode=shared&max_in_flight=3`, { signal: stop.signal })
  await leaving.body?.getReader().read()
  while (local.status().topics.work.groups.g.in_flight < 3) await new Promise(setImmediate)
  const staying = await local.stream(`/consume${at}&mode=shared`)
  await staying(/id: 0\/0\/5\n/)
  stop.abort()
  const text = await staying(/id: 0\/0\/2\n/)
  t.match(text, /: attempt 2\nid: 0\/0\/0\ndata: .*\n\n: attempt 1\n: attempt 1\nid: 0\/0\/1\n/)
})

test('the first consume says the mode; another mode, and up_to in a shared group, are refused', async (t) => {
  const { stream, call, url } = await startBroker(t, { topics })
  await stream(`/consume${at}&mode=shared`)
  const refused = await fetch(`${url}/consume${at}`)
  t.equal(refused.status, 409)
  t.match(await refused.json(), {
    code: 'mode_mismatch',
    detail: 'group g is shared, and this asks for exclusive',
    hint: /use the mode of the group/,
  })
  t.match(await call('GET', '/consume?topic=work&mode=shared'), { status: 400, body: { detail: /group=G/ } })
  t.match(await call('POST', `/ack${at}`, { up_to: ['0/0/0'] }), {
    status: 400,
    body: { code: 'bad_request', detail: /up_to is for exclusive groups/ },
  })
})

test('a group keeps its mode over a restart', async (t) => {
  const first = await startBroker(t, { topics })
  await first.call('POST', '/produce?topic=work', records(3))
  const until = await first.stream(`/consume${at}&mode=shared`)
  await until(/id: 0\/0\/2\n/)
  await first.call('POST', `/ack${at}`, { id: '0/0/1' })
  await first.close()
  const second = await startBroker(t, { topics, disk: first.disk })
  t.match(second.status().topics.work.groups.g, { mode: 'shared', lag: 2 })
  const again = await second.stream(`/consume${at}&mode=shared`)
  t.strictSame(idsIn(await again(/id: 0\/0\/2\n/)), ['0/0/0', '0/0/2'])
})
