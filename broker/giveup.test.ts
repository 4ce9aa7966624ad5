import { test } from 'tap'

import { startBroker, type LocalBroker } from '#test/broker'

const at = '?topic=work&group=g'
const topics = new Map([['work', { partitions: 1 }]])

/** The dead letters of the topic, read as anybody may. */
async function letters(local: LocalBroker): Promise<any[]> {
  const dead = local.broker.topic('work.dead')!.logs[0]!
  if (dead.end === 0) return []
  const until = await local.stream('/consume?topic=work.dead&from=earliest')
  const text = await until(new RegExp(`id: 0/0/${dead.end - 1}\n[\\s\\S]*?\n\n`))
  return [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] as string) as unknown)
}

/** Ticks until the group's lag is as told. */
async function untilLag(local: LocalBroker, lag: number): Promise<void> {
  while (local.status().topics.work.groups.g.lag !== lag) {
    local.broker.tick()
    await new Promise(setImmediate)
  }
}

test('what is given back again and again becomes a dead letter with its origin, group, attempts and reason', async (t) => {
  const given: unknown[] = []
  const local = await startBroker(t, { topics, onGivenUp: (...of) => given.push(of) })
  await local.call('POST', '/produce?topic=work', 'bad\ngood')
  const until = await local.stream(`/consume${at}&mode=shared`)
  await until(/id: 0\/0\/1\n/)
  await local.call('POST', `/ack${at}`, { id: '0/0/1' })
  for (let attempt = 2; attempt <= 5; attempt++) {
    await local.call('POST', `/nack${at}`, { id: '0/0/0' })
    await until(new RegExp(`: attempt ${attempt}\n`))
  }
  t.strictSame(await letters(local), [])
  await local.call('POST', `/nack${at}`, { id: '0/0/0' })
  t.match(local.status().topics.work.groups.g, { lag: 1, given_back: 1 })
  t.match(await local.call('POST', `/ack${at}`, { id: '0/0/0' }), { status: 409, body: { code: 'lease_lost' } })
  await untilLag(local, 0)
  t.strictSame(await letters(local), [
    {
      reason: 'given back, for the last time after 5 attempts',
      origin: '0/0/0',
      group: 'g',
      attempts: 5,
      row: 'bad',
    },
  ])
  t.strictSame(given, [['work', 'g', ['0/0/0']]])
  t.match(local.status().topics.work.groups.g, { given_up: 1, given_back: 0, in_flight: 0 })
})

test('a record that crashes its consumer becomes a dead letter, and none of its neighbours does', async (t) => {
  const local = await startBroker(t, { topics, attemptsMax: 3 })
  await local.call('POST', '/produce?topic=work', Array.from({ length: 30 }, (_, n) => `r${n}`).join('\n'))
  const done = new Set<string>()
  // It acknowledges all that it was sent at one time, or dies of record 17 before it has acknowledged any.
  for (let lives = 0; lives < 200 && done.size < 29; lives++) {
    const stop = new AbortController()
    const answer = await fetch(`${local.url}/consume${at}&mode=shared&max_in_flight=10`, { signal: stop.signal })
    const reader = answer.body!.getReader()
    for (;;) {
      const { value } = await reader.read()
      const ids = [
        ...Buffer.from(value ?? '')
          .toString()
          .matchAll(/^id: (\S+)$/gm),
      ].map((match) => match[1] as string)
      if (ids.includes('0/0/17')) break
      for (const id of ids) done.add(id)
      await local.call('POST', `/ack${at}`, { ids })
      if (done.size === 29) break
    }
    stop.abort()
    while (local.broker.topic('work')!.groups.named('g')!.members.size > 0) await new Promise(setImmediate)
    local.broker.tick()
  }
  await untilLag(local, 0)
  t.match(await letters(local), [
    { origin: '0/0/17', attempts: 3, reason: /^not acknowledged in 3 attempts/, row: 'r17' },
  ])
})

test('an exclusive group sends a record for ever, unless MAX_ATTEMPTS is set', async (t) => {
  for (const [attemptsMax, expected] of [
    [undefined, 0],
    [4, 1],
  ] as const) {
    const local = await startBroker(t, { topics, attemptsMax })
    await local.call('POST', '/produce?topic=work', 'one\ntwo')
    const until = await local.stream(`/consume${at}&visibility=5s`)
    for (let attempt = 2; attempt < 12; attempt++) {
      if (expected > 0 && attempt > 4) break
      await until(new RegExp(attempt === 2 ? 'id: 0/0/1\n' : `: attempt ${attempt - 1}\n`))
      local.clock.advance(5_000)
      local.broker.tick()
    }
    if (expected > 0) {
      await until(/: attempt 4\n/)
      local.clock.advance(5_000)
      await untilLag(local, 1)
    }
    t.equal((await letters(local)).length, expected)
  }
})

test('where no dead letter can be written the record stays, and is given up later', async (t) => {
  const local = await startBroker(t, { topics, attemptsMax: 2, diskFloorBytes: 1 << 20 })
  await local.call('POST', '/produce?topic=work', 'bad')
  const until = await local.stream(`/consume${at}`)
  await until(/id: 0\/0\/0\n/)
  await local.call('POST', `/nack${at}`, { id: '0/0/0' })
  await until(/: attempt 2\n/)
  local.disk.totalBytes = 1000
  await local.broker.tend()
  await local.call('POST', `/nack${at}`, { id: '0/0/0' })
  for (let turn = 0; turn < 20; turn++) {
    local.broker.tick()
    await new Promise(setImmediate)
  }
  t.match(local.status().topics.work.groups.g, { lag: 1, given_back: 1, given_up: 0 })
  local.disk.totalBytes = 2 ** 40
  await local.broker.tend()
  await untilLag(local, 0)
  t.equal((await letters(local)).length, 1)
})

test('a crash between the letter and the acknowledgement leaves one letter', async (t) => {
  const first = await startBroker(t, { topics, attemptsMax: 2 })
  await first.call('POST', '/produce?topic=work', 'bad\nbad too')
  // As if it had been written right before a crash; the other one by a consumer.
  const letter = { reason: 'before the crash', origin: '0/0/0', group: 'g', attempts: 2, row: 'bad' }
  await first.call('POST', '/dead?topic=work', letter)
  await first.close()
  const local = await startBroker(t, { topics, attemptsMax: 2, disk: first.disk })
  const until = await local.stream(`/consume${at}`)
  await until(/id: 0\/0\/1\n/)
  await local.call('POST', '/dead?topic=work', { ...letter, origin: '0/0/1' })
  await local.call('POST', `/nack${at}`, { ids: ['0/0/0', '0/0/1'] })
  for (const id of ['0/0/0', '0/0/1']) {
    await until(new RegExp(`: attempt 2\nid: ${id}\n`))
    await local.call('POST', `/nack${at}`, { id })
    local.broker.tick()
  }
  await untilLag(local, 0)
  t.strictSame(
    (await letters(local)).map(({ origin }) => origin),
    ['0/0/0', '0/0/1'],
  )
  t.match(local.status().topics.work.groups.g, { given_up: 2 })
})
