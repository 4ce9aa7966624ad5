import { test } from 'tap'

import { manualClock } from '#lib/clock'
import { readSettings } from '#lib/settings'
import type { Ordinal } from '#wire/ids'

import { Broker } from './broker.ts'
import { MemoryDisk } from './disk/memory.ts'
import { writeOptions, type GivenOptions } from './options.ts'
import { brokerSettings } from './settings.ts'

let ids = 0

function open(disk: MemoryDisk, topics: Record<string, GivenOptions> = {}, reports: string[] = []): Promise<Broker> {
  return Broker.open(manualClock(0), disk, {
    ordinal: 0 as Ordinal,
    folder: 'data',
    topics: new Map(Object.entries(topics)),
    memoryBytes: 8 << 20,
    segmentBytesMax: 1 << 20,
    newLogId: () => String(++ids).padStart(16, '0'),
    report: (problem) => reports.push(problem),
  })
}

/** Opens, does something, closes; what the topic is then. */
async function after(
  disk: MemoryDisk,
  topics: Record<string, GivenOptions>,
  act: (broker: Broker) => Promise<unknown> = async () => {},
) {
  const broker = await open(disk, topics)
  await act(broker)
  const topic = broker.topic('notes')
  await broker.close()
  return topic && { ...writeOptions(topic.options), logs: topic.logs.length }
}

test('a request goes before TOPICS, TOPICS before what was said last, that before the default', async (t) => {
  const disk = new MemoryDisk()
  t.match(await after(disk, { notes: { durability: 'disk' } }), {
    partitions: 4,
    durability: 'disk',
    retention_age: '7d',
  })
  t.match(await after(disk, {}), { durability: 'disk' }, 'not named any more: as it was')
  t.match(await after(disk, { notes: {} }), { durability: 'disk' }, 'named without it: as it was')
  t.match(await after(disk, { notes: { durability: 'fsync', retentionAgeMs: 60_000 } }), {
    durability: 'fsync',
    retention_age: '1m',
  })
  const change = { retentionAgeMs: 5_000, partitions: 6 }
  t.match(await after(disk, { notes: { partitions: 5 } }, (broker) => broker.alterTopic('notes', change)), {
    partitions: 6,
    logs: 6,
    retention_age: '5s',
    durability: 'fsync',
  })
  t.match(
    await after(disk, { notes: { retentionAgeMs: 60_000, durability: 'memory', partitions: 5 } }),
    { partitions: 6, logs: 6, retention_age: '5s', durability: 'memory' },
    'what was set by request stays, the rest follows TOPICS',
  )
  t.match(await after(disk, { notes: { partitions: 8 } }), { partitions: 8, logs: 8 }, 'raised by TOPICS')
})

test('a PUT that finds everything as asked holds against TOPICS from then on', async (t) => {
  const disk = new MemoryDisk()
  await after(disk, { notes: { durability: 'disk' } }, (broker) => broker.createTopic('notes', { durability: 'disk' }))
  t.match(await after(disk, { notes: { durability: 'fsync' } }), { durability: 'disk' })
})

test('partitions are never lowered, and somebody is told', async (t) => {
  const disk = new MemoryDisk()
  await after(disk, { notes: { partitions: 3 } })
  const reports: string[] = []
  const broker = await open(disk, { notes: { partitions: 2 } }, reports)
  t.equal(broker.topic('notes')?.logs.length, 3)
  t.match(reports, [/notes has 3 partitions on disk and 2 in TOPICS: it keeps 3/])
  await broker.close()
})

test('what TOPICS says and what a request has set may exclude each other: it stays as it was, and somebody is told', async (t) => {
  const disk = new MemoryDisk()
  const GiB = 2 ** 30
  await after(disk, { notes: {} }, (broker) => broker.alterTopic('notes', { retentionBytes: 2 * GiB }))
  const reports: string[] = []
  const broker = await open(disk, { notes: { maxBytes: GiB } }, reports)
  t.match(writeOptions(broker.topic('notes')!.options), { retention_bytes: '2GiB', max_bytes: '64GiB' })
  t.match(reports, [/notes: TOPICS and what was set by a request exclude each other/])
  await broker.close()
})

