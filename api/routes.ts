/** What the API serves, put together: the handlers of the contract, the live stream, and what needs no key. */

import { randomBytes } from 'node:crypto'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { matcher } from '#lib/auth'
import { systemClock } from '#lib/clock'
import { dialOf } from '#lib/dial'
import type { Log } from '#lib/log'
import type { Metrics } from '#lib/metrics'
import type { Tls } from '#lib/tls'
import { version } from '#lib/version'
import { Client } from '#wire/client'
import { Problem } from '#wire/problems'
import type { ApiStatus, RoleStatus } from '#wire/status'
import { Transport } from '#wire/transport'
import { apiFigures } from './figures.ts'
import { Feed } from './live/feed.ts'
import { auditHandlers } from './pipeline/audit.ts'
import { keyHandlers } from './handlers/keys.ts'
import { unboundOf } from './keys/bounds.ts'
import { Keyring } from './keys/keyring.ts'
import { keyIdOf } from './keys/text.ts'
import { KeyTopic } from './keys/topic.ts'
import { anyone, givenKey, type Key, type KeyFinder, Keys } from './server/keys.ts'
import { usersDoor } from './server/users.ts'
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
import { levelHandlers } from './handlers/levels.ts'
import { metricHandlers } from './handlers/metrics.ts'
import { openAdmissions } from './reading/admissions.ts'
import { readHandlers, readSettingsOf } from './reading/answers.ts'
import { shareReads } from './reading/share.ts'
import { ReadingThread } from './reading/thread.ts'
import { loadCompiler } from './schemas/check.ts'
import { createApi } from './server/server.ts'
import { type ApiLimits, apiLimits } from './limits.ts'
import type { ApiSettings } from './settings.ts'
import { serveStream, streamOptions } from './live/stream.ts'

export interface ApiParts {
  readonly app: FastifyInstance
  /** Resolves when the keys are known, or the broker that has them is found to be away. */
  readonly settled: Promise<void>
  /** Answers what is asked of the whole fleet. */
  readonly thread: ReadingThread
  /** Loads what the first questions would else wait for. */
  warm(): Promise<void>
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
  const dial = dialOf(tls?.client)
  const fetch = await dial(undefined)
  const reader = new StoreReader(settings)
  const inventory = new Inventory(reader, settings.staleAfterMs, setImmediate)
  const figures = apiFigures(metrics)
  const { readers, deaths } = figures
  const around = { clock: systemClock, metrics, figures, nextTurn: setImmediate }
  const admissions = openAdmissions(settings, around)
  const thread = new ReadingThread(readSettingsOf(settings), { log, clock: systemClock, deaths })
  const watch = new PipelineWatch(settings, reader, dial)
  const live = new Live(randomBytes(4).toString('hex'), settings.streamBytes)
  const feed = new Feed(settings, live, log, fetch)
  const sinks = new Map<{ end(): void }, Key>()
  const topics = { gpus: msgQueueTopic, transfers: settings.transfersTopic }
  const unbound = unboundOf(topics)
  const keyring = new Keyring(topics, wallMs)
  const keyTopic = new KeyTopic({ url, token, fetch }, keyring, log)
  const keys = finderOf(settings, new Keys(() => settings.apiKeys?.all ?? noKeys, unbound), keyring, keyTopic)
  let stopping = false

