/**
 * Writes a small data folder as this program leaves it, once killed and once stopped, and what must be read of it:
 *
 *     node test/golden.ts test/golden/format-1
 *
 * To be run once a format, before its first release, and never again into the same folder: what is there is what users
 * have on their disks. Nothing in it depends on the time or on chance.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { manualClock } from '#lib/clock'
import { MemoryDisk } from '#broker/disk/memory'

import { startBroker, type Answered, type LocalBroker } from './broker.ts'

/** What a folder holds, for whoever opens it. */
export interface Contents {
  /** By topic: the text of each record, by id. */
  readonly records: Record<string, Record<string, string>>
  /** By topic: the offset after the last one that was issued, by partition. */
  readonly next: Record<string, number[]>
  /** By topic and group: the ids that it has not acknowledged. */
  readonly waiting: Record<string, Record<string, string[]>>
  /** By topic: what every reader is told that is not there before its last record, as in `event: gap`. */
  readonly gaps: Record<string, object[]>
  /** Batches that their producers may send again, and where they stand. */
  readonly numbered: readonly Numbered[]
  /** What an operator is told when it is opened, as patterns. */
  readonly reports: readonly string[]
}

export interface Numbered {
  readonly topic: string
  readonly partition: number
  readonly producer: string
  readonly sequence: number
  readonly body: string
  readonly id: string
}

/** Small enough that a few records make several files. */
export const goldenOptions = { segmentBytesMax: 700, reserveRecords: 50 }

interface Written {
  readonly records: Record<string, Record<string, string>>
  readonly numbered: Map<string, Numbered>
}

const topics = new Map([
  ['readings', { partitions: 2, durability: 'fsync' as const }],
  ['notes', { partitions: 1, durability: 'disk' as const }],
])

async function make(folder: string): Promise<void> {
  const ends: (() => unknown)[] = []
  const scope = { teardown: (end: () => unknown) => void ends.push(end) }
  const disk = new MemoryDisk()
  const clock = manualClock(Date.UTC(2026, 0, 1))
  let ids = 0
  const newLogId = (): string => `00000000000000${(0xa0 + ids++).toString(16)}`
  const written: Written = { records: { readings: {}, 'readings.dead': {}, notes: {} }, numbered: new Map() }

  const broker = await startBroker(scope, { ...goldenOptions, disk, clock, topics, newLogId })
  for (let n = 0; n < 12; n++) {
    clock.advance(1000)
    const lines = [`{"n":${n},"kind":"gpu","value":${n * 1.5}}`, `{"n":${n},"text":"größer, 大きい, \u2028 and 🙂"}`]
    await produce(broker, written, 'readings', n % 2, lines, { producer: `exporter-${n % 4}`, sequence: n })
    if (n % 3 === 0) await produce(broker, written, 'notes', 0, [`note ${n}`])
  }
  await produce(broker, written, 'notes', 0, ['a note', '', 'id: 0/0/99', ': of four lines'], undefined, 'text/plain')
  const letter = '{"reason":"no number","file":"a.csv","line":7}'
  noted(written, 'readings.dead', await answered(broker, 'POST', '/dead?topic=readings', letter), [letter])

  const until = await broker.stream('/consume?topic=readings&group=collectors')
  await until(/id: 0\/0\/11\n[^]*id: 0\/1\/11\n|id: 0\/1\/11\n[^]*id: 0\/0\/11\n/)
  const ack = '/ack?topic=readings&group=collectors'
  await answered(broker, 'POST', ack, { up_to: ['0/0/4', '0/1/1'] })
  await answered(broker, 'POST', ack, { ids: ['0/0/7', '0/1/4', '0/1/5'] })
  await (
    await broker.stream('/consume?topic=notes&group=readers')
  )(/id: 0\/0\/0\n/)
  const waiting = {
    readings: { collectors: idsBut(written, 'readings', /^0\/0\/([0-4]|7)$|^0\/1\/[0145]$/) },
    notes: { readers: idsBut(written, 'notes', /^$/) },
  }

  const killed = copyOf(disk)
  await answered(broker, 'POST', '/produce?topic=readings&partition=0', 'never answered\n')
  const torn = [...disk.files.keys()]
    .filter((path) => path.includes('readings/partition-0/'))
    .sort()
    .at(-1) as string
  killed.files.set(torn, (disk.files.get(torn) as Buffer).subarray(0, -9))
  const { next: reserved } = JSON.parse(String(killed.files.get('data/notes/partition-0/reservation'))) as {
    next: number
  }
  save(join(folder, 'killed'), killed, {
    records: written.records,
    next: { readings: [12, 12], 'readings.dead': [1], notes: [reserved] },
    waiting,
    gaps: {},
    numbered: [...written.numbered.values()],
    reports: ['readings/partition-0/.* torn tail of \\d+ bytes', `notes/partition-0 .* offsets go on at ${reserved}`],
  })
  await broker.close()

  const healed = copyOf(killed)
  const again = await startBroker(scope, { ...goldenOptions, disk: healed, clock, topics: new Map(), newLogId })
  await produce(again, written, 'readings', 0, ['"after the crash"'], { producer: 'exporter-0', sequence: 12 })
  await produce(again, written, 'notes', 0, ['after the crash'])
  await again.close()
  save(join(folder, 'stopped'), healed, {
    records: written.records,
    next: { readings: [13, 12], 'readings.dead': [1], notes: [reserved + 1] },
    waiting: {
      readings: { collectors: [...waiting.readings.collectors, '0/0/12'].sort() },
      notes: { readers: [...waiting.notes.readers, `0/0/${reserved}`].sort() },
    },
    gaps: { notes: [{ first: '0/0/5', last: `0/0/${reserved - 1}`, reason: 'unclean_stop' }] },
    numbered: [...written.numbered.values()],
    reports: [],
  })
  for (const end of ends.reverse()) await end()
}

