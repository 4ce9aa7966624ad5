/** An API for tests: over a store that the test fills, behind it a broker that does what it is told. */

import type { Server } from 'node:net'
import { join } from 'node:path'
import type { Route, Sink } from '#lib/http/http'
import { serve } from '#lib/http/server'
import { logTo } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { readSettings } from '#lib/settings'
import { openStore } from '#store/open'
import { batchOf, partOf } from '#store/samples'
import { normalise } from '#telemetry/normalise'
import type { TelemetryRecord } from '#telemetry/record'
import { formatLogHead } from '#wire/frames'
import type { ApiLimits } from '#api/limits'
import type { Problem } from '#wire/problems'
import { type ApiParts, openApiParts } from '#api/routes'
import { apiSettings } from '#api/settings'
import { temporaryFolder, type Scope } from './start.ts'

export const testKey = 'test-key-of-the-api'

export interface TestApi {
  readonly url: string
  readonly port: number
  readonly server: Pick<Server, 'getConnections'>
  readonly dataDir: string
  readonly thread: ApiParts['thread']
  /** Lines of the log. */
  readonly log: readonly string[]
  /** Asks with the key, unless `init.headers` says otherwise. */
  get(path: string, init?: RequestInit): Promise<Response>
  json<T = Record<string, unknown>>(path: string, init?: RequestInit): Promise<T>
}

export interface TestApiOptions {
  readonly records?: readonly TelemetryRecord[]
  readonly env?: Readonly<Record<string, string>>
  readonly nowMs?: number
  readonly wallMs?: () => number
  readonly dashboardDir?: string
  readonly limits?: Partial<ApiLimits>
}

export async function testApi(t: Scope, options: TestApiOptions = {}): Promise<TestApi> {
  const dataDir = temporaryFolder(t)
  if (options.records !== undefined) await fillStore(dataDir, options.records)
  const env = { API_KEY: testKey, DATA_DIR: dataDir, MSG_QUEUE_ADDR: 'http://127.0.0.1:9', ...options.env }
  const settings = readSettings(apiSettings, { env })
  const log: string[] = []
  const { nowMs, limits = {}, wallMs = nowMs === undefined ? undefined : () => nowMs } = options
  const parts = await openApiParts(settings, {
    log: logTo('api', 'debug', { write: (line) => void log.push(line) }),
    metrics: createMetrics('api'),
    limits,
    ...(wallMs === undefined ? {} : { wallMs }),
    dashboardDir: options.dashboardDir ?? join(dataDir, 'no-dashboard'),
  })
  await parts.app.listen({ host: '127.0.0.1', port: 0 })
  await parts.settled
  t.teardown(async () => {
    await parts.stop()
    parts.app.server.closeAllConnections()
    await parts.app.close()
  })
  const { port } = parts.app.server.address() as { port: number }
  const url = `http://127.0.0.1:${port}`
  const get = (path: string, init: RequestInit = {}) =>
    fetch(url + path, { redirect: 'manual', ...init, headers: { 'x-api-key': testKey, ...(init.headers as object) } })
  return {
    url,
    port,
    server: parts.app.server,
    dataDir,
    thread: parts.thread,
    log,
    get,
    json: async (path, init) => (await get(path, init)).json() as never,
  }
}

export async function fillStore(dataDir: string, records: readonly TelemetryRecord[]): Promise<void> {
  const store = await openStore({ dataDir })
  await store.write(batchOf(partOf(records.map((record) => normalise(record)))))
  await store.close()
}

export interface StubBroker {
  readonly url: string
  /** What was produced: `partition` and the lines of the body. */
  readonly produced: { readonly partition: number; readonly lines: readonly string[] }[]
  /** Dead letters, as they came. */
  readonly letters: Readonly<Record<string, unknown>>[]
  /** Resolves when it holds; looked at after each request that produced. */
  until(holds: () => boolean): Promise<void>
  /** Makes a partition, or the dead letters, refuse; `undefined`: no longer. */
  refuse(what: number | 'dead', problem: Problem | undefined): void
  /** Sends records to the readers of a topic, as one batch. */
  emit(topic: string, records: readonly unknown[]): void
  /** Resolves when so many streams were opened. */
  readers(count: number): Promise<void>
}

/** Two partitions a topic; `status` is the answer of `GET /status`. */
export async function stubBroker(t: Scope, status: Readonly<Record<string, unknown>> = {}): Promise<StubBroker> {
  const produced: StubBroker['produced'] = []
  const letters: StubBroker['letters'] = []
  const refusals = new Map<number | 'dead', Problem | undefined>()
  const refuseIfTold = (what: number | 'dead') => {
    const problem = refusals.get(what)
    if (problem !== undefined) throw problem
  }
  const readers: { readonly topic: string; readonly sink: Sink }[] = []
  const watchers = new Set<() => void>()
  const waiting: { readonly count: number; resolve(): void }[] = []
  const next = [0, 0]
  let emitted = 0
  const routes: Route[] = [
    { method: 'GET', path: '/ready', handle: () => ({ json: { ready: true } }) },
    { method: 'GET', path: '/status', handle: () => ({ json: status }) },
    {
      method: 'GET',
      path: '/topics',
      handle: () => ({ json: { topics: ['telemetry', 'transfers'].map((name) => ({ name, partitions: 2 })) } }),
    },
    {
      method: 'POST',
      path: '/produce',
      handle(request, body) {
        const partition = Number(request.query.get('partition'))
        refuseIfTold(partition)
        const lines = Buffer.from(body).toString().split('\n')
        produced.push({ partition, lines })
        const first = next[partition] as number
        next[partition] = first + lines.length
        for (const watcher of watchers) watcher()
        return { json: { id: `0/${partition}/${first}`, count: lines.length } }
      },
    },
    {
      method: 'POST',
      path: '/dead',
      handle(_, body) {
        refuseIfTold('dead')
        const lines = Buffer.from(body).toString().split('\n')
        letters.push(...lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>))
        return { json: { id: '0/0/0', count: lines.length } }
      },
    },
    {
      method: 'GET',
      path: '/consume',
      handle: (request) => ({
        type: 'text/event-stream',
        stream(sink) {
          const topic = request.query.get('topic') as string
          sink.write(
            Buffer.from(formatLogHead({ logId: 'a'.repeat(16), topic, broker: 0, partition: 0, first: 0 } as never)),
          )
          readers.push({ topic, sink })
          for (const each of waiting) if (readers.length >= each.count) each.resolve()
        },
      }),
    },
  ]
  const server = await serve({
    host: '127.0.0.1',
    port: 0,
    routes,
    guard: () => {},
    log: logTo('stub', 'silent', { write: () => {} }),
    metrics: createMetrics('stub'),
  })
  t.teardown(() => server.close(0))
  return {
    url: server.url,
    produced,
    letters,
    until: (holds) =>
      new Promise((resolve) => {
        const look = () => {
          if (!holds()) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    refuse: (what, problem) => void refusals.set(what, problem),
    emit(topic, records) {
      const text = records.map((record) => `id: 0/0/${emitted++}\ndata: ${JSON.stringify(record)}\n\n`).join('')
      for (const reader of readers) if (reader.topic === topic) reader.sink.write(Buffer.from(text))
    },
    readers: (count) =>
      new Promise((resolve) => {
        if (readers.length >= count) resolve()
        else waiting.push({ count, resolve })
      }),
  }
}
