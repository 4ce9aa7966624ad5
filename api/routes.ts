/** What the API serves, put together: the handlers of the contract, the live stream, and what needs no key. */

import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { systemClock } from '#lib/clock'
import { fetchOf } from '#lib/dial'
import type { Log } from '#lib/log'
import type { Metrics } from '#lib/metrics'
import type { Tls } from '#lib/tls'
import { version } from '#lib/version'
import { Client } from '#wire/client'
import { Problem } from '#wire/problems'
import { Transport } from '#wire/transport'
import { Feed } from './live/feed.ts'
import { givenKey, Keys } from './server/keys.ts'
import { auditHandlers } from './pipeline/audit.ts'
import { letterHandlers } from './pipeline/letters.ts'
import { Live } from './live/live.ts'
import { addPages, dashboardDist } from './server/pages.ts'
import { PipelineWatch } from './pipeline/pipeline.ts'
import { topicHandlers } from './pipeline/topics.ts'
import { telemetryHandler } from './intake/produce.ts'
import { Sender } from './intake/sender.ts'
import { writeHandlers } from './intake/write.ts'
import { Inventory } from './ask/inventory.ts'
import { StoreReader } from './ask/reader.ts'
import { fleetHandlers } from './handlers/fleet.ts'
import { expositionHandlers } from './handlers/exposition.ts'
import { freshnessHandlers } from './handlers/freshness.ts'
import { gpuHandlers } from './handlers/gpus.ts'
import { linkHandlers } from './handlers/links.ts'
import { metricHandlers } from './handlers/metrics.ts'
import { modelHandlers } from './handlers/models.ts'
import { ownerHandlers } from './handlers/owners.ts'
import { questionHandlers } from './handlers/questions.ts'
import { telemetryHandlers } from './handlers/telemetry.ts'
import { transferHandlers } from './handlers/transfers.ts'
import { createApi } from './server/server.ts'
import { type ApiLimits, apiLimits } from './limits.ts'
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
  readonly tls?: Tls
  /** Others than those of `limits.ts`. */
  readonly limits?: Partial<ApiLimits>
  readonly wallMs?: () => number
  readonly dashboardDir?: string
}

/** The API, listening to nothing yet. */
export async function openApiParts(settings: ApiSettings, surroundings: ApiSurroundings): Promise<ApiParts> {
  const { log, metrics, tls, wallMs = systemClock.wallMs, dashboardDir = dashboardDist } = surroundings
  const { msgQueueAddr: url, serviceToken: token, msgQueueTopic } = settings
  const limits = { ...apiLimits, ...surroundings.limits }
  const fetch = await fetchOf(tls?.client)
  const reader = new StoreReader(settings)
  const inventory = new Inventory(reader, settings.staleAfterMs)
  const watch = new PipelineWatch(settings, reader, fetch)
  const live = new Live(randomBytes(4).toString('hex'), settings.streamBytes)
  const feed = new Feed(settings, live, log, fetch)
  const sinks = new Set<{ end(): void }>()
  let stopping = false

  const transport = new Transport({ url, token, fetch, timeoutMs: 10_000, backoff: { firstMs: 50, longestMs: 500 } })
  const sender = new Sender(transport, msgQueueTopic)
  const app = await createApi({
    keys: new Keys(settings.apiKeys),
    log,
    metrics,
    tls: tls?.server,
    limits,
    accessLog: settings.accessLog,
    corsOrigins: settings.corsOrigins,
    rateLimit: settings.rateLimit,
    wallMs,
    handlers: {
      ...gpuHandlers(inventory),
      ...telemetryHandlers(reader, inventory, settings),
      ...fleetHandlers(reader, inventory, settings.demo, settings),
      ...metricHandlers,
      ...modelHandlers(inventory),
      ...expositionHandlers(inventory, settings.staleAfterMs),
      ...freshnessHandlers(reader, inventory, settings.staleAfterMs),
      ...ownerHandlers(reader, inventory),
      ...questionHandlers(reader, inventory),
      ...transferHandlers(reader),
      ...linkHandlers(reader),
      getPipeline: ({ nowMs }) => watch.read(nowMs),
      ...letterHandlers({ url, token, fetch }, msgQueueTopic),
      ...topicHandlers({ url, token, fetch }),
      ...auditHandlers({ url, token, fetch }, reader, settings.group),
      postTelemetry: telemetryHandler(sender),
      ...writeHandlers(sender, { topic: msgQueueTopic, client: new Client({ url, token, fetch, timeoutMs: 5_000 }) }),
    },
    openStream(query, lastId) {
      if (sinks.size >= limits.streamsMax) {
        throw new Problem('rate_limited', `${limits.streamsMax} live streams are open`, { retry_after_s: 10 })
      }
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

/** `GET /status`, as on every role; between the roles the SERVICE_TOKEN is the key. */
function addStatus(app: FastifyInstance, { apiKeys, serviceToken }: ApiSettings, status: () => object): void {
  const startedMs = performance.now()
  const keys = new Keys(serviceToken === undefined ? apiKeys : [...apiKeys, serviceToken])
  app.get('/status', { config: { route: '/status' } }, (request) => {
    const given = givenKey(request.headers)
    if (!keys.isEmpty && (given === undefined || keys.find(given) === undefined)) {
      throw new Problem('unauthorized', 'send the SERVICE_TOKEN or a key')
    }
    const uptimeS = Math.round((performance.now() - startedMs) / 1_000)
    return { role: 'api', version, uptime_s: uptimeS, ...status() }
  })
}
