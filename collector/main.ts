/** The collector: takes the records of its topics from the broker, writes them to the store, then acknowledges them. */

import { systemClock } from '#lib/clock'
import { fetchOf } from '#lib/dial'
import { createLog, type Log } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { plainFetch } from '#lib/plain-fetch'
import { openService } from '#lib/service'
import { openTls } from '#lib/tls'
import { openTracer, type Tracer } from '#lib/tracing'
import { openStore } from '#store/open'
import type { Store } from '#store/store'
import { Client } from '#wire/client'
import { defaultBackoff, sleep } from '#wire/retry'
import { TopicCollector } from './collector.ts'
import { type AllFigures, createFigures } from './figures.ts'
import { Gate } from './gate.ts'
import { readyOf, statusOf, type Work } from './routes.ts'
import { deadMayRepeat, Settler, storeMayRepeat } from './settle.ts'
import type { CollectorSettings } from './settings.ts'
import { Traces } from './traces.ts'

const role = 'collector'

/** Between two looks whether the store has something to do beside writing. */
const upkeepEveryMs = 5_000

/**
 * Runs until the signal aborts; what has arrived by then is written and acknowledged.
 *
 * @throws StoreError when the store cannot be opened, or fails in a way that no waiting mends
 */
export async function run(settings: CollectorSettings, signal: AbortSignal): Promise<void> {
  const log = createLog(role, settings.logLevel)
  const metrics = createMetrics(role)
  const tls = openTls(settings, { log, metrics })
  const figures = createFigures(metrics, systemClock.wallMs)
  const tracer = openTracer(settings, { log, metrics })
  // One that fails ends the others. The streams are closed after the last acknowledgement, or when the grace is over:
  // a broker that is away must not keep the process.
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const streams = new AbortController()
  const grace = (): void => void setTimeout(() => streams.abort(), settings.stopGraceMs).unref()
  stop.addEventListener('abort', grace, { once: true })

  const gates = {
    'the store': new Gate(defaultBackoff, storeMayRepeat, told(log, 'the store')),
    'dead letters': new Gate(defaultBackoff, deadMayRepeat, told(log, 'dead letters')),
  }
  const gate = gates['the store']
  // A store that cannot ever be opened ends the process before anybody believes that it runs.
  const first = await openStore(settings).catch((error: unknown) => {
    if (storeMayRepeat(error) === false) throw error
    log.warn({ error: (error as Error).message }, 'the store cannot be opened yet')
    return undefined
  })
  const work: Work = { group: settings.group, store: first, collectors: [], gates }
  figures.watch(() => work.collectors.reduce((sum, collector) => sum + collector.pending, 0), {
    store: () => work.store !== undefined && gate.trouble === undefined,
    dead_letters: () => gates['dead letters'].trouble === undefined,
  })
  const server = await openService({
    role,
    settings,
    log,
    metrics,
    tls,
    routes: [],
    ready: () => readyOf(work),
    status: () => statusOf(work),
  })
  try {
    const store = (work.store ??= await gate.pass(() => openStore(settings), stop))
    log.info({ engine: store.engine }, 'the store is open')
    const parts = {
      store,
      fetch: (await fetchOf(tls.client)) ?? plainFetch,
      gates,
      stream: streams.signal,
      log,
      figures,
      tracer,
    }
    work.collectors.push(...collectorsOf(settings, parts))
    const runs = work.collectors.map((collector) =>
      collector.run(stop).catch((error: unknown) => {
        failed.abort()
        throw error
      }),
    )
    void upkeep(store, gate, log, figures, stop)
    const ends = await Promise.allSettled(runs)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  } catch (error) {
    // Stopped while it waited for the store.
    if (!signal.aborted || work.store !== undefined) throw error
  } finally {
    streams.abort()
    await server.close(settings.stopGraceMs)
    tls.stop()
    await Promise.all([work.store?.close(), tracer?.close()])
  }
}

interface Shared {
  readonly store: Store
  readonly fetch: typeof fetch | undefined
  readonly gates: Readonly<Record<'the store' | 'dead letters', Gate>>
  /** Ends the streams. */
  readonly stream: AbortSignal
  readonly log: Log
  readonly figures: AllFigures
  readonly tracer: Tracer | undefined
}

/** One for each topic. */
function collectorsOf(
  settings: CollectorSettings,
  { store, fetch, gates, stream, log, figures: all, tracer }: Shared,
): TopicCollector[] {
  const { serviceToken: token, group, batchRecords, batchBytes, batchWaitMs, visibilityMs } = settings
  const client = new Client({
    url: settings.msgQueueAddr,
    ...(token === undefined ? undefined : { token }),
    fetch,
    onWarning: (text) => log.warn(text),
  })
  const topics = [...new Set([settings.msgQueueTopic, settings.transfersTopic])]
  return topics.map((topic) => {
    const { writesAtOnce = 1, writeGrowth: growth = 1 } = store
    // What is written, and what is on its way meanwhile: enough to fill the next two batches.
    const maxInFlight = (writesAtOnce + 2) * batchRecords * growth
    const figures = all.of(topic)
    const settler = new Settler({
      clock: systemClock,
      store,
      dead: (letters) => client.dead(topic, letters, stream),
      storeGate: gates['the store'],
      deadGate: gates['dead letters'],
      log,
      figures,
    })
    const settled = async (): Promise<ReadonlyMap<string, number>> => {
      const { logs } = await gates['the store'].pass(() => store.totals(), stream)
      return new Map(logs.filter((each) => each.topic === topic).map(({ log_id, next }) => [log_id, next]))
    }
    const traces = tracer === undefined ? undefined : new Traces(tracer)
    const onTrace = traces === undefined ? undefined : traces.add.bind(traces)
    const subscription = client.consumer({ topic, group, maxInFlight, visibilityMs, signal: stream, onTrace })
    const limits = { records: batchRecords, bytes: batchBytes }
    return new TopicCollector(
      { clock: systemClock, backoff: defaultBackoff, settler, subscription, settled, log, figures, traces },
      { topic, group, limits, waitMs: batchWaitMs, visibilityMs, writesAtOnce, growth },
    )
  })
}

/** A line when it begins to fail, rarer ones while it goes on, and one when it is over. */
function told(log: Log, what: string): ConstructorParameters<typeof Gate>[2] {
  return {
    onFailure(error, failures, waitMs) {
      const isPower = (failures & (failures - 1)) === 0
      log[isPower ? 'warn' : 'debug']({ failures, wait_ms: waitMs, error: (error as Error).message }, `${what} failed`)
    },
    onRecovered: (failures) => log.info({ failures }, `${what}: works again`),
  }
}

/** Lets the store do what it has to do beside writing, in pieces, while it is well. */
async function upkeep(store: Store, gate: Gate, log: Log, figures: AllFigures, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      while (!stop.aborted && gate.trouble === undefined && (await store.upkeep(systemClock.wallMs()))) await sleep(0)
      if (gate.trouble === undefined) figures.storeBytes(await store.bytes())
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'the upkeep of the store failed; it is tried again')
    }
    await sleep(upkeepEveryMs, stop).catch(() => undefined)
  }
}
