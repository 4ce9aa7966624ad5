/**
 * Files that no crash leaves: cut, spliced, doubled, filled with noise. A start goes on or refuses by name, a read ends, and
 * no record is served that was not written. A failure prints the seed that repeats it.
 */

import fc from 'fast-check'
import { t as file, test } from 'tap'

import type { Offset, Ordinal, Partition } from '#wire/ids'

import { MemoryDisk } from '../disk/memory.ts'
import { Journal } from '../groups/journal.ts'
import type { Progress } from '../groups/progress.ts'
import { Log } from './log.ts'
import { readRecords, type Records } from './records.ts'
import { ChunkRing } from './ring.ts'
import type { Appended } from './types.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'
const numRuns = isFull ? 2_000 : 300

file.setTimeout(isFull ? 1_200_000 : 600_000)

const folder = 'data/telemetry/partition-0'
const head = { logId: '00112233445566ff', topic: 'telemetry', broker: 0 as Ordinal, partition: 0 as Partition }

/** What a start may say instead of going on: each names the file and what to do. */
const refusal = /is of format \d+, this program reads|belongs to .* put the file back|the file before it ends at/
const reservationRefusal = /reservation is damaged: .* Write \{"next":N\}/

async function open(disk: MemoryDisk): Promise<Log> {
  const options = { durability: 'disk' as const, segmentBytesMax: 500, queueRecordsMax: 100, reserveRecords: 20 }
  return Log.open(disk, folder, head, options, new ChunkRing(1 << 20), () => {})
}

async function append(log: Log, text: string): Promise<void> {
  const records = readRecords(Buffer.from(text), 'ndjson', 1000) as Records
  await (log.append(records, { producer: 'p', sequence: log.end }, 1_000) as Appended).done
}

/** The events of each batch that is read, by their ids. */
async function served(log: Log): Promise<Map<string, string>> {
  const events = new Map<string, string>()
  let turns = 0
  for (let at: number = log.first; at < log.end;) {
    const read = await log.read(at as Offset, 1 << 20)
    if (read.length === 0) break
    for (const { first, next, view } of read) {
      if (next <= at || first < at || ++turns > 1000) throw new Error(`read from ${at} gives ${first} to ${next}`)
      at = next
      const text = view.toString('latin1')
      for (const event of text.slice(text.indexOf('\n') + 1).split('\n\n')) {
        if (event !== '') events.set(event.slice(0, event.indexOf('\n')), event)
      }
    }
  }
  return events
}

/** A folder of several files, as a kill or a stop leaves it. */
async function written(stopped: boolean): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const log = await open(disk)
  for (let n = 0; n < 9; n++) await append(log, `{"n":${n}}\nline ${n}`)
  if (stopped) await log.close()
  return disk
}

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk()
  for (const [path, content] of disk.files) copy.files.set(path, Buffer.from(content))
  return copy
}

/** Lines that mean something where they do not belong. */
const lines = [
  ': penstock 1 00112233445566ff telemetry 0 0 0\n',
  ': penstock 2 00112233445566ff telemetry 0 0 0\n',
  ': batch 0000000000000000 00000002 0000000098 00001784550000000 - - 6f2f8c11\n',
  ': batch 9007199254740991 99999999 9999999999 00001784550000000 - - 00000000\n',
  ': producers {} 00000000\n',
  ': trailer {}\n',
  ': sealed 0000000000000000 00000000\n',
  'id: 0/0/0\n',
  'data: forged\n',
  '\n',
  '\r',
]

type Change = (bytes: Buffer) => Buffer

/** A place in a file of any length: a share of it. */
const place = fc.double({ min: 0, max: 1, noNaN: true, noDefaultInfinity: true })

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, mask]) => (bytes: Buffer) => {
    const spoiled = Buffer.from(bytes)
    const byte = Math.floor(at * bytes.length)
    if (byte < bytes.length) spoiled[byte] = (spoiled[byte] as number) ^ mask
    return spoiled
  }),
  place.map((at) => (bytes: Buffer) => bytes.subarray(0, Math.floor(at * bytes.length))),
  fc.tuple(place, place).map(([from, to]) => (bytes: Buffer) => {
    const [low, high] = range(bytes, from, to)
    return Buffer.concat([bytes.subarray(0, low), bytes.subarray(high)])
  }),
  fc.tuple(place, place, place).map(([from, to, at]) => (bytes: Buffer) => {
    const [low, high] = range(bytes, from, to)
    return inserted(bytes, at, bytes.subarray(low, high))
  }),
  fc.tuple(place, fc.constantFrom(...lines)).map(
    ([at, line]) =>
      (bytes: Buffer) =>
        inserted(bytes, at, Buffer.from(line)),
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 40 })).map(
    ([at, noise]) =>
      (bytes: Buffer) =>
        inserted(bytes, at, Buffer.from(noise)),
  ),
  fc.tuple(place, place).map(([from, to]) => (bytes: Buffer) => {
    const [low, high] = range(bytes, from, to)
    return Buffer.from(bytes).fill(0, low, high)
  }),
  fc.uint8Array({ maxLength: 200 }).map((noise) => () => Buffer.from(noise)),
)

