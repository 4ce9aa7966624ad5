/**
 * Consume by readers that look at nothing, beside what limits them: the same bytes out of a process that does nothing else, and,
 * from a cold disk, the files by `cat` into a socket.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Scope } from '#test/scope'
import { start } from '#test/start'

import { recordsIn, type LoadedBroker } from '../../load/broker.ts'
import { readBytes } from '../../load/reader.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import { takeTurns, type Figure } from '../../load/rounds.ts'
import { streamOf } from '../groups/consume.ts'
import { outputOf } from './output.ts'
import { reportWith } from './produce.ts'
import type { Engine, Stage } from './stage.ts'

const topic = 'load'
const partitions = 4

/** A topic with records in it, and the bytes of its stream. */
export interface Filled {
  readonly broker: LoadedBroker
  readonly records: number
  /** Of the log, which are those of the stream. */
  readonly bytes: number
}

/** What is in memory, by one reader. */
export async function consumeMemory(stage: Stage): Promise<void> {
  const { bench } = stage
  const scope = new Scope()
  try {
    const records = bench.quick ? 500_000 : 2_000_000
    const all = await filled(stage, 'memory', '640MiB', records)
    const contestants: Record<string, () => Promise<number | undefined>> = {}
    for (const [engine, one] of all) contestants[engine] = () => read(one)
    const some = all.get('node') as Filled
    const limit = await plainServer(scope, bench.folder, some)
    contestants['loopback'] = async () => {
      const { bytes, seconds } = await readBytes(limit, '/', some.bytes)
      return (some.records * bytes) / some.bytes / seconds
    }
    const hows: Record<string, string> = { loopback: 'the same bytes over HTTP, of a process that does nothing else' }
    const redis = await stage.redis('disk')
    if (redis !== undefined) {
      hows['redis'] = 'redis-benchmark, XRANGE … COUNT 1000'
      contestants['redis'] = () => redis.read(records / 2, recordBytes)
    }
    const nats = await stage.nats('disk')
    if (nats !== undefined) {
      await nats.filled(records / 2, recordBytes)
      hows['jetstream'] = 'nats.go, ordered consumer'
      contestants['jetstream'] = () => nats.consume(records / 2)
    }
    // Its tool starts for seconds: it read one million records at 368,000/s, five at 1.8 million. So no quick figure of it is fair.
    const kafka = bench.quick ? undefined : await stage.kafka()
    if (kafka !== undefined) {
      const count = 5_000_000
      const kafkaTopic = await kafka.filled(count, recordBytes)
      hows['kafka'] = 'ConsumerPerformance, fetch alone'
      contestants['kafka'] = () => kafka.consume(kafkaTopic, count)
    }
    for (const name of Object.keys(contestants)) if (name !== 'kafka') await contestants[name]?.()
    const figures: Partial<Record<string, Figure>> = await takeTurns(bench, bench.quick ? 2 : 5, contestants)
    const { loopback, redis: ofRedis, jetstream, kafka: ofKafka } = figures
    const peers = { loopback, redis: ofRedis, jetstream, kafka: ofKafka }
    reportAll(stage, 'consume-memory', all, figures, peers, hows)
  } finally {
    await scope.end()
  }
}

/** What has left memory, and the page cache too. */
export async function consumeDisk(stage: Stage): Promise<void> {
  const { bench } = stage
  const records = bench.quick ? 1_000_000 : 4_000_000
  const all = await filled(stage, 'disk', '64MiB', records)
  const contestants: Record<string, () => Promise<number>> = {}
  const stored: { readonly one: Filled; readonly files: readonly string[] }[] = []
  for (const [engine, one] of all) {
    const files = await filesOf(one.broker)
    stored.push({ one, files })
    contestants[engine] = async () => {
      await chill(files)
      return read(one)
    }
  }
  let turn = 0
  contestants['cat'] = async () => {
    // Those of one engine, then those of the other: where they lie on the disk is the same for both sides.
    const { one, files } = stored[turn++ % stored.length] as (typeof stored)[number]
    await chill(files)
    return one.records / (await secondsOfCat(files, one.bytes))
  }
  const figures: Partial<Record<string, Figure>> = await takeTurns(bench, bench.quick ? 4 : 12, contestants)
  const hows = { cat: '`cat` of the same files into a socket' }
  reportAll(stage, 'consume-disk', all, figures, { cat: figures['cat'] }, hows, { cold: true })
}

