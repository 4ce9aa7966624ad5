import fc from 'fast-check'
import { test } from 'tap'

import { parseBatchHead } from '#wire/frames'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { eventsOf } from './framing.ts'
import { Log } from './log.ts'
import type { Appended, StoredBatch } from './types.ts'
import { MemoryDisk } from '../disk/memory.ts'
import { readRecords, type Records } from './records.ts'
import { ChunkRing } from './ring.ts'

const folder = 'data/telemetry/partition-3'
const head = {
  logId: '00112233445566ff',
  topic: 'telemetry',
  broker: 0 as Ordinal,
  partition: 3 as Partition,
}

interface Setup {
  readonly disk?: MemoryDisk
  readonly segmentBytesMax?: number
  readonly memoryBytes?: number
  readonly reports?: string[]
}

function open({
  disk = new MemoryDisk(),
  segmentBytesMax = 1 << 20,
  memoryBytes = 64 << 20,
  reports = [],
}: Setup): Promise<Log> {
  const options = { durability: 'fsync' as const, segmentBytesMax, queueRecordsMax: 100, reserveRecords: 1000 }
  return Log.open(disk, folder, head, options, new ChunkRing(memoryBytes), (text) => reports.push(text))
}

function records(...lines: string[]): Records {
  return readRecords(Buffer.from(lines.join('\n')), 'ndjson', 1 << 20) as Records
}

async function append(log: Log, lines: string[], numbered?: { producer: string; sequence: number }): Promise<Appended> {
  const appended = log.append(records(...lines), numbered, 1000)
  if (typeof appended === 'string' || !('first' in appended))
    throw new Error(`not appended: ${JSON.stringify(appended)}`)
  const outcome = await appended.done
  if (outcome !== 'durable') throw new Error(outcome)
  return appended
}

function dataOf(batch: StoredBatch): string[] {
  const text = batch.view.toString('utf8')
  return text.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []))
}

async function readAll(log: Log, from: number = log.first, bytesMax = 1 << 20): Promise<string[]> {
  const lines: string[] = []
  let at = from
  while (at < log.end) {
    const batches = await log.read(at as Offset, bytesMax)
    if (batches.length === 0) break
    for (const batch of batches) {
      lines.push(...dataOf(batch).slice(Math.max(0, at - batch.first)))
      at = batch.next
    }
  }
  return lines
}

test('the file holds what docs/PROTOCOL.md says', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await append(log, ['{"a":1}', '{"a":2}'])
  const lines = (disk.files.get(`${folder}/00000000000000000000.log`) as Buffer).toString().split('\n')
  t.equal(lines[0], ': penstock 1 00112233445566ff telemetry 0 3 0')
  t.match(parseBatchHead(lines[1] as string), { firstOffset: 0, count: 2, bytes: 50, appendMs: 1000 })
  t.strictSame(lines.slice(2), ['id: 0/3/0', 'data: {"a":1}', '', 'id: 0/3/1', 'data: {"a":2}', '', ''])
})

test('offsets grow a digit', async (t) => {
  const log = await open({})
  const lines = Array.from({ length: 1205 }, (_, index) => `{"n":${index}}`)
  await append(log, lines.slice(0, 95))
  await append(log, lines.slice(95))
  const [batch] = (await log.read(95 as Offset, 1)) as StoredBatch[]
  const ids = (batch as StoredBatch).view.toString().match(/id: 0\/3\/\d+/g)
  t.strictSame(
    ids,
    Array.from({ length: 1110 }, (_, index) => `id: 0/3/${index + 95}`),
  )
})

test('what is not durable is not visible, and is answered after it is', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await append(log, ['first'])
  const release = disk.hold()
  const appended = log.append(records('second'), undefined, 1) as Appended
  let answered = false
  const done = appended.done.then(() => (answered = true))
  await new Promise(setImmediate)
  t.equal(log.end, 1)
  t.equal(answered, false)
  t.strictSame(await readAll(log), ['first'])
  release()
  await done
  t.equal(log.end, 2)
})

test('appends that arrive during a write share the next write and sync', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await append(log, ['warm'])
  const before = { ...disk.calls }
  const release = disk.hold()
  const all = Array.from({ length: 50 }, (_, index) => log.append(records(`r${index}`), undefined, 1) as Appended)
  release()
  await Promise.all(all.map((appended) => appended.done))
  t.ok(disk.calls.write - before.write <= 2, `${disk.calls.write - before.write} writes`)
  t.equal(disk.calls.sync - before.sync, disk.calls.write - before.write)
})

