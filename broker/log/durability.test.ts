/** What a log shows when, and what it is after a clean and an unclean stop: durabilities, reservations, sealed files, the ring. */

import { test } from 'tap'

import type { Offset, Ordinal, Partition } from '#wire/ids'

import { MemoryDisk } from '../disk/memory.ts'
import { Log } from './log.ts'
import { readRecords, type Records } from './records.ts'
import { ChunkRing } from './ring.ts'
import { readTrailer } from './trailer.ts'
import type { Appended, Durability, LogOptions } from './types.ts'

const folder = 'data/telemetry/partition-0'
const path = `${folder}/00000000000000000000.log`
const head = { logId: '00112233445566ff', topic: 'telemetry', broker: 0 as Ordinal, partition: 0 as Partition }

interface Setup extends Partial<LogOptions> {
  readonly disk?: MemoryDisk
  readonly ring?: ChunkRing
  readonly reports?: string[]
}

function open({
  disk = new MemoryDisk(),
  ring = new ChunkRing(8 << 20),
  reports = [],
  ...options
}: Setup): Promise<Log> {
  const all: LogOptions = {
    durability: 'fsync',
    segmentBytesMax: 1 << 20,
    queueRecordsMax: 10,
    reserveRecords: 100,
    ...options,
  }
  return Log.open(disk, folder, head, all, ring, (text) => reports.push(text))
}

function records(...lines: string[]): Records {
  return readRecords(Buffer.from(lines.join('\n')), 'ndjson', 1 << 20) as Records
}

function append(log: Log, ...lines: string[]): Appended {
  const appended = log.append(records(...lines), undefined, 1000)
  if (typeof appended === 'string' || !('first' in appended)) throw new Error(JSON.stringify(appended))
  return appended
}

async function readAll(log: Log): Promise<string[]> {
  const lines: string[] = []
  let at = log.first
  while (at < log.end) {
    const batches = await log.read(at, 1 << 20)
    if (batches.length === 0) break
    for (const { view, next } of batches) {
      lines.push(
        ...view
          .toString()
          .split('\n')
          .flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : [])),
      )
      at = next
    }
  }
  return lines
}

/** What is on the disk as it is now, as after a killed process. */
function afterKill(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk()
  for (const [name, bytes] of disk.files) copy.files.set(name, Buffer.from(bytes))
  return copy
}

for (const durability of ['fsync', 'disk', 'memory'] satisfies Durability[]) {
  test(`${durability}: a clean stop leaves everything, sealed, and offsets without a hole`, async (t) => {
    const disk = new MemoryDisk()
    const log = await open({ disk, durability })
    for (const line of ['a', 'b', 'c']) t.equal(await append(log, line).done, 'durable')
    await log.close()
    t.notOk(disk.files.has(`${folder}/reservation`), 'no reservation is left')
    const reports: string[] = []
    const { open: opens } = disk.calls
    const again = await open({ disk, durability, reports })
    t.strictSame([reports, again.first, again.end, again.records], [[], 0, 3, 3])
    t.equal(again.segments[0]?.sealed, true)
    t.ok(disk.calls.open - opens <= 2, 'nothing is scanned or rewritten')
    t.strictSame(await readAll(again), ['a', 'b', 'c'])
    t.equal(append(again, 'd').first, 3)
    await again.close()
    t.strictSame(
      await readAll(await open({ disk, durability })),
      ['a', 'b', 'c', 'd'],
      'the next append opened the seal',
    )
    t.equal([...disk.files.keys()].filter((name) => name.endsWith('.log')).length, 1, 'in the same file')
  })
}

test('disk: after a kill everything is there, and the offsets go on at the reservation', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk, durability: 'disk' })
  t.equal(await append(log, 'a', 'b').done, 'durable')
  const reports: string[] = []
  const killed = afterKill(disk)
  const again = await open({ disk: killed, durability: 'disk', reports })
  t.strictSame(await readAll(again), ['a', 'b'])
  t.equal(again.end, 102, '2 records and 100 reserved')
  t.equal(again.records, 2)
  t.match(reports, [/telemetry\/partition-0 was not closed: offsets go on at 102/])
  t.strictSame(again.lostBetween(1 as Offset, 102 as Offset), [
    { first: 1, next: 2, reason: 'damaged' },
    { first: 2, next: 102, reason: 'unclean_stop' },
  ])
  t.equal(await append(again, 'c').done, 'durable')
  t.strictSame(await readAll(again), ['a', 'b', 'c'])
  const third = await open({ disk: afterKill(killed), durability: 'disk' })
  t.strictSame(await readAll(third), ['a', 'b', 'c'])
  t.equal(third.first, 0)
  t.strictSame(third.holes[0], { from: 2, to: 102, reason: 'unclean_stop' })
  await third.close()
  const fourth = await open({ disk: killed, durability: 'disk' })
  t.ok(fourth.end >= third.end)
})

