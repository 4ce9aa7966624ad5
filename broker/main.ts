/** The role `broker`: opens the logs, serves them, and closes them in order. */

import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'

import { systemClock } from '#lib/clock'
import { createLog, type Log } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { openService } from '#lib/service'
import { SettingsError } from '#lib/settings'
import { aborted } from '#lib/stop'
import { openTls } from '#lib/tls'
import { openTracer } from '#lib/tracing'
import type { Ordinal } from '#wire/ids'
import { Problem } from '#wire/problems'

import { Broker, type BrokerOptions } from './broker.ts'
import { Consumers } from './consume.ts'
import { openFilesMax } from './disk/limit.ts'
import { metered } from './disk/metered.ts'
import { InlineWrites } from './disk/inline.ts'
import { nodeDisk, openNodeDisk } from './disk/node.ts'
import { FilePool } from './disk/pool.ts'
import { whyUnusable } from './disk/unusable.ts'
import { createFigures, type Figures } from './figures.ts'
import { youngBytesFor, YoungGeneration } from './heap.ts'
import { FolderLock } from './lock.ts'
import type { GivenOptions } from './options.ts'
import { brokerRoutes, describeBroker, type Engine } from './routes.ts'
import type { BrokerSettings } from './settings.ts'
import { sumOf } from './waiting.ts'

/** A lease ends within a second of its deadline. */
const tickMs = 250

/** How often the disk is looked at, and what need not be kept is removed. */
const tendMs = 1_000

/** An idle stream says so often that it is alive; clients give up after three of these. */
const heartbeatMs = 10_000

/** Runs a broker until the signal aborts. Rejects when the data folder cannot be opened, or the port is taken. */
export async function run(settings: BrokerSettings, signal: AbortSignal): Promise<void> {
  const lock = await takeFolder(settings.dataDir)
  try {
    await runAlone(settings, signal)
  } finally {
    lock.release()
  }
}

async function takeFolder(folder: string): Promise<FolderLock> {
  try {
    await nodeDisk.makeFolder(folder)
    return FolderLock.take(folder, 'broker')
  } catch (error) {
    throw whyUnusable(folder, error)
  }
}

async function runAlone(settings: BrokerSettings, signal: AbortSignal): Promise<void> {
  const log = createLog('broker', settings.logLevel)
  const metrics = createMetrics('broker')
  const tls = openTls(settings, { log, metrics })
  const figures = createFigures(metrics)
  const tracer = openTracer(settings, { log, metrics })
  let engine: Engine | undefined
  const young = new YoungGeneration()
  young.hold()
  const broken = Promise.withResolvers<Error>()
  const opened = (): Engine => {
    if (engine === undefined) throw new Problem('starting', 'the logs are being recovered', { retry_after_s: 1 })
    return engine
  }
  // It listens before the logs are read: a probe must see that a broker with a long recovery is alive.
  const server = await openService({
    role: 'broker',
    settings,
    log,
    metrics,
    tls,
    routes: brokerRoutes(opened, settings, figures.produced, tracer),
    identity: () => ({
      broker: settings.brokerIndex,
      ...(engine?.broker.draining === true ? { draining: true } : {}),
    }),
    ready: () => (engine === undefined ? 'the logs are being recovered' : (engine.broker.notWritable ?? true)),
    status: () => describeBroker(opened().broker),
  })
  try {
    const broker = await openBroker(settings, log, figures, {
      onBroken: (error) => broken.resolve(error),
      onGivenUp: (topic, group, origins) => figures.givenUp(topic, group, origins.length),
      onLost: figures.lost,
    })
    const defaults = { visibilityMs: settings.visibilityTimeoutMs, maxInFlight: settings.maxInFlight }
    const consumers = new Consumers(broker, defaults, figures.consumed)
    figures.watch(broker, () => consumers.streams)
    engine = { broker, consumers }
  } catch (error) {
    await server.close(0)
    throw whyUnusable(settings.dataDir, error)
  }
  const { broker, consumers } = engine
  const tellWritable = writableTeller(broker, log)
  const tick = setInterval(() => broker.tick(), tickMs)
  let isTending = false
  const tend = setInterval(() => {
    young.tend(youngBytesFor(sumOf(broker.topics, ({ logs }) => logs.length)))
    // What a slow disk takes long for must not pile up.
    if (isTending) return
    isTending = true
    void broker.tend().finally(() => {
      isTending = false
      tellWritable()
    })
  }, tendMs)
  const beat = setInterval(() => consumers.beat(), heartbeatMs)

  const failure = await Promise.race([aborted(signal).then(() => undefined), broken.promise])
  clearInterval(beat)
  consumers.cutAll()
  await server.close(settings.stopGraceMs)
  tls.stop()
  clearInterval(tick)
  clearInterval(tend)
  await Promise.all([broker.close(), tracer?.close()])
  // The next start reads the files again and writes anew what this disk failed to keep.
  if (failure !== undefined) throw new Error(`the disk failed, the broker stops: ${failure.message}`)
}

