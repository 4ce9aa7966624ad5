import { test } from 'tap'

import { startBroker, type LocalBroker } from '#test/broker'
import type { GivenOptions } from './options.ts'

const MiB = 2 ** 20
const hour = 3_600_000

function options(given: GivenOptions, lost: [string, string, number][] = []) {
  return {
    topics: new Map([['notes', { partitions: 1, ...given }]]),
    segmentBytesMax: 200_000,
    onLost: (topic: string, group: string, records: number) => void lost.push([topic, group, records]),
  }
}

/** Ten records of 10 kB: two such batches fill a file. */
async function produce({ call }: LocalBroker, batches = 1): Promise<void> {
  for (let at = 0; at < batches; at++) {
    const body = Array.from({ length: 10 }, () => 'x'.repeat(10_000)).join('\n')
    const { status, body: answer } = await call('POST', '/produce?topic=notes&partition=0', body)
    if (status !== 200) throw Object.assign(new Error(answer.detail as string), answer)
  }
}

function log({ broker }: LocalBroker) {
  const topic = broker.topic('notes')
  if (topic?.logs[0] === undefined) throw new Error('no topic notes')
  return topic.logs[0]
}

test('beyond retention_bytes the oldest files go, and a reader from earlier is told what it missed', async (t) => {
  const local = await startBroker(t, options({ retentionBytes: MiB }))
  await produce(local, 8)
  await local.broker.tend()
  t.equal(log(local).first, 0)
  await produce(local, 12)
  await local.broker.tend()
  const { first, bytes } = log(local)
  t.ok(first > 0 && first % 20 === 0, `from ${first} on`)
  t.ok(bytes <= MiB, `${bytes} bytes`)
  const until = await local.stream('/consume?topic=notes&from=0/0/4')
  t.match(
    await until(new RegExp(`id: 0/0/${first}\n`)),
    `event: gap\ndata: {"first":"0/0/5","last":"0/0/${first - 1}","reason":"retention"}\n\n`,
  )
  t.notMatch(
    await (
      await local.stream('/consume?topic=notes&from=earliest')
    )(/id: /),
    'gap',
    'earliest is what there is',
  )
  t.match(local.status().topics.notes, { records: 200 - first, produced: 200 })
})

test('what a group has not acknowledged stays over retention_bytes, and its figures stay right when the rest goes', async (t) => {
  const local = await startBroker(t, options({ retentionBytes: MiB }))
  const until = await local.stream('/consume?topic=notes&group=g&max_in_flight=100')
  await produce(local, 20)
  await until(/id: 0\/0\/99\n/)
  await local.broker.tend()
  t.equal(log(local).first, 0, 'nothing is acknowledged')
  await local.call('POST', '/ack?topic=notes&group=g', { up_to: ['0/0/59'] })
  await local.broker.tend()
  t.equal(log(local).first, 60)
  t.match(local.status().topics.notes, { records: 140, groups: { g: { lag: 140, lost: 0 } } })
  t.notMatch(await until(/id: 0\/0\/159\n/), 'gap')
})

test('retention by acknowledgement: a file goes with the last group that needed it, and stays without a group', async (t) => {
  const local = await startBroker(t, options({ retention: 'acknowledged' }))
  await produce(local, 8)
  await local.broker.tend()
  t.equal(log(local).first, 0)
  const [one, two] = [
    await local.stream('/consume?topic=notes&group=one'),
    await local.stream('/consume?topic=notes&group=two'),
  ]
  await one(/id: 0\/0\/79\n/)
  await two(/id: 0\/0\/79\n/)
  await local.call('POST', '/ack?topic=notes&group=one', { up_to: ['0/0/79'] })
  await local.broker.tend()
  t.equal(log(local).first, 0)
  await local.call('POST', '/ack?topic=notes&group=two', { up_to: ['0/0/45'] })
  await local.broker.tend()
  t.equal(log(local).first, 40)
})

test('past the age records go whoever waits for them: counted, told to the operator, and to the group when it comes back', async (t) => {
  const lost: [string, string, number][] = []
  const local = await startBroker(t, options({ retentionAgeMs: hour }, lost))
  const until = await local.stream('/consume?topic=notes&group=g&max_in_flight=5')
  await produce(local, 2)
  await until(/id: 0\/0\/9\n/)
  await local.call('POST', '/ack?topic=notes&group=g', { ids: ['0/0/0', '0/0/1', '0/0/7'] })
  local.clock.advance(hour - 1)
  await local.broker.tend()
  t.equal(log(local).first, 0)
  await produce(local)
  local.clock.advance(1)
  await local.broker.tend()
  t.equal(log(local).first, 20, 'the second file was begun later')
  t.strictSame(lost, [['notes', 'g', 17]])
  t.match(local.reports, [/notes\/partition-0: group g loses 17 records that are older than retention_age/])
  t.match(local.status().topics.notes, { records: 10, groups: { g: { lag: 10, lost: 17, logs: [{ floor: 20 }] } } })
  const text = await until(/id: 0\/0\/29\n/)
  t.match(text, /"first":"0\/0\/10","last":"0\/0\/19","reason":"retention"/, 'what it was not sent yet')
  t.match(await local.call('POST', '/ack?topic=notes&group=g', { up_to: ['0/0/29'] }), { status: 200 })

  local.clock.advance(hour)
  await local.broker.tend()
  t.equal(log(local).first, 30, 'the file that was written is closed, and goes')
  t.equal(log(local).records, 0)
  t.equal(lost.length, 1, 'all of it was acknowledged')
  await produce(local)
  t.match(await until(/id: 0\/0\/39\n/), 'id: 0/0/30\n')
})

test('offsets go on after everything is gone, also over a restart', async (t) => {
  const local = await startBroker(t, options({ retentionAgeMs: hour }))
  await produce(local, 3)
  local.clock.advance(hour)
  await local.broker.tend()
  t.match([log(local).first, log(local).records], [30, 0])
  await local.close()
  const { disk, clock } = local
  const next = await startBroker(t, { ...options({ retentionAgeMs: hour }), disk, clock })
  t.match(await next.call('POST', '/produce?topic=notes', 'x'), { body: { id: '0/0/30' } })
})

test('a partition at max_bytes takes nothing until its groups have acknowledged', async (t) => {
  const local = await startBroker(t, options({ maxBytes: MiB, retentionBytes: MiB / 2, retention: 'acknowledged' }))
  const until = await local.stream('/consume?topic=notes&group=g')
  const full = await produce(local, 20).then(
    () => undefined,
    (error: unknown) => error,
  )
  t.match(full, {
    code: 'partition_full',
    status: 429,
    detail: /partition 0 of notes takes \d+ bytes, its max_bytes is 1048576/,
  })
  const { end } = log(local)
  const refused = await local.call('POST', '/produce?topic=notes', 'x')
  t.match(refused, { status: 429, body: { limit_bytes: MiB } })
  t.equal(refused.headers.get('retry-after'), '5')
  t.equal(log(local).end, end, 'nothing was written')
  await until(new RegExp(`id: 0/0/${end - 1}\n`))
  t.match(await local.call('POST', '/ack?topic=notes&group=g', { up_to: [`0/0/${end - 1}`] }), { status: 200 })
  await local.broker.tend()
  t.equal(log(local).records, 0, 'all of it is acknowledged, so the file that is written goes, too')
  await produce(local)
  t.match(await until(new RegExp(`id: 0/0/${end}\n`)), `id: 0/0/${end}\n`)
})
