import fc from 'fast-check'
import { test } from 'tap'

import type { Sink } from '#lib/http/http'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { StreamReads } from './ahead.ts'
import { MemoryDisk } from './disk/memory.ts'
import { PlainSession } from './groups/session.ts'
import { Log } from './log/log.ts'
import { readRecords, type Records } from './log/records.ts'
import { ChunkRing } from './log/ring.ts'
import type { Appended } from './log/types.ts'
import { windowBytes, type Windows } from './log/windows.ts'
import { ConsumeStream } from './stream.ts'

const head = { logId: '00112233445566ff', topic: 'telemetry', broker: 0 as Ordinal, partition: 0 as Partition }

/** A socket that keeps the views it was given, and reads them when the test lets it. */
class LazySink implements Sink {
  text = ''
  isClosed = false
  #views: Uint8Array[] = []
  #drained = (): void => {}
  #closed = (): void => {}

  get pendingBytes(): number {
    return this.#views.reduce((sum, view) => sum + view.length, 0)
  }

  write(bytes: Uint8Array): boolean {
    this.#views.push(bytes)
    return true
  }

  take(): void {
    this.text += Buffer.concat(this.#views).toString('latin1')
    this.#views = []
    this.#drained()
  }

  onDrain(callback: () => void): void {
    this.#drained = callback
  }

  onClose(callback: () => void): void {
    this.#closed = callback
  }

  end(): void {
    this.isClosed = true
    this.#closed()
  }

  abort(): void {
    this.end()
  }
}

interface Served {
  readonly log: Log
  readonly windows: Windows
  readonly disk: MemoryDisk
  /** What a reader of all of it gets, but for the lines that say where it begins. */
  readonly text: string
}

/** A log of batches of these sizes that was closed and opened again: none of it is in memory. */
async function served(batchBytes: readonly number[], segmentBytesMax = 1 << 20): Promise<Served> {
  const disk = new MemoryDisk()
  const options = { durability: 'disk' as const, segmentBytesMax, queueRecordsMax: 100, reserveRecords: 1000 }
  const open = (ring: ChunkRing): Promise<Log> => Log.open(disk, 'log', head, options, ring, () => {})
  const log = await open(new ChunkRing(64 << 20))
  const texts: string[] = []
  for (const [at, bytes] of batchBytes.entries()) {
    const lines = Array.from({ length: Math.ceil(bytes / 10_000) }, (_, line) =>
      `${at}.${line} `.padEnd(Math.min(10_000, bytes - line * 10_000), 'x'),
    )
    const records = readRecords(Buffer.from(lines.join('\n')), 'ndjson', 1 << 20) as Records
    await (log.append(records, undefined, 1000) as Appended).done
    const [batch] = await log.read((log.end - lines.length) as Offset, 1)
    texts.push(batch?.view.toString('latin1') ?? 'nothing')
  }
  await log.close()
  const ring = new ChunkRing(1 << 20)
  return { log: await open(ring), windows: ring.windows, disk, text: texts.join('') }
}

function connect(log: Log, from: Offset = log.first): { readonly sink: LazySink; readonly stream: ConsumeStream } {
  const sink = new LazySink()
  const stream = new ConsumeStream(sink, [log], () => {})
  stream.start(new PlainSession([log], new Map([[log.partition, from]]), () => stream.wake()))
  return { sink, stream }
}

/** The batches of a stream, without what else stands in it. */
function batchesIn(text: string): string {
  return text.replaceAll(/^: penstock .*\n/gm, '')
}

/** All that can go on without a socket goes on. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
}

/** Several readers, who take what came in the order of the test. What one of them is sent wrongly, or nothing. */
async function wrongIn({ log, windows, text }: Served, order: readonly number[]): Promise<string | undefined> {
  const readers = Array.from({ length: 3 }, () => connect(log))
  for (const at of order) {
    await quiet()
    readers[at]?.sink.take()
    if (windows.lent > 3 * readers.length) return `${windows.lent} windows are lent to ${readers.length} readers`
  }
  for (let turn = 0; readers.some(({ sink }) => batchesIn(sink.text).length < text.length); turn++) {
    if (turn > 1000) return 'not all is sent'
    await quiet()
    for (const { sink } of readers) sink.take()
  }
  await quiet()
  for (const [at, { sink }] of readers.entries()) {
    if (batchesIn(sink.text) !== text) return `reader ${at} is sent something else`
    sink.end()
  }
  return windows.lent === 0 ? undefined : `${windows.lent} windows are lent for ever`
}

test('several readers who lag are each sent the log as it is, in windows that are used again', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 40_000, max: 400_000 })), {
        minLength: 1,
        maxLength: 20,
      }),
      fc.constantFrom(20_000, 1 << 20, 64 << 20),
      fc.array(fc.nat(2), { maxLength: 30 }),
      async (batchBytes, segmentBytesMax, order) => {
        t.equal(await wrongIn(await served(batchBytes, segmentBytesMax), order), undefined)
      },
    ),
    { numRuns: 30 },
  )
})