test('the disk fails at any write of making a topic: at the next start it is absent, or whole', async (t) => {
  const outcomes = new Set<string>()
  for (let write = 0; write < 40; write++) {
    const disk = new MemoryDisk()
    const broker = await open(disk)
    disk.writesLeft = write
    const made = await broker.createTopic('notes', { partitions: 2, retentionAgeMs: 5_000 }).then(
      () => true,
      () => false,
    )
    // The power goes: what is not closed stays so.
    disk.writesLeft = Infinity
    const found = await after(disk, {})
    outcomes.add(`${made} ${found !== undefined}`)
    if (found !== undefined) t.match(found, { partitions: 2, logs: 2, retention_age: '5s' })
    if (made) {
      t.ok(found)
      break
    }
    const again = await after(disk, {}, (next) => next.createTopic('notes', { partitions: 2, retentionAgeMs: 5_000 }))
    t.match(again, { partitions: 2, logs: 2 }, 'the next try makes it')
  }
  t.ok(outcomes.has('false false') && outcomes.has('true true'), [...outcomes].join())
})

test('a topic.json that cannot be read ends the start, with what to write', async (t) => {
  for (const text of ['{"partitions":4', '[]', '{}', '{"partitions":"many"}', '{"partitions":4,"asked":1}', '']) {
    const disk = new MemoryDisk()
    await after(disk, { notes: {} })
    disk.files.set('data/notes/topic.json', Buffer.from(text))
    await t.rejects(open(disk), { message: /notes\/topic\.json is damaged: .*Write {"partitions":N}/ }, text)
  }
  const disk = new MemoryDisk()
  await after(disk, { notes: {} })
  disk.files.set('data/notes/topic.json', Buffer.from('{"partitions":4,"durability":"disk","from_later":true}'))
  t.match(await after(disk, {}), { durability: 'disk', partitions: 4 }, 'a name of a later version is passed over')
})

test('TOPICS names what is wrong in it, and what would be right', (t) => {
  const read = (text: string) => readSettings(brokerSettings, { env: { TOPICS: text } }).topics
  t.strictSame(
    read('telemetry:partitions=4:durability=memory:retention_age=30d, notes:max_bytes=1GiB:retention=acknowledged'),
    new Map<string, GivenOptions>([
      ['telemetry', { partitions: 4, durability: 'memory', retentionAgeMs: 30 * 86_400_000 }],
      ['notes', { maxBytes: 2 ** 30, retention: 'acknowledged' }],
    ]),
  )
  const wrong: [string, RegExp][] = [
    ['a:partitions=0', /^TOPICS: a: partitions=0: want a whole number from 1 to 10000$/],
    ['a:partitions', /^TOPICS: a: partitions=: want a whole number/],
    ['a:retention=soon', /^TOPICS: a: retention=soon: want one of time, acknowledged$/],
    ['a:retention_age=soon', /want a duration of at least 1s, such as 12h or 30d, or none/],
    ['a:max_bytes=1', /max_bytes=1: want a size of at least 1MiB/],
    ['a:partition=4', /^TOPICS: a: partition is no option of a topic: want partitions, durability/],
    ['a:partitions=4:partitions=5', /partitions is given twice/],
    ['a,b,a', /^TOPICS: a is named twice/],
    ['a.dead', /"a\.dead" is no name of a topic/],
    ['a,,b', /"" is no name of a topic/],
    ['identity', /"identity" is no name/],
    ['a:max_bytes=1MiB:retention_bytes=2MiB', /retention_bytes=2MiB: want at most max_bytes, 1MiB/],
  ]
  for (const [text, message] of wrong) t.throws(() => read(text), { message })
  t.end()
})