test('a failed write leaves no trace and the offsets are used again', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await append(log, ['kept'])
  const bytes = log.bytes
  disk.failNext('write', 'ENOSPC', 17)
  const first = log.append(records('lost', 'lost too'), { producer: 'p', sequence: 0 }, 1) as Appended
  const second = log.append(records('behind it'), undefined, 1) as Appended
  t.equal(await first.done, 'disk_full')
  t.equal(await second.done, 'disk_full')
  t.equal(log.bytes, bytes)
  t.equal((disk.files.get(`${folder}/00000000000000000000.log`) as Buffer).length, bytes, 'the part is cut off')
  t.equal((await append(log, ['again'], { producer: 'p', sequence: 0 })).first, 1)
  t.strictSame(await readAll(log), ['kept', 'again'])
  t.strictSame(await readAll(await open({ disk })), ['kept', 'again'])
})

test('a failed sync ends all writing', async (t) => {
  const disk = new MemoryDisk()
  const reports: string[] = []
  const log = await open({ disk, reports })
  await append(log, ['kept'])
  disk.failNext('sync', 'EIO')
  t.equal(await (log.append(records('lost'), undefined, 1) as Appended).done, 'not_writable')
  t.equal(log.append(records('later'), undefined, 1), 'not_writable')
  t.equal(log.writable, false)
  t.match(reports, [/partition-3 cannot be written any more: EIO/])
})

test('a batch that is sent twice is written once, also after a restart', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  const first = await append(log, ['a', 'b'], { producer: 'p', sequence: 0 })
  const again = await append(log, ['a', 'b'], { producer: 'p', sequence: 0 })
  t.match(again, { first: first.first, count: 2, duplicate: true })
  t.match(log.append(records('b', 'c'), { producer: 'p', sequence: 1 }, 1), { expected: 2 })
  await append(log, ['after a hole'], { producer: 'p', sequence: 10 })
  const reopened = await open({ disk })
  t.match(await append(reopened, ['a', 'b'], { producer: 'p', sequence: 0 }), { first: 0, duplicate: true })
  t.match(reopened.append(records('x', 'y'), { producer: 'p', sequence: 10 }, 1), { expected: 11 })
  t.strictSame(await readAll(reopened), ['a', 'b', 'after a hole'])
})

test('a repeat waits for the first to be durable', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await append(log, ['warm'])
  const release = disk.hold()
  const first = log.append(records('a'), { producer: 'p', sequence: 0 }, 1) as Appended
  const again = log.append(records('a'), { producer: 'p', sequence: 0 }, 1) as Appended
  t.equal(again.duplicate, true)
  let answered = false
  const done = again.done.then(() => (answered = true))
  await new Promise(setImmediate)
  t.equal(answered, false)
  release()
  await Promise.all([first.done, done])
})

test('reads are the same from memory, from the files and after a restart', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.stringMatching(/^[a-z"{}:é ]{0,40}x$/), { minLength: 1, maxLength: 30 }), { maxLength: 20 }),
      fc.nat(300),
      fc.integer({ min: 1, max: 4000 }),
      async (batches, from, bytesMax) => {
        const disk = new MemoryDisk()
        const log = await open({ disk, segmentBytesMax: 700 })
        for (const lines of batches) await append(log, lines)
        const expected = batches.flat().slice(from)
        t.strictSame(await readAll(log, from, bytesMax), expected)
        const reopened = await open({ disk, segmentBytesMax: 700 })
        t.equal(reopened.end, log.end)
        t.strictSame(await readAll(reopened, from, bytesMax), expected)
      },
    ),
    { numRuns: 60 },
  )
})