test('a window that is lent again too early is found out by that', async (t) => {
  const real = StreamReads.prototype.delivered
  StreamReads.prototype.delivered = function (this: StreamReads) {
    real.call(this)
    this.release()
  }
  t.teardown(() => (StreamReads.prototype.delivered = real))
  const log = await served(Array.from({ length: 40 }, () => 50_000))
  t.match(await wrongIn(log, [0, 0, 0, 1, 1, 2]), /is sent something else/)
})

test('a drain that is heard in the middle of a read takes no window away', async (t) => {
  const { log, windows } = await served(Array.from({ length: 8 }, () => 100_000))
  const { sink } = connect(log)
  t.equal(windows.lent, 1)
  sink.take()
  t.equal(windows.lent, 1, 'it is being read into')
  await quiet()
  t.equal(windows.lent, 2, 'one is sent, and one read ahead: the log is no longer')
  sink.end()
  await quiet()
  t.equal(windows.lent, 0)
})

test('a reader who takes nothing holds one window in the end', async (t) => {
  const { log, windows, text } = await served(Array.from({ length: 40 }, () => 100_000))
  const { sink, stream } = connect(log)
  await quiet()
  t.equal(windows.lent, 3)
  stream.beat()
  t.equal(windows.lent, 3, 'it may be slow')
  stream.beat()
  await quiet()
  t.equal(windows.lent, 1)
  for (let turn = 0; turn < 20; turn++) {
    sink.take()
    await quiet()
  }
  t.ok(batchesIn(sink.text) === text, 'it is sent all, if it reads on')
  sink.end()
  t.equal(windows.lent, 0)
})

test('readers who take nothing have all together no more windows than there are', async (t) => {
  const { log, windows, text } = await served(Array.from({ length: 100 }, () => 20_000))
  const countMax = (32 << 20) / windowBytes
  const stuck = Array.from({ length: countMax + 50 }, () => connect(log))
  await quiet()
  t.equal(windows.lent, countMax)
  for (let turn = 0; turn < 50; turn++) await quiet()
  const least = Math.min(...stuck.map(({ sink }) => sink.pendingBytes))
  t.ok(least >= 20_000 && least < 45_000, `for who gets none there is still a batch: ${least} bytes`)
  // And those go on while the others do not.
  const last = stuck.at(-1) as { readonly sink: LazySink }
  for (let turn = 0; batchesIn(last.sink.text).length < text.length && turn < 1000; turn++) {
    await quiet()
    last.sink.take()
  }
  t.ok(batchesIn(last.sink.text) === text)
  t.equal(windows.lent, countMax)
  for (const { sink } of stuck) sink.end()
  await quiet()
  t.equal(windows.lent, 0)
})

test('what is removed while it was read ahead is not sent any more', async (t) => {
  const { log, windows } = await served(
    Array.from({ length: 30 }, () => 50_000),
    100_000,
  )
  const { sink } = connect(log)
  await quiet()
  await log.dropBefore(log.end)
  t.ok(log.first > 100)
  for (let turn = 0; turn < 100; turn++) {
    await quiet()
    sink.take()
  }
  const ids = [...sink.text.matchAll(/^id: 0\/0\/(\d+)$/gm)].map(([, id]) => Number(id))
  const jump = ids.findIndex((id, at) => at > 0 && id !== (ids[at - 1] as number) + 1)
  t.equal(ids[jump], log.first, 'it goes on at the first record that is left')
  t.match(sink.text, new RegExp(`event: gap\\ndata: .*"last":"0/0/${log.first - 1}"`))
  sink.end()
  await quiet()
  t.equal(windows.lent, 0)
})

test('a file that cannot be read any more is told when it is wanted, not before', async (t) => {
  const { log, disk, windows } = await served(
    Array.from({ length: 30 }, () => 50_000),
    200_000,
  )
  const { sink } = connect(log)
  disk.failNext('open', 'EIO')
  await quiet()
  t.match(sink.text, '')
  for (let turn = 0; turn < 20 && !sink.isClosed; turn++) {
    sink.take()
    await quiet()
  }
  sink.take()
  t.match(sink.text, /event: cut\ndata: {"code":"unreadable","reason":"the log cannot be read: EIO: told to fail"}/)
  t.equal(windows.lent, 0)
})
