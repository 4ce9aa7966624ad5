/**
 * Small files cut at every byte and with every bit flipped: never a crash, never a byte served that was not written, all
 * whole batches served, and what is missing told by its offsets.
 *
 * Complaints are gathered and asserted once: an assertion of the test runner costs a millisecond, and there are thousands.
 */

import { t as file, test } from 'tap'

import type { Offset, Ordinal, Partition } from '#wire/ids'

import { MemoryDisk } from '../disk/memory.ts'
import { readBatch } from './framing.ts'
import { Log } from './log.ts'
import { readRecords, type Records } from './records.ts'
import { ChunkRing } from './ring.ts'
import type { Appended } from './types.ts'

file.setTimeout(600_000)

const folder = 'data/telemetry/partition-0'
const head = { logId: '00112233445566ff', topic: 'telemetry', broker: 0 as Ordinal, partition: 0 as Partition }

/** A start answers with one of these where it does not go on: it names the file, and what to do. */
const refusal = /is of format \d+, this program reads|belongs to .* put the file back|the file before it ends at/

interface Opened {
  readonly log: Log
  readonly reports: string[]
}

async function open(disk: MemoryDisk, segmentBytesMax = 1 << 20): Promise<Opened> {
  const reports: string[] = []
  const options = { durability: 'fsync' as const, segmentBytesMax, queueRecordsMax: 100, reserveRecords: 100 }
  const log = await Log.open(disk, folder, head, options, new ChunkRing(1 << 20), (text) => reports.push(text))
  return { log, reports }
}

async function append(log: Log, ...lines: string[]): Promise<number> {
  const records = readRecords(Buffer.from(lines.join('\n')), 'ndjson', 1000) as Records
  const appended = log.append(records, { producer: 'p', sequence: log.end }, 1_000) as Appended
  await appended.done
  return appended.first
}

/** Each batch that is read from the log, as text, by its first offset. */
async function served(log: Log): Promise<Map<number, string>> {
  const batches = new Map<number, string>()
  for (let at: number = log.first; at < log.end;) {
    const read = await log.read(at as Offset, 1 << 20)
    for (const { first, next, view } of read) {
      batches.set(first, view.toString('latin1'))
      at = next
    }
    if (read.length === 0) break
  }
  return batches
}

interface Place {
  readonly from: number
  readonly to: number
  readonly first: number
  readonly next: number
  readonly text: string
}

/** Where the batches of a file stand. */
function placesOf(bytes: Buffer): Place[] {
  const places: Place[] = []
  for (let at = bytes.indexOf('\n: batch ') + 1; ;) {
    const batch = readBatch(bytes, at)
    if (batch === 'bad' || 'needed' in batch) return places
    const { firstOffset: first, count } = batch.head
    places.push({ from: at, to: batch.end, first, next: first + count, text: bytes.toString('latin1', at, batch.end) })
    at = batch.end
  }
}

/** Three batches: in one file that a crash left, in one that a clean stop left, or in the middle of three files. */
async function written(shape: 'unsealed' | 'sealed' | 'middle'): Promise<{ disk: MemoryDisk; path: string }> {
  const disk = new MemoryDisk()
  const { log } = await open(disk, shape === 'middle' ? 400 : 1 << 20)
  for (let batch = 0; batch < (shape === 'middle' ? 9 : 3); batch++) await append(log, `{"a":${batch}}`, `b${batch}`)
  if (shape !== 'unsealed') await log.close()
  const paths = [...disk.files.keys()].filter((path) => path.endsWith('.log'))
  if (shape === 'middle' && paths.length !== 3) throw new Error(`${paths.length} files`)
  return { disk, path: paths[shape === 'middle' ? 1 : 0] as string }
}

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk()
  for (const [path, content] of disk.files) copy.files.set(path, content)
  return copy
}

function replaced(disk: MemoryDisk, path: string, content: Buffer): MemoryDisk {
  const copy = copyOf(disk)
  copy.files.set(path, content)
  return copy
}

/** All bits with `--full`; else one of each byte. */
function bitsOf(bytes: Buffer): number[] {
  const step = process.env['PENSTOCK_TEST_FULL'] === '1' ? 1 : 8
  return Array.from({ length: (8 * bytes.length) / step }, (_, at) => (step === 1 ? at : 8 * at + (at % 8)))
}

/** The first offset in the head line has no checksum, and neither has the line's end: the records below it may go. */
function isUnprotected(bytes: Buffer, at: number): boolean {
  const end = bytes.indexOf('\n')
  return at <= end && at > bytes.lastIndexOf(' ', end)
}

/** What the log must serve when these batches of one file are gone, and all others are there. */
function complaintsOf(got: ReadonlyMap<number, string>, whole: ReadonlyMap<number, string>, gone: readonly Place[]) {
  const wrong: string[] = []
  for (const [first, text] of got) {
    if (whole.get(first) !== text) wrong.push(`serves at ${first} what was not written`)
    if (gone.some((place) => place.first === first)) wrong.push(`serves ${first}, which is damaged`)
  }
  for (const first of whole.keys()) {
    if (!got.has(first) && !gone.some((place) => place.first === first)) wrong.push(`does not serve ${first}`)
  }
  return wrong
}