test('a jump of the offsets outlives a clean stop, also when nothing was appended after it', async (t) => {
  const disk = new MemoryDisk()
  await append(await open({ disk, durability: 'disk' }), 'a').done
  const killed = afterKill(disk)
  const again = await open({ disk: killed, durability: 'disk' })
  const { end } = again
  await again.close()
  const reports: string[] = []
  t.equal((await open({ disk: killed, durability: 'disk', reports })).end, end)
  t.strictSame(reports, [])
})

test('disk: nothing is shown before its offset is reserved', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk, durability: 'disk', reserveRecords: 5 })
  for (let round = 0; round < 30; round++) {
    await append(log, `r${round}`).done
    const { next } = JSON.parse(String(disk.files.get(`${folder}/reservation`))) as { next: number }
    if (next < log.end) t.fail(`shown to ${log.end}, reserved to ${next}`)
  }
  disk.failNext('sync', 'EIO')
  const outcomes: string[] = []
  for (let round = 0; round < 10; round++) outcomes.push(await append(log, `s${round}`).done)
  t.equal(outcomes.filter((outcome) => outcome !== 'durable').length, 1, 'the one that could not be reserved')
})

test('memory: shown at once, written behind, lost by a kill and never its offsets', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk, durability: 'memory' })
  await append(log, 'warm').done
  const { write } = disk.calls
  append(log, 'a')
  t.equal(log.end, 2, 'visible in the same turn')
  t.equal(disk.calls.write, write, 'and not written')
  t.strictSame(await readAll(log), ['warm', 'a'])
  for (let round = 0; round < 10; round++) append(log, `b${round}`)
  for (let turn = 0; turn < 50 && disk.files.get(path) === undefined; turn++) await new Promise(setImmediate)
  t.ok(disk.files.get(path), 'beyond QUEUE_SIZE it is written')
  const again = await open({ disk: afterKill(disk), durability: 'memory' })
  t.ok(again.end >= 101, 'no offset that was shown is given again')
})

test('memory: a full disk loses nothing that fits, and then refuses', async (t) => {
  const disk = new MemoryDisk()
  const reports: string[] = []
  const log = await open({ disk, durability: 'memory', reports })
  await append(log, 'warm').done
  const full = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(full))
  const lines = ['warm']
  let refused: unknown
  for (let round = 0; round < 40 && refused === undefined; round++) {
    disk.failNext('write', 'ENOSPC', 3)
    const appended = log.append(records(`r${round}`), undefined, 1)
    if (typeof appended === 'string') refused = appended
    else lines.push(`r${round}`)
    await new Promise(setImmediate)
  }
  t.equal(refused, 'disk_full')
  t.equal(reports.filter((line) => /keeps \d+ records in memory/.test(line)).length, 1)
  t.strictSame(await readAll(log), lines)
  for (let turn = 0; turn < 200 && log.behind !== undefined; turn++) {
    log.append(records('probe'), undefined, 1)
    await new Promise(setImmediate)
  }
  await log.close()
  t.strictSame((await readAll(await open({ disk, durability: 'memory' }))).slice(0, lines.length), lines)
})

test('the ring comes round: readers fall back to the files without a hole or a repeat', async (t) => {
  for (const durability of ['fsync', 'memory'] satisfies Durability[]) {
    const disk = new MemoryDisk()
    const log = await open({ disk, durability, ring: new ChunkRing(1 << 20), queueRecordsMax: 1_000_000 })
    const lines: string[] = []
    for (let round = 0; round < 60; round++) {
      const line = `${round}-`.padEnd(40_000, 'x')
      let appended = log.append(records(line), undefined, 1)
      for (let turn = 0; appended === 'memory_full' && turn < 100; turn++) {
        await new Promise(setImmediate)
        appended = log.append(records(line), undefined, 1)
      }
      if (typeof appended === 'string' || !('done' in appended)) throw new Error(JSON.stringify(appended))
      await appended.done
      lines.push(line)
    }
    t.strictSame(
      (await readAll(log)).map((line) => line.slice(0, 4)),
      lines.map((line) => line.slice(0, 4)),
      durability,
    )
  }
})

test('a chunk is not used again while a write refers to it', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk, ring: new ChunkRing(1 << 20) })
  await append(log, 'warm').done
  const release = disk.hold()
  const taken: Appended[] = []
  let refused: unknown
  for (let round = 0; round < 100 && refused === undefined; round++) {
    const appended = log.append(records(`${round}-`.padEnd(40_000, 'x')), undefined, 1)
    if (typeof appended === 'string') refused = appended
    else taken.push(appended as Appended)
  }
  t.equal(refused, 'memory_full')
  release()
  for (const { done } of taken) t.equal(await done, 'durable')
  const lines = await readAll(log)
  t.strictSame(
    lines.slice(1).map((line) => line.split('-')[0]),
    taken.map((_, round) => String(round)),
  )
  t.equal(await append(log, 'goes on').done, 'durable')
})

