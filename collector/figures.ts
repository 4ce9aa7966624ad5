/** The collector's metrics: what it received and what became of it, what the store takes, and the transfers that go by. */

import {
  boundedLabel,
  type Counter,
  type Gauge,
  type Histogram,
  type Metrics,
  transferSecondsBuckets,
} from '#lib/metrics'
import type { Counts, WriteBatch } from '#store/store'
import { isFailed } from '#telemetry/outcome'
import type { TelemetryRecord, TransferRecord } from '#telemetry/record'
import { parseTime } from '#telemetry/time'

/** Those of one topic. */
export interface Figures {
  consumed(records: number): void
  written(batch: WriteBatch, counts: Counts, seconds: number): void
  /** From the arrival of a batch's first record to the durable write. */
  processed(seconds: number): void
  failed(): void
}

/** Those of the whole process, and of each topic. */
export interface AllFigures {
  of(topic: string): Figures
  /** What the store takes on its disk; `undefined` where it cannot tell. */
  storeBytes(bytes: number | undefined): void
  /** Tells at each scrape how many records are received and not written, and whether `store` and `dead_letters` work. */
  watch(pending: () => number, works: Readonly<Record<'store' | 'dead_letters', () => boolean>>): void
}

const results = ['stored', 'duplicate', 'not_reported', 'dead'] as const

/** From one record to a full batch. */
const batchBuckets = [1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000]

/** Sites are named by the sources: so many have series of their own, all others share those of `other`. */
const sitesMax = 100

/** Registers the metrics once. */
export function createFigures(metrics: Metrics, wallMs: () => number): AllFigures {
  const ofTopic = ['topic'] as const
  const points = metrics.counter('telemetry_data_points_total', 'Records settled, by what became of them', [
    'topic',
    'result',
  ])
  const consumed = metrics.counter('messages_consumed_total', 'Records received, redeliveries included', ofTopic)
  const processing = metrics.histogram(
    'message_processing_duration_seconds',
    'From the arrival of the first record of a batch to its durable write',
    undefined,
    ofTopic,
  )
  const writes = metrics.histogram(
    'penstock_collector_write_duration_seconds',
    'One write to the store',
    undefined,
    ofTopic,
  )
  const sizes = metrics.histogram(
    'penstock_collector_write_records',
    'Records of one write to the store',
    batchBuckets,
    ofTopic,
  )
  const failures = metrics.counter(
    'penstock_collector_store_failures_total',
    'Writes that the store failed or refused',
    ofTopic,
  )
  const last = metrics.gauge(
    'penstock_collector_last_write_timestamp_seconds',
    'When the store took a batch last; 0 before the first',
    ofTopic,
  )
  const received = metrics.gauge('penstock_collector_pending_records', 'Records received and not yet written')
  const well = metrics.gauge(
    'penstock_collector_works',
    'Whether what the collector writes to works (1) or is waited for (0): store, dead_letters',
    ['what'],
  )
  const bytes = metrics.gauge('penstock_store_bytes', 'What the store takes on its disk, where it can tell')
  const transfers = transferFigures(metrics)
  return {
    of(topic) {
      const count: Counter = consumed.with({ topic })
      const duration: Histogram = processing.with({ topic })
      const write: Histogram = writes.with({ topic })
      const size: Histogram = sizes.with({ topic })
      const failure: Counter = failures.with({ topic })
      const newest: Gauge = last.with({ topic })
      const byResult = results.map((result) => [result, points.with({ topic, result })] as const)
      return {
        consumed: (records) => count.inc(records),
        written({ parts }, counts, seconds) {
          for (const [result, counter] of byResult) counter.inc(counts[result])
          write.observe(seconds)
          size.observe(parts.reduce((sum, { records }) => sum + records.length, 0))
          newest.set(wallMs() / 1000)
          for (const { records } of parts) if (isOfTransfers(records)) for (const each of records) transfers(each)
        },
        processed: (seconds) => duration.observe(seconds),
        failed: () => failure.inc(),
      }
    },
    storeBytes(of) {
      if (of !== undefined) bytes.set(of)
    },
    watch(pending, works) {
      metrics.onScrape(() => {
        received.set(pending())
        for (const [what, isWell] of Object.entries(works)) well.with({ what }).set(isWell() ? 1 : 0)
      })
    },
  }
}

/** Of each transfer that was written. One that is delivered twice is counted twice. */
function transferFigures(metrics: Metrics): (record: TelemetryRecord) => void {
  const siteLabel = boundedLabel(sitesMax)
  const done = metrics.counter('penstock_transfers_total', 'Transfers written, by what became of them', [
    'site',
    'result',
  ])
  const bytes = metrics.counter('penstock_transfer_bytes_total', 'Bytes of the transfers written', ['site'])
  const durations = metrics.histogram(
    'penstock_transfer_duration_seconds',
    'How long the transfers written took',
    transferSecondsBuckets,
    ['site'],
  )
  const newest = metrics.gauge(
    'penstock_transfer_newest_timestamp_seconds',
    'When the newest of the transfers written ended, by its own time',
    ['site'],
  )
  const newestMs = new Map<string, number>()
  return (record) => {
    if (record.kind !== 'transfer') return
    const site = siteLabel(record.site)
    done.with({ site, result: isFailed(record) ? 'failed' : 'success' }).inc()
    if (record.bytes !== null) bytes.with({ site }).inc(record.bytes)
    if (record.duration_s !== null) durations.with({ site }).observe(record.duration_s)
    const endedMs = parseTime(record.time)?.ms ?? 0
    if (endedMs <= (newestMs.get(site) ?? 0)) return
    newestMs.set(site, endedMs)
    newest.with({ site }).set(endedMs / 1000)
  }
}

/** A topic carries points or transfers, so its first record tells: the other ones are not looked through. */
function isOfTransfers(records: readonly TelemetryRecord[]): records is readonly TransferRecord[] {
  return records[0]?.kind === 'transfer'
}