/** The same records to 1 and to 8 groups, each by a reader of its own, all at once. */
export async function sweepGroups(stage: Stage): Promise<void> {
  const { bench } = stage
  const all = await filled(stage, 'memory', '640MiB', bench.quick ? 500_000 : 2_000_000)
  let named = 0
  for (const groups of [1, 8]) {
    const contestants: Record<string, () => Promise<number>> = {}
    for (const [engine, one] of all) {
      contestants[engine] = async () => {
        const startedMs = performance.now()
        const reads = Array.from({ length: groups }, () =>
          // Nothing is acknowledged: what is in flight is all of it.
          readBytes(
            one.broker.role.port,
            `/consume?topic=${topic}&group=g-${named++}&max_in_flight=${one.records}`,
            one.bytes,
          ),
        )
        await Promise.all(reads)
        return (1000 * groups * one.records) / (performance.now() - startedMs)
      }
    }
    const figures: Partial<Record<string, Figure>> = await takeTurns(bench, bench.quick ? 2 : 5, contestants)
    reportAll(stage, 'groups', all, figures, {}, {}, { groups })
  }
}

function reportAll(
  stage: Stage,
  work: string,
  all: ReadonlyMap<Engine, Filled>,
  figures: Partial<Record<string, Figure>>,
  peers: Readonly<Record<string, Figure | undefined>>,
  hows: Readonly<Record<string, string>>,
  more: Readonly<Record<string, unknown>> = {},
): void {
  for (const [engine, { records, bytes }] of all) {
    const figure = figures[engine]
    if (figure === undefined) continue
    const gbPerS = (figure.median * bytes) / records / 1e9
    reportWith(stage, work, figure, peers, hows, {
      engine,
      records,
      gb_per_s: gbPerS,
      record_bytes: recordBytes,
      ...more,
    })
  }
}

/** A broker on each engine with so many records in it; those that were asked for before are there already. */
export async function filled(
  stage: Stage,
  name: string,
  memory: string,
  records: number,
): Promise<ReadonlyMap<Engine, Filled>> {
  const all = new Map<Engine, Filled>()
  for (const engine of stage.engines) {
    const topics = `${topic}:partitions=${partitions}:durability=disk`
    const broker = await stage.broker(name, engine, { topics, memory })
    const url = `${broker.role.url}/consume?topic=${topic}&from=earliest`
    if ((await recordsIn(broker, topic)) === 0) {
      const path = (at: number): string => `/produce?topic=${topic}&partition=${at % partitions}`
      await broker.load(path, bodyOf(batchRecords, recordBytes), records / batchRecords, 16)
    }
    // Of some records: all are alike.
    const sample = Math.min(records, 100_000)
    const bytes = Math.floor(((await streamOf(url, sample)).length / sample) * records)
    all.set(engine, { broker, records, bytes })
  }
  return all
}

async function read({ broker, records, bytes }: Filled): Promise<number> {
  const { bytes: got, seconds } = await readBytes(broker.role.port, `/consume?topic=${topic}&from=earliest`, bytes)
  return (records * got) / bytes / seconds
}

/** A server of the bytes of the stream. */
async function plainServer(scope: Scope, folder: string, { broker, records }: Filled): Promise<number> {
  const file = join(folder, 'stream')
  await writeFile(file, await streamOf(`${broker.role.url}/consume?topic=${topic}&from=earliest`, records))
  const plain = start(scope, process.execPath, [fileURLToPath(import.meta.resolve('../groups/plain.ts')), file])
  const url = await plain.waitFor(/^http:/)
  return Number(new URL(url).port)
}

async function filesOf({ role }: LoadedBroker): Promise<string[]> {
  const folder = join(role.dataDir, topic)
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => name.endsWith('.log')).map((name) => join(folder, name))
}

/**
 * Makes the files equally cold for whoever is next: they are read once, and then dropped from the page cache. On a virtual machine
 * the host keeps what was read last, or does not: without the first pass `cat` took 0.33 to 1.13 GB/s in one run, with it 0.89 to
 * 1.47.
 */
async function chill(files: readonly string[]): Promise<void> {
  await forget(files)
  for (const file of files) await outputOf('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'status=none'])
  await forget(files)
}

/** Has the kernel write the files out and drop them from its page cache: `dd` asks for it by posix_fadvise. */
async function forget(files: readonly string[]): Promise<void> {
  await outputOf('sync', files)
  for (const file of files) await outputOf('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
}

/** `cat` writes into the socket itself. */
async function secondsOfCat(files: readonly string[], bytes: number): Promise<number> {
  const server = createServer((socket) => {
    const cat = spawn('cat', files, { stdio: ['ignore', socket, 'ignore'] })
    cat.on('close', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return (await readBytes((server.address() as AddressInfo).port, undefined, bytes)).seconds
  } finally {
    server.close()
  }
}
