/**
 * Records a second into a broker on each HTTP engine and into the peers, each loaded by the tool that it brings along. Ours are
 * requests with a batch each over 32 connections, one in flight on each; four partitions by turns.
 */

import type { LoadedBroker } from '../../load/broker.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import { figureOf, report, takeTurns, type Figure } from '../../load/rounds.ts'
import { cpuSecondsOf } from '../../cpu.ts'
import { outputOf } from './output.ts'
import { pipelines } from './redis.ts'
import type { Durability, Engine, Stage } from './stage.ts'

const connections = 32

/** More gain nothing on two processors. */
const asyncPublishers = 4
const syncPublishers = 32

const topics = 'disk:partitions=4:durability=disk,fsync:partitions=4:durability=fsync'

const quickSingles = { disk: 10_000, fsync: 5_000 } as const

/** Kafka and RabbitMQ take seconds to start, and to warm up. */
const quickPeers = { disk: ['redis', 'jetstream', 'kafka'], fsync: ['redis', 'jetstream'] } as const
/** A quorum queue syncs what it confirms. */
const slowPeers = { disk: [], fsync: ['kafka', 'rabbitmq'] } as const

interface Contest {
  readonly work: string
  readonly durability: Durability
  /** Records of a request. */
  readonly batch: number
  readonly recordBytes: number
  /** Of a round. */
  readonly records: number
  readonly rounds: number
  readonly peers: readonly ('redis' | 'jetstream' | 'kafka' | 'rabbitmq')[]
  /** Whether `disk` is measured beside it. */
  readonly besideDisk?: boolean
  readonly extra?: Readonly<Record<string, unknown>>
}

export async function produceBatches(stage: Stage, durability: Durability): Promise<void> {
  const { quick } = stage.bench
  await contest(stage, {
    work: `produce-batch-${durability}`,
    durability,
    batch: batchRecords,
    recordBytes,
    records: quick ? 300_000 : 1_000_000,
    rounds: quick ? 2 : 5,
    peers: quick ? quickPeers[durability] : [...quickPeers[durability], ...slowPeers[durability]],
    besideDisk: durability === 'fsync',
  })
}

export async function produceSingles(stage: Stage, durability: Durability): Promise<void> {
  const { quick } = stage.bench
  await contest(stage, {
    work: `produce-single-${durability}`,
    durability,
    batch: 1,
    recordBytes,
    records: quick ? quickSingles[durability] : 80_000,
    rounds: quick ? 2 : 3,
    peers: ['redis', 'jetstream'],
  })
}

export async function sweepBatches(stage: Stage): Promise<void> {
  const { quick } = stage.bench
  for (const batch of [1, 10, 100, 1000]) {
    const records = Math.min(quick ? 200_000 : 1_500_000, (quick ? 10_000 : 60_000) * batch)
    const load = { durability: 'disk', batch, recordBytes, records, rounds: 3, peers: ['redis'] } as const
    await contest(stage, { work: 'batches', ...load })
  }
}

export async function sweepSizes(stage: Stage): Promise<void> {
  const { quick } = stage.bench
  for (const bytes of [100, 200, 1024]) {
    const records = Math.round((quick ? 60e6 : 300e6) / bytes)
    const peers = ['redis', 'jetstream', 'kafka'] as const
    const load = { durability: 'disk', batch: batchRecords, recordBytes: bytes, records, rounds: 3, peers } as const
    await contest(stage, { work: 'sizes', ...load })
  }
}

async function contest(stage: Stage, load: Contest): Promise<void> {
  const { bench } = stage
  bench.say(`${load.work}: batches of ${load.batch}, records of ${load.recordBytes} bytes`)
  const body = bodyOf(load.batch, load.recordBytes)
  const cores = new Map<string, { broker: number[]; load: number[] }>()
  const contestants: Record<string, () => Promise<number | undefined>> = {}
  for (const engine of stage.engines) {
    const broker = await stage.broker('produce', engine, { topics, memory: '64MiB' })
    const noted = { broker: [], load: [] }
    cores.set(engine, noted)
    contestants[engine] = () => into(broker, load.durability, body, load, noted)
    if (load.besideDisk === true) contestants[`${engine}-disk`] = () => into(broker, 'disk', body, load, undefined)
  }
  const hows = await addPeers(stage, load, contestants)
  // What the one before has left to be written out would be written out in this one's time.
  for (const [name, run] of Object.entries(contestants)) {
    contestants[name] = async () => {
      await outputOf('sync', [])
      return run()
    }
  }
  for (const name of Object.keys(contestants)) {
    // Ours twice: code that V8 has not compiled yet is half as fast. Kafka's tools begin anew each time.
    const times = ['kafka', 'rabbitmq'].includes(name) ? 0 : name === 'redis' || name === 'jetstream' ? 1 : 2
    for (let at = 0; at < times; at++) await contestants[name]?.()
  }
  for (const noted of cores.values()) noted.broker.length = noted.load.length = 0
  const figures: Partial<Record<string, Figure>> = await takeTurns(bench, load.rounds, contestants)
  for (const engine of stage.engines) {
    const figure = figures[engine]
    const noted = cores.get(engine)
    if (figure === undefined || noted === undefined) continue
    const extra = {
      engine,
      batch: load.batch,
      record_bytes: load.recordBytes,
      connections,
      broker_cores: figureOf(noted.broker).median,
      load_cores: figureOf(noted.load).median,
      ...load.extra,
    }
    const peers: Record<string, Figure | undefined> = { disk: figures[`${engine}-disk`] }
    for (const peer of load.peers) peers[peer] = figures[peer]
    reportWith(stage, load.work, figure, peers, hows, extra)
  }
}

