/** The role `streamer`: its sources, its way to the broker, its log lines, and a stop that settles what is on its way. */

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { systemClock } from '#lib/clock'
import { fetchOf } from '#lib/dial'
import { createLog, type Log } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { plainFetch } from '#lib/plain-fetch'
import { openService } from '#lib/service'
import { SettingsError } from '#lib/settings'
import { aborted } from '#lib/stop'
import { openTls } from '#lib/tls'
import { openTracer } from '#lib/tracing'
import { Zone } from '#telemetry/zone'
import { defaultBackoff, sleep } from '#wire/retry'
import type { SourceStatus, StreamerStatus } from '#wire/status'
import type { Batch } from './batch.ts'
import { nothingKept, openCheckpoints } from './checkpoint-store.ts'
import { Demo } from './demo.ts'
import { Feed } from './feed.ts'
import { isInput } from './input.ts'
import { createFigures } from './figures.ts'
import { outlet } from './outlet.ts'
import { Pace } from './pace.ts'
import { streamerRoutes } from './routes.ts'
import { conflictsOf, replayOf, type StreamerSettings } from './settings.ts'
import { Streamer } from './streamer.ts'

/** How often is looked whether there is something to say of how far the reading is. */
const progressMs = 5_000

/** Lines of progress are so far apart at least, unless a source was opened, ended or failed. */
const progressLogMs = 60_000

const heartbeatMs = 10_000

/** What the role has of its process. */
export interface Given {
  /** Standard input, when it is asked for. */
  readonly input: () => Readable
  /** Somebody watches this process and starts it again when it ends. */
  readonly isSupervised: boolean
}

/**
 * Streams until the signal aborts, and keeps serving when there is nothing left to read. Only of standard input the end is the
 * end: then it returns, unless it is supervised.
 *
 * @throws SettingsError; Error with a line for the operator: the data folder cannot be opened, the port is taken, the broker
 *   refuses, standard input is none that can be read
 */