test('a reader that still refers to a chunk keeps its bytes, and is told', async (t) => {
  const ring = new ChunkRing(1 << 20)
  const log = await open({ ring })
  await append(log, 'kept').done
  const [batch] = await log.read(0 as Offset, 1)
  let overruns = 0
  batch?.chunk?.readers.add({ overrun: () => overruns++ })
  for (let round = 0; round < 40; round++) await append(log, 'y'.repeat(40_000)).done
  t.equal(overruns, 1)
  t.match(batch?.view.toString(), /data: kept/)
})

test('retention: whole sealed segments go, the last one stays, and producers are still known', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk, segmentBytesMax: 300 })
  for (let round = 0; round < 12; round++) {
    const appended = log.append(records(`r${round}`), { producer: 'p', sequence: round }, 1000 + round) as Appended
    await appended.done
  }
  const count = log.segments.length
  t.ok(count > 3)
  t.equal(await log.dropBefore(0 as Offset), 0)
  const middle = log.segments[2]?.first as Offset
  t.equal(await log.dropBefore(middle), middle)
  t.equal(log.first, middle)
  t.strictSame(log.lostBetween(0 as Offset, middle), [{ first: 0, next: middle, reason: 'retention' }])
  await log.roll()
  await log.dropBefore(log.end)
  t.strictSame([log.first, log.end, log.records], [12, 12, 0])
  const killed = await open({ disk: afterKill(disk), segmentBytesMax: 300 })
  t.strictSame([killed.first, killed.end], [12, 12], 'offsets go on, although no record is left')
  t.match(killed.append(records('r11'), { producer: 'p', sequence: 11 }, 1), { duplicate: true }, 'a repeat is known')
})

test('segments that go while others are read: the reader misses nothing that is kept', async (t) => {
  const complaints: string[] = []
  for (let turns = 0; turns < 40; turns++) {
    const disk = new MemoryDisk()
    const first = await open({ disk, segmentBytesMax: 300 })
    for (let round = 0; round < 12; round++) await (first.append(records(`r${round}`), undefined, 1) as Appended).done
    await first.close()
    const log = await open({ disk, segmentBytesMax: 300 })
    const kept = log.segments[2]?.first as Offset
    const reading = log.read(0 as Offset, 1 << 20)
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    const dropping = log.dropBefore(kept)
    const [batch] = await reading
    await dropping
    // From the first segment, from the second, or from the first one that is kept; and the rest of the way without a hole.
    if (batch === undefined || batch.first > kept) complaints.push(`after ${turns} turns: ${batch?.first}`)
    for (let at = Math.max(batch?.next ?? 0, kept); at < log.end;) {
      const [found] = await log.read(at as Offset, 1)
      if (found?.first !== at) complaints.push(`after ${turns} turns, at ${at}: ${found?.first}`)
      at = found?.next ?? Infinity
    }
    await log.close()
    if (disk.openFiles > 0) complaints.push(`after ${turns} turns: ${disk.openFiles} files are open`)
  }
  t.strictSame(complaints, [])
})

test('a sealed segment says what is in it', async (t) => {
  const disk = new MemoryDisk()
  const log = await open({ disk })
  await (log.append(records('a', 'b'), { producer: 'p-1', sequence: 5 }, 1_784_550_000_000) as Appended).done
  await log.close()
  const bytes = disk.files.get(path) as Buffer
  const trailer = await readTrailer(await disk.open(path), bytes.length)
  t.match(trailer, { first: 0, next: 2, records: 2, batches: 1, firstMs: 1_784_550_000_000 })
  t.strictSame(trailer?.producers.get('p-1'), [5, 0, 2])
  t.match(bytes.toString(), /\n: trailer \{"first":0,.*\}\n: sealed \d{16} [0-9a-f]{8}\n$/)
  for (let at = bytes.indexOf(': trailer'); at < bytes.length; at++) {
    const spoiled = Buffer.from(bytes)
    spoiled[at] = (spoiled[at] as number) ^ 1
    const other = new MemoryDisk()
    other.files.set(path, spoiled)
    const lines = await readAll(await open({ disk: other }))
    if (lines.join() !== 'a,b') t.fail(`byte ${at} of the trailer costs records: ${lines.join()}`)
  }
})

test('what an unclean stop left is written anew, so that pages of a failed sync are not trusted', async (t) => {
  const disk = new MemoryDisk()
  let broken: Error | undefined
  const log = await open({ disk, onBroken: (error) => (broken = error) })
  await append(log, 'a').done
  disk.failNext('sync', 'EIO')
  t.equal(await append(log, 'b').done, 'not_writable')
  t.match(broken, { name: 'SyncFailed', message: /EIO/ })
  await log.close()
  const before = disk.files.get(path)
  const again = await open({ disk })
  t.not(disk.files.get(path), before, 'another file')
  t.strictSame(await readAll(again), ['a', 'b'], 'what was not answered may be there, whole')
})