async function produce(
  broker: LocalBroker,
  written: Written,
  topic: string,
  partition: number,
  lines: readonly string[],
  by?: { readonly producer: string; readonly sequence: number },
  type = 'application/x-ndjson',
): Promise<void> {
  const body = lines.join('\n')
  const answer = await answered(broker, 'POST', `/produce?topic=${topic}&partition=${partition}`, body, {
    'content-type': type,
    ...(by === undefined ? {} : { 'producer-id': by.producer, 'producer-sequence': String(by.sequence) }),
  })
  const id = noted(written, topic, answer, type === 'text/plain' ? [body] : lines)
  // A log remembers the last batch of each producer over a restart.
  if (by !== undefined) written.numbered.set(`${partition} ${by.producer}`, { topic, partition, ...by, body, id })
}

function noted(written: Written, topic: string, { body }: Answered, lines: readonly string[]): string {
  const { id } = body as { id: string }
  const log = id.slice(0, id.lastIndexOf('/') + 1)
  for (const [at, line] of lines.entries()) {
    ;(written.records[topic] as Record<string, string>)[log + (Number(id.slice(log.length)) + at)] = line
  }
  return id
}

async function answered(broker: LocalBroker, ...call: Parameters<LocalBroker['call']>): Promise<Answered> {
  const answer = await broker.call(...call)
  if (answer.status !== 200) throw new Error(`${call[0]} ${call[1]}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer
}

function idsBut(written: Written, topic: string, acknowledged: RegExp): string[] {
  return Object.keys(written.records[topic] ?? {})
    .filter((id) => !acknowledged.test(id))
    .sort()
}

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk()
  for (const [path, content] of disk.files) copy.files.set(path, Buffer.from(content))
  return copy
}

function save(folder: string, disk: MemoryDisk, contents: Contents): void {
  for (const [path, content] of disk.files) {
    const target = join(folder, path.slice('data/'.length))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, content, { flag: 'wx' })
  }
  writeFileSync(`${folder}.json`, `${JSON.stringify(contents, undefined, 2)}\n`, { flag: 'wx' })
}

if (import.meta.main) await make(process.argv[2] ?? 'test/golden/format-1')