async function openBroker(
  settings: BrokerSettings,
  log: Log,
  { synced, written }: Figures,
  told: Required<Pick<BrokerOptions, 'onBroken' | 'onGivenUp' | 'onLost'>>,
): Promise<Broker> {
  const startedMs = systemClock.monotonicMs()
  const meter = {
    synced: (seconds: number) => synced.observe(seconds),
    written: (bytes: number) => written.inc(bytes),
    monotonicMs: systemClock.monotonicMs,
  }
  const inline = new InlineWrites(settings.inlineWriteBytes, systemClock.monotonicMs, (ms, pauseMs) => {
    log.warn(
      { write_ms: Math.round(ms), threads_for_ms: pauseMs },
      'the disk took long for a small write, and all waited for it: threads write for a while',
    )
  })
  const disk = new FilePool(metered(openNodeDisk(inline), meter), settings.maxOpenFiles ?? openFilesMax())
  const broker = await Broker.open(systemClock, disk, {
    ordinal: settings.brokerIndex as Ordinal,
    folder: settings.dataDir,
    topics: topicsOf(settings),
    memoryBytes: settings.memoryBytes,
    segmentBytesMax: settings.segmentBytes,
    queueRecordsMax: settings.queueSize,
    partitionsDefault: Math.min(settings.partitionsPerTopic, settings.maxPartitions),
    partitionsMax: settings.maxPartitions,
    diskFloorBytes: settings.diskFloorBytes,
    attemptsMax: settings.maxAttempts,
    turn: setImmediate,
    groupExpiryMs: settings.groupExpiryMs,
    ...told,
    newLogId: () => randomBytes(8).toString('hex'),
    report: (problem) => log.error(problem),
  })
  log.info({ recovery_ms: Math.round(systemClock.monotonicMs() - startedMs) }, 'the logs are open')
  return broker
}

function topicsOf({ topics, maxPartitions }: BrokerSettings): ReadonlyMap<string, GivenOptions> {
  const wrong = [...topics].flatMap(([name, { partitions = 1 }]) =>
    partitions <= maxPartitions
      ? []
      : [`TOPICS: ${name}:partitions=${partitions}: want at most MAX_PARTITIONS, ${maxPartitions}`],
  )
  if (wrong.length > 0) throw new SettingsError(wrong)
  return topics
}

/** Says in the log when produce is refused for all, and when it is not any more. */
function writableTeller(broker: Broker, log: Log): () => void {
  let wasWritable = true
  const tell = (): void => {
    const why = broker.notWritable
    const isWritable = why === undefined
    if (isWritable !== wasWritable) {
      if (isWritable) log.info('records are taken again')
      else log.warn(`no records are taken: ${why}`)
    }
    wasWritable = isWritable
  }
  tell()
  return tell
}