for (const shape of ['unsealed', 'sealed', 'middle'] as const) {
  test(`every bit of a file, ${shape}`, async (t) => {
    const { disk, path } = await written(shape)
    const bytes = disk.files.get(path) as Buffer
    const whole = await served((await open(copyOf(disk))).log)
    const places = placesOf(bytes)
    t.equal(places.length, 3)
    const wrong: string[] = []
    const refused = new Set<number>()
    for (const bit of bitsOf(bytes)) {
      const at = bit >> 3
      if (isUnprotected(bytes, at)) continue
      const spoiled = Buffer.from(bytes)
      spoiled[at] = (spoiled[at] as number) ^ (1 << (bit & 7))
      const complain = (text: string): number => wrong.push(`bit ${bit & 7} of byte ${at}: ${text}`)
      const opened = await open(replaced(disk, path, spoiled)).catch((error: Error) => error)
      if (opened instanceof Error) {
        if (!refusal.test(opened.message)) complain(`the start fails: ${opened.stack}`)
        refused.add(at)
        continue
      }
      const { log, reports } = opened
      const hit = places.find(({ from, to }) => from <= at && at < to)
      const got = await served(log)
      complaintsOf(got, whole, hit === undefined ? [] : [hit]).forEach(complain)
      if (hit === undefined) continue
      const isTail = shape === 'unsealed' && hit === places.at(-1)
      if (isTail) {
        if (!reports.some((text) => text.includes(`behind byte ${hit.from}: cut off`))) complain('no torn tail is told')
        if (log.end !== hit.first) complain(`goes on at ${log.end}`)
        continue
      }
      if (log.end !== [...whole.keys()].at(-1)! + 2) complain(`ends at ${log.end}`)
      const lost = log.lostBetween(hit.first as Offset, hit.next as Offset)
      if (JSON.stringify(lost) !== JSON.stringify([{ first: hit.first, next: hit.next, reason: 'damaged' }])) {
        complain(`says that ${JSON.stringify(lost)} is lost`)
      }
      const holes = JSON.stringify([{ from: hit.first, to: hit.next, reason: 'damaged' }])
      if (JSON.stringify(log.holes) !== holes) complain(`has the holes ${JSON.stringify(log.holes)}`)
      if (shape === 'unsealed') {
        const told = `from byte ${hit.from} to ${hit.to}: the records ${hit.first} to ${hit.next - 1} are lost`
        if (!reports.some((text) => text.includes(told))) complain(`tells ${reports.join()}`)
      } else if (!reports.some((text) => text.includes(`is damaged at byte ${hit.from}`))) {
        complain(`tells ${reports.join()}`)
      }
    }
    const headEnd = bytes.indexOf('\n')
    for (const at of refused) if (at > headEnd) wrong.push(`byte ${at} keeps the broker from starting`)
    t.strictSame(wrong.slice(0, 20), [], `${wrong.length} complaints`)
  })

  test(`cut at every byte, ${shape}`, async (t) => {
    const { disk, path } = await written(shape)
    const bytes = disk.files.get(path) as Buffer
    const whole = await served((await open(copyOf(disk))).log)
    const places = placesOf(bytes)
    const wrong: string[] = []
    for (let at = 0; at < bytes.length; at++) {
      const complain = (text: string): number => wrong.push(`cut at ${at}: ${text}`)
      const cut = replaced(disk, path, bytes.subarray(0, at))
      const opened = await open(cut).catch((error: Error) => error)
      if (opened instanceof Error) {
        complain(`the start fails: ${opened.stack}`)
        continue
      }
      const { log, reports } = opened
      const gone = places.filter(({ to }) => to > at)
      complaintsOf(await served(log), whole, gone).forEach(complain)
      // A last file that ends with a batch is whole, as far as anybody can see; another one, with its last.
      const ends = shape === 'middle' ? [places.at(-1)?.to] : [places[0]?.from, ...places.map(({ to }) => to)]
      const isWhole = ends.includes(at)
      const isTold = reports.some((text) => text.includes(folder))
      if (isTold === isWhole && shape !== 'sealed') complain(`tells ${reports.join() || 'nothing'}`)
      const first = gone[0]
      if (shape === 'middle') {
        const hole = first === undefined ? [] : [{ from: first.first, to: 12, reason: 'damaged' }]
        // A file without its head is set aside, and what was in it is missing all the same.
        if (JSON.stringify(log.holes) !== JSON.stringify(hole)) complain(`has the holes ${JSON.stringify(log.holes)}`)
      }
      const next = await append(log, 'after')
      if (next !== (shape === 'middle' ? 18 : (first?.first ?? 6))) complain(`goes on at ${next}`)
      await log.close()
      const again = await open(cut)
      if (again.log.end !== next + 1) complain(`ends at ${again.log.end} after the next start`)
      if (!(await served(again.log)).has(next)) complain('loses what was appended after')
    }
    t.strictSame(wrong.slice(0, 20), [], `${wrong.length} complaints`)
  })
}