/** Adds the peers that are there; returns how each is loaded. */
async function addPeers(
  stage: Stage,
  load: Contest,
  contestants: Record<string, () => Promise<number | undefined>>,
): Promise<Record<string, string>> {
  const { durability, batch, recordBytes: bytes } = load
  const { quick } = stage.bench
  const hows: Record<string, string> = {}
  const redis = load.peers.includes('redis') ? await stage.redis(durability) : undefined
  if (redis !== undefined) {
    const wanted = batch === batchRecords ? pipelines : [Math.min(batch, 512)]
    const records = Math.round(batch === 1 ? load.records : load.records / 2)
    let [best, bestRate] = [wanted[0] as number, 0]
    for (const pipeline of wanted.length > 1 ? wanted : []) {
      const rate = await redis.add(Math.round(records / 2), bytes, pipeline, connections)
      if (rate > bestRate) [best, bestRate] = [pipeline, rate]
    }
    hows['redis'] = `redis-benchmark -c ${connections} -P ${best}, ${redis.how}`
    contestants['redis'] = () => redis.add(records, bytes, best, connections)
  }
  const nats = load.peers.includes('jetstream') ? await stage.nats(durability) : undefined
  if (nats !== undefined) {
    const publishers = batch === 1 ? syncPublishers : asyncPublishers
    // Each sync of a server that is told to sync always is a record's own.
    const share = durability === 'fsync' ? 100 : batch === 1 ? 1 : 4
    const records = Math.round(Math.max(2_000, load.records / share))
    const how = batch === 1 ? `nats.go, ${publishers} x Publish` : `nats.go, ${publishers} x PublishAsync`
    hows['jetstream'] = `${how}, ${nats.how}`
    contestants['jetstream'] = () =>
      batch === 1 ? nats.publishSync(records, bytes, publishers) : nats.publish(records, bytes, publishers)
  }
  const kafka = load.peers.includes('kafka') ? await stage.kafka() : undefined
  if (kafka !== undefined) {
    const topic = `${load.work}-${bytes}`
    if (durability === 'fsync') await kafka.makeSynced(topic)
    hows['kafka'] = `ProducerPerformance, ${kafka.how}${durability === 'fsync' ? ', flush.messages=1' : ''}`
    // Its tool starts for seconds, so it is given more; of large records no more than a gigabyte, or a round takes a minute.
    const many = Math.min((quick ? 1 : 2) * Math.max(1_000_000, load.records), 1e9 / bytes)
    const records = Math.round(durability === 'fsync' ? load.records / 4 : many)
    let rounds = quick ? 1 : load.rounds
    // A process that starts, and compiles, takes seconds.
    contestants['kafka'] = async () => (rounds-- > 0 ? kafka.produce(topic, records, bytes) : undefined)
  }
  const rabbit = load.peers.includes('rabbitmq') ? await stage.rabbit() : undefined
  if (rabbit !== undefined) {
    hows['rabbitmq'] = rabbit.how
    contestants['rabbitmq'] = () => rabbit.publish(Math.round(load.records / 20), bytes)
  }
  return hows
}

async function into(
  broker: LoadedBroker,
  topic: Durability,
  body: Buffer,
  { batch, records }: Contest,
  noted: { readonly broker: number[]; readonly load: number[] } | undefined,
): Promise<number> {
  const before = cpuSecondsOf(broker.role.pid)
  const { seconds, loadCores } = await broker.load(`/produce?topic=${topic}`, body, records / batch, connections)
  noted?.broker.push((cpuSecondsOf(broker.role.pid) - before) / seconds)
  noted?.load.push(loadCores)
  return (Math.floor(records / batch) * batch) / seconds
}

/** A line for each peer, with how that one was loaded. */
export function reportWith(
  stage: Stage,
  work: string,
  figure: Figure,
  peers: Readonly<Record<string, Figure | undefined>>,
  hows: Readonly<Record<string, string>>,
  extra: Readonly<Record<string, unknown>> & { readonly engine?: Engine },
): void {
  const there = Object.entries(peers).filter(([, held]) => held !== undefined)
  if (there.length === 0) report(stage.bench, work, 'records/s', figure, {}, { rounds: figure.rounds, ...extra })
  for (const [peer, held] of there) {
    const how = hows[peer] === undefined ? {} : { peer_how: hows[peer] }
    const more = { rounds: figure.rounds, peer_rounds: held?.rounds, ...extra, ...how }
    report(stage.bench, work, 'records/s', figure, { [peer]: held }, more)
  }
}
