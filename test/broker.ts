/** A broker in this process: its routes on a port, a disk in memory, a clock that stands still. */

import { tokenGuard } from '#lib/auth'
import { manualClock, type ManualClock } from '#lib/clock'
import { serve } from '#lib/http/server'
import { logTo } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { Broker, type BrokerOptions } from '#broker/broker'
import { Consumers } from '#broker/consume'
import { MemoryDisk } from '#broker/disk/memory'
import { brokerRoutes, describeBroker } from '#broker/routes'
import type { Ordinal } from '#wire/ids'

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: any
}

export interface LocalBroker {
  readonly broker: Broker
  readonly clock: ManualClock
  readonly disk: MemoryDisk
  /** What an operator was told. */
  readonly reports: readonly string[]
  readonly url: string
  /** Sends a text as it is, and anything else as JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>
  /** Reads a stream piece by piece; each call waits until all that came matches, and gives it. */
  stream(path: string): Promise<(pattern: Pick<RegExp, 'test'>) => Promise<string>>
  status(): any
  /** Closes the broker as a stop does; the next one may be started on its disk. */
  close(): Promise<void>
}

let ids = 0

/** Starts it; it ends with the test. */
export async function startBroker(
  t: { teardown(callback: () => unknown): void },
  options: Partial<BrokerOptions> & { readonly disk?: MemoryDisk; readonly clock?: ManualClock } = {},
): Promise<LocalBroker> {
  const { disk = new MemoryDisk(), clock = manualClock(Date.UTC(2026, 0, 1)), ...given } = options
  const reports: string[] = []
  const broker = await Broker.open(clock, disk, {
    ordinal: 0 as Ordinal,
    folder: 'data',
    topics: new Map([['telemetry', { partitions: 2 }]]),
    memoryBytes: 16 << 20,
    segmentBytesMax: 1 << 20,
    newLogId: () => String(++ids).padStart(16, '0'),
    report: (problem) => reports.push(problem),
    ...given,
  })
  const consumers = new Consumers(broker, { visibilityMs: 30_000, maxInFlight: 1_000 }, () => {})
  const engine = { broker, consumers }
  const server = await serve({
    host: '127.0.0.1',
    port: 0,
    routes: [
      ...brokerRoutes(
        () => engine,
        { maxBodyBytes: 4 << 20, maxRecordBytes: 1 << 20 },
        () => {},
      ),
      { method: 'GET', path: '/status', handle: () => ({ json: describeBroker(broker) }) },
    ],
    guard: tokenGuard(undefined),
    log: logTo('broker', 'silent', { write() {} }),
    metrics: createMetrics('broker'),
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      consumers.cutAll()
      await server.close(1000)
      await broker.close()
    })())
  t.teardown(close)
  return {
    broker,
    clock,
    disk,
    reports,
    close,
    url: server.url,
    status: () => describeBroker(broker),
    async call(method, path, body, headers = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const answer = await fetch(server.url + path, {
        method,
        headers: { 'content-type': 'application/x-ndjson', ...headers },
        ...(body === undefined ? {} : { body: text }),
      })
      return { status: answer.status, headers: answer.headers, body: await answer.json() }
    },
    async stream(path) {
      const stop = new AbortController()
      t.teardown(() => stop.abort())
      const answer = await fetch(server.url + path, { signal: stop.signal })
      if (!answer.ok || answer.body === null) throw new Error(`${answer.status} ${await answer.text()}`)
      const reader = answer.body.getReader()
      const decoder = new TextDecoder()
      let text = ''
      return async (pattern) => {
        while (!pattern.test(text)) {
          const { done, value } = await reader.read()
          if (done)
            throw new Error(
              `the stream ended without ${pattern instanceof RegExp ? String(pattern) : 'what it should bring'}: ${text}`,
            )
          text += decoder.decode(value, { stream: true })
        }
        return text
      }
    },
  }
}
