/** What the API serves, put together: the handlers of the contract, the live stream, and what needs no key. */

import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { matcher } from '#lib/auth'
import { systemClock } from '#lib/clock'
import type { Log } from '#lib/log'
import type { Metrics } from '#lib/metrics'
import { version } from '#lib/version'
import { Problem } from '#wire/problems'
import { Transport } from '#wire/transport'
import { Feed } from './live/feed.ts'
import { givenKey, Keys } from './server/keys.ts'
import { letterHandlers } from './pipeline/letters.ts'
import { Live } from './live/live.ts'
import { addPages, dashboardDist } from './server/pages.ts'
import { PipelineWatch } from './pipeline/pipeline.ts'
import { telemetryHandler } from './intake/produce.ts'
import { Inventory } from './ask/inventory.ts'
import { StoreReader } from './ask/reader.ts'
import { fleetHandlers } from './handlers/fleet.ts'
import { gpuHandlers } from './handlers/gpus.ts'
import { metricHandlers } from './handlers/metrics.ts'
import { telemetryHandlers } from './handlers/telemetry.ts'
import { transferHandlers } from './handlers/transfers.ts'
import { createApi } from './server/server.ts'
import type { ApiSettings } from './settings.ts'
import { serveStream, streamOptions } from './live/stream.ts'

export interface ApiParts {
  readonly app: FastifyInstance
  /** Ends the event streams and what feeds them, and closes the store. */
  stop(): Promise<void>
}

export interface ApiSurroundings {
  readonly log: Log
  readonly metrics: Metrics
  readonly wallMs?: () => number
  readonly dashboardDir?: string
}

/** The API, listening to nothing yet. */
export async function openApiParts(settings: ApiSettings, surroundings: ApiSurroundings): Promise<ApiParts> {
  const { log, metrics, wallMs = systemClock.wallMs, dashboardDir = dashboardDist } = surroundings
  const { msgQueueAddr: url, serviceToken: token, msgQueueTopic } = settings
  const reader = new StoreReader(settings)
  const inventory = new Inventory(reader, settings.staleAfterMs)
  const watch = new PipelineWatch(settings, reader)
  const live = new Live(randomBytes(4).toString('hex'), settings.streamBytes)
  const feed = new Feed(settings, live, log)
  const sinks = new Set<{ end(): void }>()
  let stopping = false

  const transport = new Transport({ url, token, timeoutMs: 10_000, backoff: { firstMs: 50, longestMs: 500 } })
  const app = await createApi({
    keys: new Keys(() => settings.apiKeys?.all ?? noKeys),
    log,
    metrics,
    corsOrigins: settings.corsOrigins,
    rateLimit: settings.rateLimit,
    wallMs,
    handlers: {
      ...gpuHandlers(inventory),
      ...telemetryHandlers(reader, inventory),
      ...fleetHandlers(reader, inventory, settings.demo),
      ...metricHandlers,
      ...transferHandlers(reader),
      getPipeline: ({ nowMs }) => watch.read(nowMs),
      ...letterHandlers({ url, token }, msgQueueTopic),
      postTelemetry: telemetryHandler(transport, msgQueueTopic),
    },
    openStream(query, lastId) {
      const options = streamOptions(query)
      return (sink) => {
        sinks.add(sink)
        sink.onClose(() => sinks.delete(sink))
        serveStream({ live, feed }, options, lastId, sink)
        if (stopping) sink.end()
      }
    },
  })
  await addPages(app, { metrics, dashboardDir, ready: () => (stopping ? 'it is stopping' : true) })
  addStatus(app, settings, () => ({ readers: live.readerCount, streamed: live.next, store: reader.problem }))
  const readers = metrics.gauge('penstock_api_stream_readers', 'Readers of the live stream')
  metrics.onScrape(() => readers.set(live.readerCount))

  return {
    app,
    async stop() {
      stopping = true
      feed.stop()
      for (const sink of sinks) sink.end()
      await reader.close()
    },
  }
}

const noKeys: readonly string[] = []

/** `GET /status`, as on every role; between the roles the SERVICE_TOKEN is the key. */
function addStatus(app: FastifyInstance, { apiKeys, serviceToken }: ApiSettings, status: () => object): void {
  const startedMs = performance.now()
  const keys = new Keys(() => apiKeys?.all ?? noKeys)
  const isToken = matcher(() => serviceToken?.all ?? noKeys)
  app.get('/status', { config: { route: '/status' } }, (request) => {
    const given = givenKey(request.headers)
    const isOpen = apiKeys === undefined && serviceToken === undefined
    if (!isOpen && (given === undefined || (!isToken(given) && keys.find(given) === undefined))) {
      throw new Problem('unauthorized', 'send the SERVICE_TOKEN or a key')
    }
    const uptimeS = Math.round((performance.now() - startedMs) / 1_000)
    return { role: 'api', version, uptime_s: uptimeS, ...status() }
  })
}