function range(bytes: Buffer, from: number, to: number): [number, number] {
  return [Math.floor(Math.min(from, to) * bytes.length), Math.floor(Math.max(from, to) * bytes.length)]
}

function inserted(bytes: Buffer, at: number, more: Buffer): Buffer {
  const position = Math.floor(at * bytes.length)
  return Buffer.concat([bytes.subarray(0, position), more, bytes.subarray(position)])
}

/** Up to three changes, each of a file that is chosen by a number. */
const changes = fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 3 })

function spoil(disk: MemoryDisk, these: readonly (readonly [number, Change])[], names: RegExp): MemoryDisk {
  const copy = copyOf(disk)
  const paths = [...copy.files.keys()].filter((path) => names.test(path)).sort()
  for (const [which, apply] of these) {
    const path = paths[which % paths.length] as string
    copy.files.set(path, apply(copy.files.get(path) as Buffer))
  }
  return copy
}

/** `undefined` for a refusal that is right. */
async function opened<T>(opening: Promise<T>, allowed: RegExp): Promise<T | undefined> {
  return opening.catch((error: Error) => {
    if (!allowed.test(error.message)) throw error
    return undefined
  })
}

for (const stopped of [false, true]) {
  test(`a spoiled log that was ${stopped ? 'stopped' : 'killed'}`, async (t) => {
    const disk = await written(stopped)
    const whole = await served(await open(copyOf(disk)))
    t.equal(whole.size, 18)
    await fc.assert(
      fc.asyncProperty(changes, async (these) => {
        const spoiled = spoil(disk, these, /\.log$/)
        const log = await opened(open(spoiled), refusal)
        if (log === undefined) return
        for (const [id, event] of await served(log)) {
          if (whole.get(id) !== event) throw new Error(`serves ${JSON.stringify(event)}`)
        }
        const { end } = log
        await append(log, 'after')
        await log.close()
        // What was written behind the damage is there after the next start, under an offset of its own.
        const again = await open(spoiled)
        const after = (await served(again)).get(`id: 0/0/${end}`)
        if (after !== `id: 0/0/${end}\ndata: after`) throw new Error(`serves ${JSON.stringify(after)} at ${end}`)
      }),
      { numRuns },
    )
  })
}

test('a spoiled reservation is believed or refused, and never passed over', async () => {
  const disk = await written(false)
  const path = `${folder}/reservation`
  const { next } = JSON.parse(String(disk.files.get(path))) as { next: number }
  await fc.assert(
    fc.asyncProperty(changes, async (these) => {
      const spoiled = spoil(disk, these, /reservation$/)
      const text = String(spoiled.files.get(path))
      const log = await opened(open(spoiled), reservationRefusal)
      const isOne = /^\{"next":\d+\}\n$/.test(text)
      if (log !== undefined && !isOne) throw new Error(`takes ${JSON.stringify(text)}`)
      if (log !== undefined && text === `{"next":${next}}\n` && log.end !== next)
        throw new Error(`goes on at ${log.end}`)
    }),
    { numRuns },
  )
})

test('a spoiled journal: nothing is acknowledged that was not', async () => {
  const disk = new MemoryDisk()
  const groups = 'data/telemetry/groups'
  const of = {
    topic: 'telemetry',
    group: 'g',
    broker: 0 as Ordinal,
    logId: '0011223344556677',
    mode: 'exclusive' as const,
  }
  const openJournal = (on: MemoryDisk) =>
    Journal.open(
      on,
      groups,
      of,
      'fsync',
      () => new Map(),
      () => {},
    )
  const { journal } = await openJournal(disk)
  const acknowledgedOf = [new Set<number>(), new Set<number>()]
  for (let n = 1; n < 8; n++) {
    const progress = { floor: n as Offset, acknowledged: n % 2 === 0 ? [] : [[n + 1, n + 3] as const] }
    for (const offset of offsetsIn(progress)) acknowledgedOf[n % 2]?.add(offset)
    await journal.note(new Map([[(n % 2) as Partition, progress]]), n)
  }
  await journal.close()
  await fc.assert(
    fc.asyncProperty(changes, async (these) => {
      const found = await opened(openJournal(spoil(disk, these, /g\.log$/)), refusal)
      for (const [partition, progress] of found?.progress ?? []) {
        const wrong = offsetsIn(progress).find((offset) => acknowledgedOf[partition]?.has(offset) !== true)
        if (wrong !== undefined)
          throw new Error(`${wrong} is acknowledged in ${partition}: ${JSON.stringify(progress)}`)
      }
    }),
    { numRuns },
  )
})

function offsetsIn({ floor, acknowledged }: Progress): number[] {
  const above = acknowledged.flatMap(([from, to]) => Array.from({ length: to - from }, (_, at) => from + at))
  return [...Array.from({ length: floor }, (_, at) => at), ...above]
}