export async function run(settings: StreamerSettings, signal: AbortSignal, given: Given): Promise<void> {
  const conflicts = conflictsOf(settings)
  if (conflicts.length > 0) throw new SettingsError(conflicts)
  const ofInput = isInput(settings.csv) && !settings.demo
  const log = createLog('streamer', settings.logLevel)
  const metrics = createMetrics('streamer')
  const tls = openTls(settings, { log, metrics })
  const tracer = openTracer(settings, { log, metrics })
  // Another streamer may have the folder open: any number of pipes may lead to one broker.
  const checkpoints = ofInput ? nothingKept : await openCheckpoints(join(settings.dataDir, 'streamer'))
  // Aborted when the wait for acknowledgements is over: `signal` only ends the reading.
  const giveUp = new AbortController()
  const ended = new AbortController()
  const stopReading = AbortSignal.any([signal, ended.signal])
  try {
    const feed = new Feed()
    const { wallMs, monotonicMs } = systemClock
    const figures = createFigures(metrics, wallMs)
    const shared = {
      tracer,
      topics: {
        dcgm: settings.msgQueueTopic,
        'nvidia-smi': settings.msgQueueTopic,
        transfers: settings.transfersTopic,
      },
      openLane: outlet(
        {
          url: settings.msgQueueAddr,
          straight: settings.straight,
          token: settings.serviceToken,
          fetch: (await fetchOf(tls.client)) ?? plainFetch,
          onWarning(text) {
            figures.retried()
            log.warn(text)
          },
        },
        defaultBackoff,
        giveUp.signal,
      ),
      checkpoints,
      wait: (ms: number) => sleep(ms, stopReading).catch(() => {}),
      newProducer: () => `streamer-${randomBytes(8).toString('hex')}`,
      onBatch(batch: Pick<Batch, 'records' | 'dead'>, topic: string) {
        feed.publish(batch.records)
        figures.batch(batch, topic)
      },
    }
    const streamer = new Streamer({
      ...shared,
      entries: settings.csv,
      input: given.input,
      loop: settings.loop,
      host: settings.sourceHost ?? hostname(),
      zone: settings.timeZone === 'UTC' ? undefined : new Zone(settings.timeZone),
      rescanMs: settings.rescanMs,
      pace: new Pace(settings.rate ?? Infinity, monotonicMs()),
      replay: replayOf(settings),
      onGap: (ms) => log.info({ wait_s: Math.round(ms / 1000) }, 'the next row is due later, by its time'),
      wallMs: settings.times === 'now' ? wallMs : undefined,
      nowMs: monotonicMs,
      onError: (message) => log.error(message),
      onDone: (source) => log.info(figuresOf(source), `${source.name} is at its end`),
    })
    const model = { seed: settings.demoSeed, hosts: settings.demoHosts, stepMs: settings.demoStepMs }
    const demo = settings.demo
      ? new Demo({ ...shared, model, historyMs: settings.demoHistoryMs, nowMs: wallMs })
      : undefined
    const sources = (): readonly SourceStatus[] => [...streamer.sources, ...(demo === undefined ? [] : [demo.status])]
    figures.watch(sources, () => feed.readerCount)

    const server = await openService({
      role: 'streamer',
      settings,
      log,
      metrics,
      tls,
      routes: streamerRoutes(feed),
      ready: () => true,
      status: () => statusOf(sources(), streamer.done && demo === undefined),
    })
    const beat = setInterval(() => feed.beat(), heartbeatMs)
    const progress = logProgress(log, sources)
    if (settings.csv.length === 0 && demo === undefined) log.warn('nothing to read: set CSV, or DEMO=true')
    let failure: unknown
    try {
      const works = [streamer.run(stopReading), ...(demo === undefined ? [] : [demo.run(stopReading)])]
      const giveUpLater = aborted(signal).then(() => sleep(settings.stopGraceMs, giveUp.signal).catch(() => {}))
      void giveUpLater.then(() => giveUp.abort(new Error('stopping')))
      await settled(works, () => {
        ended.abort(new Error('another source failed'))
        giveUp.abort(new Error('another source failed'))
      })
      if (!ofInput || given.isSupervised) await aborted(signal)
      const failed = ofInput ? streamer.sources.find(({ error }) => error !== undefined) : undefined
      if (failed !== undefined) throw new Error(failed.error)
    } catch (error) {
      // A file is read on from its checkpoint; of standard input that was the only chance.
      if (signal.aborted && ofInput)
        failure = new Error('stopped before the broker had acknowledged what was read of standard input: it is lost', {
          cause: error,
        })
      else failure = signal.aborted ? undefined : error
    } finally {
      giveUp.abort(new Error('stopping'))
      clearInterval(beat)
      clearInterval(progress)
      feed.close()
      await server.close(settings.stopGraceMs)
      tls.stop()
    }
    if (failure !== undefined) throw failure
  } finally {
    await Promise.all([checkpoints.close(), tracer?.close()])
  }
}

/** Waits for all; when one fails, the others are ended before its error is thrown. */
async function settled(works: readonly Promise<void>[], endAll: () => void): Promise<void> {
  for (const work of works) work.catch(endAll)
  const results = await Promise.allSettled(works)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** The body of `/status`. What it counts is durable: acknowledged by the broker and in the checkpoint. */
function statusOf(sources: readonly SourceStatus[], done: boolean): StreamerStatus {
  const read = sources.reduce((sum, { rows }) => sum + rows, 0)
  const dead = sources.reduce((sum, source) => sum + source.dead, 0)
  return { sources, read, sent: read - dead, dead, done }
}

/** A line now and then while something moves. */
function logProgress(log: Log, sources: () => readonly SourceStatus[]): NodeJS.Timeout {
  let before = { rows: 0, atMs: performance.now(), states: '' }
  return setInterval(() => {
    const all = sources()
    const atMs = performance.now()
    const rows = all.reduce((sum, source) => sum + source.rows, 0)
    const reading = all.filter(({ done }) => !done)
    if (rows === before.rows || reading.length === 0) return
    const states = JSON.stringify(all.map(({ name, done, error }) => [name, done, error]))
    if (states === before.states && atMs - before.atMs < progressLogMs) return
    const rate = Math.round(((rows - before.rows) * 1000) / (atMs - before.atMs))
    before = { rows, atMs, states }
    log.info({ rows, rows_per_s: rate, reading: reading.map(figuresOf) }, 'streaming')
  }, progressMs)
}

function figuresOf({ name, bytes, size, rows, dead }: SourceStatus): Record<string, unknown> {
  return { source: name, rows, dead, bytes, size }
}
