/** The streamer's metrics: what its sources gave, what became of it, and who reads along. */

import type { Metrics } from '#lib/metrics'
import type { Batch } from './batch.ts'
import type { SourceStatus } from '#wire/status'

export interface Figures {
  /** A batch was handed on. */
  batch(batch: Pick<Batch, 'records' | 'dead'>, topic: string): void
  /** The broker did not take something, and it is tried again. */
  retried(): void
  /** Tells of the sources at each scrape. */
  watch(sources: () => readonly SourceStatus[], readers: () => number): void
}

/** Registers them all. Sources are counted by state, never by name: a name is a path. */
export function createFigures(metrics: Metrics, wallMs: () => number): Figures {
  const points = metrics.counter('telemetry_data_points_total', 'Records made of the rows of sources')
  const produced = metrics.counter('messages_produced_total', 'Records handed to the producer', ['topic'])
  const dead = metrics.counter('penstock_streamer_dead_rows_total', 'Rows that no record could be made of', ['topic'])
  const warnings = metrics.counter('penstock_streamer_send_warnings_total', 'Times that the broker was away or refused')
  const last = metrics.gauge(
    'penstock_streamer_last_batch_timestamp_seconds',
    'When a batch was handed to the producer last; 0 before the first',
  )
  const rows = metrics.gauge('penstock_streamer_settled_rows', 'Rows acknowledged or dead-lettered, over all sources')
  const open = metrics.gauge('penstock_streamer_sources', 'Sources by state', ['state'])
  const streams = metrics.gauge('penstock_streamer_stream_readers', 'Readers of GET /stream')
  return {
    batch({ records, dead: letters }, topic) {
      points.inc(records.length)
      produced.with({ topic }).inc(records.length)
      if (letters.length > 0) dead.with({ topic }).inc(letters.length)
      last.set(wallMs() / 1000)
    },
    retried: () => warnings.inc(),
    watch(sources, readers) {
      metrics.onScrape(() => {
        const all = sources()
        rows.set(all.reduce((sum, source) => sum + source.rows, 0))
        const failed = all.filter(({ error }) => error !== undefined).length
        const done = all.filter((source) => source.done && source.error === undefined).length
        open.with({ state: 'failed' }).set(failed)
        open.with({ state: 'done' }).set(done)
        open.with({ state: 'reading' }).set(all.length - failed - done)
        streams.set(readers())
      })
    },
  }
}
