/** The collector's metrics. */

import type { Counter, Histogram, Metrics } from '#lib/metrics'
import type { Counts } from '#store/store'

/** Those of one topic. */
export interface Figures {
  consumed(records: number): void
  written(counts: Counts, seconds: number): void
  /** From the arrival of a batch's first record to the durable write. */
  processed(seconds: number): void
  failed(): void
}

const results = ['stored', 'duplicate', 'not_reported', 'dead'] as const

/** Registers the metrics once; the function makes those of a topic. */
export function createFigures(metrics: Metrics): (topic: string) => Figures {
  const points = metrics.counter('telemetry_data_points_total', 'Records settled, by what became of them', [
    'topic',
    'result',
  ])
  const consumed = metrics.counter('messages_consumed_total', 'Records received, redeliveries included', ['topic'])
  const processing = metrics.histogram(
    'message_processing_duration_seconds',
    'From the arrival of the first record of a batch to its durable write',
    undefined,
    ['topic'],
  )
  const writes = metrics.histogram('penstock_collector_write_duration_seconds', 'One write to the store', undefined, [
    'topic',
  ])
  const failures = metrics.counter('penstock_collector_store_failures_total', 'Writes that the store failed', ['topic'])
  return (topic) => {
    const count: Counter = consumed.with({ topic })
    const duration: Histogram = processing.with({ topic })
    const write: Histogram = writes.with({ topic })
    const failure: Counter = failures.with({ topic })
    const byResult = results.map((result) => [result, points.with({ topic, result })] as const)
    return {
      consumed: (records) => count.inc(records),
      written(counts, seconds) {
        for (const [result, counter] of byResult) counter.inc(counts[result])
        write.observe(seconds)
      },
      processed: (seconds) => duration.observe(seconds),
      failed: () => failure.inc(),
    }
  }
}
