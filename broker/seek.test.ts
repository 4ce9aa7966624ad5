import { test } from 'tap'

import { manualClock } from '#lib/clock'
import { startBroker, type LocalBroker } from '#test/broker'

const at = '?topic=work&group=g'
const topics = new Map([['work', { partitions: 2 }]])
const dayMs = 86_400_000

/** Two partitions with five records each, a minute between two, and a group that has read and acknowledged all. */
async function read(t: { teardown(callback: () => unknown): void }): Promise<LocalBroker> {
  const local = await startBroker(t, { topics })
  for (let n = 0; n < 5; n++) {
    for (const partition of [0, 1]) {
      await local.call('POST', `/produce?topic=work&partition=${partition}`, `{"n":${n}}`)
    }
    local.clock.advance(60_000)
  }
  const until = await local.stream(`/consume${at}&consumer=c`)
  await until(/id: 0\/0\/4\n[\s\S]*id: 0\/1\/4\n|id: 0\/1\/4\n[\s\S]*id: 0\/0\/4\n/)
  await local.call('POST', `/ack${at}`, { up_to: ['0/0/4', '0/1/4'] })
  return local
}

function floors(local: LocalBroker): number[] {
  return local.status().topics.work.groups.g.logs.map(({ floor }: { floor: number }) => floor) as number[]
}

test('a group goes on where it is told: at the beginning, the end, a time, or after ids', async (t) => {
  const local = await read(t)
  t.strictSame(floors(local), [5, 5])
  const minute = new Date(Date.UTC(2026, 0, 1) + 120_000).toISOString()
  for (const [from, expected] of [
    ['earliest', [0, 0]],
    ['latest', [5, 5]],
    [minute, [2, 2]],
    ['0/1/3', [2, 4]],
    ['0/0/99,0/1/0', [5, 1]],
  ] as const) {
    const answer = await local.call('POST', `/seek${at}&from=${from}`)
    t.equal(answer.status, 200, JSON.stringify(answer.body))
    t.strictSame(floors(local), expected, from)
  }
  t.match(local.status().topics.work.groups.g, { lag: 4, in_flight: 0, oldest_unacknowledged_s: 300 })
  const until = await local.stream(`/consume${at}&consumer=d`)
  t.match(await until(/id: 0\/1\/4\n/), /id: 0\/1\/1\n/)
})

test('consumers are cut off and come back to the new place; what they say of before is refused', async (t) => {
  const local = await read(t)
  await local.call('POST', '/produce?topic=work&partition=0', '{"n":5}')
  const until = await local.stream(`/consume${at}&consumer=c`)
  await until(/id: 0\/0\/5\n/)
  await local.call('POST', `/seek${at}&from=0/0/1`)
  t.match(await until(/event: cut\n.*\n/), /event: cut\ndata: {"code":"seek","reason":"group g goes on elsewhere/)
  t.match(await local.call('POST', `/ack${at}`, { id: '0/0/5' }), { status: 409, body: { code: 'not_delivered' } })
  t.match(await local.call('POST', `/ack${at}`, { up_to: ['0/0/1'] }), { status: 200 }, 'what is below is done')
  const back = await local.stream(`/consume${at}&consumer=c`)
  t.match(await back(/id: 0\/0\/5\n/), /id: 0\/0\/2\n/)
})

test('a seek holds after a restart, and one that cannot be written changes nothing', async (t) => {
  const first = await read(t)
  await first.call('POST', `/seek${at}&from=0/0/1`)
  first.disk.failNext('write', 'ENOSPC')
  t.match(await first.call('POST', `/seek${at}&from=earliest`), { status: 507, body: { code: 'disk_full' } })
  t.strictSame(floors(first), [2, 5])
  await first.close()
  const second = await startBroker(t, { topics, disk: first.disk })
  t.strictSame(floors(second), [2, 5])
})

test('a wrong place is refused, and nothing is changed', async (t) => {
  const local = await read(t)
  const seek = (query: string) => local.call('POST', `/seek?${query}`)
  t.match(await seek('topic=work&group=nobody&from=earliest'), { status: 404, body: { code: 'unknown_group' } })
  t.match(await seek('topic=work&group=g'), { status: 400, body: { code: 'missing_parameter' } })
  t.match(await seek('topic=work&group=g&from=yesterday'), { status: 400, body: { detail: /want earliest, latest/ } })
  t.match(await seek('topic=work&group=g&from=7/0/1'), { status: 409, body: { code: 'wrong_broker' } })
  t.match(await seek('topic=work&group=g&from=0/9/1'), { status: 404, body: { code: 'unknown_partition' } })
  t.strictSame(floors(local), [5, 5])
})

test('a group is deleted when no consumer is connected, and begins anew', async (t) => {
  const local = await read(t)
  const path = '/topics/work/groups/g'
  t.match(await local.call('DELETE', path), {
    status: 409,
    body: { code: 'group_in_use', detail: '1 consumers of g are connected: c' },
  })
  await local.call('POST', `/seek${at}&from=latest`)
  t.match(await local.call('DELETE', path), { status: 200, body: { deleted: 'g' } })
  t.match(await local.call('DELETE', path), { status: 404, body: { code: 'unknown_group' } })
  t.match(await local.call('POST', `/ack${at}`, { id: '0/0/0' }), { status: 404 })
  t.strictSame(
    [...local.disk.files.keys()].filter((name) => name.includes('/groups/')),
    [],
  )
  const until = await local.stream(`/consume${at}`)
  t.match(await until(/id: 0\/0\/4\n/), /id: 0\/0\/0\n/, 'one of that name knows nothing of it')
})

test('a group that nobody reads in is told of, and forgotten when its time is over', async (t) => {
  const clock = manualClock(Date.UTC(2026, 0, 1))
  const options = { topics, clock, groupExpiryMs: 7 * dayMs }
  const first = await startBroker(t, options)
  const pulled = await fetch(`${first.url}/consume${at}`, { headers: { accept: 'application/x-ndjson' } })
  t.equal(pulled.status, 200)
  const group = () => first.status().topics.work.groups.g
  for (let day = 0; day < 5; day++) {
    await first.broker.tend()
    clock.advance(dayMs)
  }
  t.match(group(), { idle_s: 5 * 86_400, expires_in_s: 2 * 86_400 })
  await first.close()
  clock.advance(30 * dayMs)
  const second = await startBroker(t, { ...options, disk: first.disk })
  t.match(second.status().topics.work.groups.g, { expires_in_s: 86_400 }, 'a broker that was away leaves it a day')
  await second.call('POST', '/produce?topic=work&partition=0', 'x')
  const stop = new AbortController()
  const stream = await fetch(`${second.url}/consume${at}&mode=shared`, { signal: stop.signal })
  await stream.body?.getReader().read()
  for (let day = 0; day < 9; day++) {
    await second.broker.tend()
    clock.advance(dayMs)
  }
  t.notOk('idle_s' in second.status().topics.work.groups.g, 'not as long as somebody is connected')
  stop.abort()
  while (second.broker.topic('work')!.groups.named('g')!.members.size > 0) await new Promise(setImmediate)
  for (let day = 0; day < 9; day++) {
    await second.broker.tend()
    clock.advance(dayMs)
  }
  t.strictSame(second.status().topics.work.groups, {})
  t.match(second.reports.at(-1), /work: group g is forgotten: nobody has read in it for GROUP_EXPIRY/)
  t.match(await second.call('POST', `/ack${at}`, { id: '0/0/0' }), { status: 404, body: { code: 'unknown_group' } })
})
