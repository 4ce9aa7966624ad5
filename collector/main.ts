/** The collector: takes the records of its topics from the broker, writes them to the store, then acknowledges them. */

import { systemClock } from '#lib/clock'
import { createLog } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { openService } from '#lib/service'
import { openStore } from '#store/open'
import { Client } from '#wire/client'
import { defaultBackoff } from '#wire/retry'
import { TopicCollector } from './collector.ts'
import { createFigures } from './figures.ts'
import { readyOf, statusOf } from './routes.ts'
import type { CollectorSettings } from './settings.ts'

const role = 'collector'

/**
 * Runs until the signal aborts; what has arrived by then is written and acknowledged.
 *
 * @throws StoreError when the store cannot be opened, or fails in a way that no waiting mends
 */
export async function run(settings: CollectorSettings, signal: AbortSignal): Promise<void> {
  const log = createLog(role, settings.logLevel)
  const metrics = createMetrics(role)
  const store = await openStore(settings)
  const collectors: TopicCollector[] = []
  const server = await openService({
    role,
    settings,
    log,
    metrics,
    routes: [],
    ready: () => readyOf(collectors),
    status: () => statusOf(store, settings.group, collectors),
  })
  // One that fails ends the others. The streams are closed after the last acknowledgement, or when the grace is over:
  // a broker that is away must not keep the process.
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const streams = new AbortController()
  const grace = (): void => void setTimeout(() => streams.abort(), settings.stopGraceMs).unref()
  stop.addEventListener('abort', grace, { once: true })
  try {
    const { serviceToken: token, group, batchRecords, batchBytes, batchWaitMs } = settings
    const client = new Client({
      url: settings.msgQueueAddr,
      ...(token === undefined ? undefined : { token }),
      onWarning: (text) => log.warn(text),
    })
    const figuresOf = createFigures(metrics)
    const topics = [...new Set([settings.msgQueueTopic, settings.transfersTopic])]
    for (const topic of topics) {
      // What is on its way while a batch is written: enough to fill the next one.
      const maxInFlight = 3 * batchRecords
      const subscription = client.consumer({ topic, group, maxInFlight, signal: streams.signal })
      const dead: ConstructorParameters<typeof TopicCollector>[0]['dead'] = (letters) =>
        client.dead(topic, letters, streams.signal)
      const parts = {
        clock: systemClock,
        backoff: defaultBackoff,
        store,
        subscription,
        dead,
        log,
        figures: figuresOf(topic),
      }
      const limits = { records: batchRecords, bytes: batchBytes }
      collectors.push(new TopicCollector(parts, { topic, group, limits, waitMs: batchWaitMs }))
    }
    const pending = metrics.gauge('penstock_collector_pending_records', 'Records received and not yet written')
    metrics.onScrape(() => pending.set(collectors.reduce((sum, collector) => sum + collector.pending, 0)))
    const runs = collectors.map((collector) =>
      collector.run(stop).catch((error: unknown) => {
        failed.abort()
        throw error
      }),
    )
    const ends = await Promise.allSettled(runs)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  } finally {
    streams.abort()
    await server.close(settings.stopGraceMs)
    await store.close()
  }
}