  const transport = new Transport({ url, token, fetch, timeoutMs: 10_000, backoff: { firstMs: 50, longestMs: 500 } })
  const sender = new Sender(transport, msgQueueTopic)
  const app = await createApi({
    keys,
    anyone: anyone(unbound),
    userOf: usersDoor({
      userHeader: settings.userHeader?.toLowerCase(),
      userScopes: settings.userScopes,
      isTrusted: (address) => settings.trustedProxies.has(address),
      bounds: unbound,
    }),
    trustsForwarder: (address) => settings.trustForwarded && settings.trustedProxies.has(address),
    log,
    metrics,
    tls: tls?.server,
    limits,
    accessLog: settings.accessLog,
    corsOrigins: settings.corsOrigins,
    rateLimit: settings.rateLimit,
    wrongKeyLimit: settings.wrongKeyLimit,
    wallMs,
    handlers: {
      ...shareReads(readHandlers(reader, inventory, settings), thread, admissions, unbound),
      ...metricHandlers,
      ...levelHandlers(log),
      getPipeline: ({ nowMs }) => watch.read(nowMs),
      ...keyHandlers(keyring, keyTopic),
      ...letterHandlers({ url, token, fetch }, msgQueueTopic),
      ...topicHandlers({ url, token, fetch }),
      ...auditHandlers({ url, token, fetch }, reader, settings.group),
      postTelemetry: telemetryHandler(sender, msgQueueTopic),
      ...writeHandlers(sender, { topic: msgQueueTopic, client: new Client({ url, token, fetch, timeoutMs: 5_000 }) }),
    },
    openStream(query, lastId, key) {
      if (sinks.size >= limits.streamsMax) {
        throw new Problem('rate_limited', `${limits.streamsMax} live streams are open`, { retry_after_s: 10 })
      }
      const options = streamOptions(query, key.bounds)
      return (sink) => {
        sinks.set(sink, key)
        sink.onClose(() => sinks.delete(sink))
        serveStream({ live, feed }, options, lastId, sink)
        if (stopping) sink.end()
      }
    },
  })
  await addPages(app, { metrics, dashboardDir, ready: () => (stopping ? 'it is stopping' : keyTopic.ready) })
  addStatus(app, settings, keys, () => ({
    readers: live.readerCount,
    streamed: live.next,
    store: reader.problem ?? thread.problem,
    keys: keyTopic.status,
  }))
  metrics.onScrape(() => readers.set(live.readerCount))

  // What was opened with a key ends with it: at once when it is revoked, within a second when its time is over.
  const endEnded = () => {
    for (const [sink, key] of sinks) if (!key.isLive()) sink.end()
  }
  keyring.onChange(endEnded)
  const looking = setInterval(endEnded, 1_000).unref()
  keyTopic.start()

  return {
    app,
    settled: keyTopic.settled,
    thread,
    async warm() {
      thread.start()
      await loadCompiler()
    },
    async stop() {
      stopping = true
      clearInterval(looking)
      keyTopic.stop()
      feed.stop()
      for (const sink of sinks.keys()) sink.end()
      // Who was let in is answered, as long as there is time.
      const untilMs = systemClock.monotonicMs() + settings.stopGraceMs
      const ended = Promise.all(Object.values(admissions).map((each) => each.end()))
      await Promise.race([ended, sleep(settings.stopGraceMs, undefined, { ref: false })])
      await Promise.all([reader.close(), thread.end(Math.max(0, untilMs - systemClock.monotonicMs()))])
    },
  }
}

const noKeys: readonly string[] = []

/** The keys of API_KEY, and those that were made here or by another replica. */
function finderOf({ apiKeys, trustedProxies }: ApiSettings, own: Keys, keyring: Keyring, topic: KeyTopic): KeyFinder {
  return {
    // What a proxy of this machine passes on comes from anywhere.
    isOpen: apiKeys === undefined && trustedProxies.isEmpty,
    find(given) {
      const key = own.find(given)
      if (key !== undefined) return key
      // Before all events are read, a key that was revoked would look as if it were not.
      if (keyIdOf(given) !== undefined) topic.needCurrent()
      return keyring.find(given)
    },
  }
}

/** `GET /status`, as on every role; between the roles the SERVICE_TOKEN is the key. */
function addStatus(
  app: FastifyInstance,
  { serviceToken }: ApiSettings,
  keys: KeyFinder,
  status: () => ApiStatus,
): void {
  const startedMs = performance.now()
  const isToken = matcher(() => serviceToken?.all ?? noKeys)
  app.get('/status', { config: { route: '/status' } }, (request) => {
    const given = givenKey(request.headers)
    const isOpen = keys.isOpen && serviceToken === undefined
    if (!isOpen && (given === undefined || (!isToken(given) && keys.find(given) === undefined))) {
      throw new Problem('unauthorized', 'send the SERVICE_TOKEN or a key')
    }
    const uptimeS = Math.round((performance.now() - startedMs) / 1_000)
    return { role: 'api', version, uptime_s: uptimeS, ...status() } satisfies RoleStatus & ApiStatus
  })
}