test('a segment cut at any byte, or with any byte wrong: never a crash, never a damaged record', async (t) => {
  const whole = new MemoryDisk()
  const log = await open({ disk: whole })
  const lines: string[] = []
  for (let batch = 0; batch < 4; batch++) {
    const added = Array.from({ length: 3 }, (_, index) => `{"batch":${batch},"n":${index}}`)
    await append(log, added)
    lines.push(...added)
  }
  const path = `${folder}/00000000000000000000.log`
  const bytes = whole.files.get(path) as Buffer
  // Assertions of the test runner cost a millisecond each, which thousands of places make minutes: one sum of complaints.
  const wrong: string[] = []
  for (let at = 0; at < bytes.length; at++) {
    const cut = new MemoryDisk()
    cut.files.set(path, Buffer.from(bytes.subarray(0, at)))
    const recovered = await open({ disk: cut })
    const kept = await readAll(recovered)
    if (kept.join() !== lines.slice(0, kept.length).join()) wrong.push(`cut at ${at}: ${kept.join()}`)
    if (kept.length % 3 !== 0) wrong.push(`cut at ${at}: a part of a batch`)
    const { first } = await append(recovered, ['after'])
    if (first !== kept.length) wrong.push(`cut at ${at}: went on at ${first}`)

    const spoiled = new MemoryDisk()
    const copy = Buffer.from(bytes)
    copy[at] = (copy[at] as number) ^ (1 << (at % 8))
    spoiled.files.set(path, copy)
    const damaged = await open({ disk: spoiled }).catch((error: Error) => error)
    if (damaged instanceof Error) {
      if (damaged.name !== 'ForeignSegment') wrong.push(`byte ${at}: ${damaged.message}`)
      continue
    }
    const served = await readAll(damaged)
    if (!served.every((line) => lines.includes(line))) wrong.push(`byte ${at} serves what was not written`)
    if (served.length < 9) wrong.push(`byte ${at} costs ${12 - served.length} records, more than its batch`)
  }
  t.strictSame(wrong, [])
})

test('a torn tail is cut, kept and told; damage is told and what stands behind it is served', async (t) => {
  const disk = new MemoryDisk()
  const reports: string[] = []
  const log = await open({ disk })
  for (const line of ['one', 'two', 'three']) await append(log, [line])
  const path = `${folder}/00000000000000000000.log`
  const bytes = disk.files.get(path) as Buffer
  disk.files.set(path, Buffer.concat([bytes, Buffer.alloc(100)]))
  await open({ disk, reports })
  t.match(reports, [/torn tail of 100 bytes/])
  t.equal(disk.files.get(`${path}.torn`)?.length, 100)
  const spoiled = Buffer.from(bytes)
  spoiled.write('TWO', spoiled.indexOf('two'))
  disk.files.set(path, spoiled)
  const damaged = await open({ disk, reports })
  t.match(reports[1], /damaged from byte \d+ to \d+/)
  t.equal(damaged.end, 3)
  t.strictSame(await readAll(damaged), ['one', 'three'])
})

test('a file of a newer version is refused by name', async (t) => {
  const disk = new MemoryDisk()
  disk.files.set(`${folder}/00000000000000000000.log`, Buffer.from(': penstock 2 whatever it says\n'))
  await t.rejects(open({ disk }), { message: /is of format 2, this program reads format 1/ })
})

test('a file of another log is refused, and stays as it is', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await (log.append(records('a', 'b'), undefined, 1) as Appended).done
  const path = `${folder}/00000000000000000000.log`
  const own = (disk.files.get(path) as Buffer).toString('latin1')
  for (const [from, to] of [
    [' telemetry 0 3 ', ' telemetry 0 4 '],
    [' telemetry 0 3 ', ' telemetry 1 3 '],
    [' telemetry 0 3 ', ' transfers 0 3 '],
  ] as const) {
    const foreign = new MemoryDisk()
    // Killed in the middle of a batch: of our own the tail would be cut off.
    const bytes = Buffer.from(own.replace(from, to).slice(0, -5), 'latin1')
    foreign.files.set(path, bytes)
    await t.rejects(open({ disk: foreign }), { message: /belongs to .*: put the file back where it came from/ }, to)
    t.strictSame([...foreign.files], [[path, bytes]])
  }
})

test('the first record at or after a time', async (t) => {
  const log = await open({ segmentBytesMax: 300 })
  for (let minute = 0; minute < 20; minute++) {
    await (log.append(records(`m${minute}`), undefined, minute * 60_000) as Appended).done
  }
  t.equal(await log.offsetAt(0), 0)
  t.equal(await log.offsetAt(7 * 60_000), 7)
  t.equal(await log.offsetAt(7 * 60_000 + 1), 8)
  t.equal(await log.offsetAt(1e9), 20)
})

test('events of a batch by their place', (t) => {
  const events = Buffer.from('id: 0/0/0\ndata: a\n\nid: 0/0/1\ndata: b\ndata: \ndata: c\n\nid: 0/0/2\ndata: d\n\n')
  t.equal(eventsOf(events, 0, 1).toString(), 'id: 0/0/0\ndata: a\n\n')
  t.equal(eventsOf(events, 1, 3).toString(), 'id: 0/0/1\ndata: b\ndata: \ndata: c\n\nid: 0/0/2\ndata: d\n\n')
  t.equal(eventsOf(events, 2, 2).toString(), '')
  t.end()
})
