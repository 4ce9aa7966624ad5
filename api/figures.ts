/** The API's metrics, beside those of each request (`lib/figures.ts`). */

import type { Counter, Family, Gauge, Metrics } from '#lib/metrics'

export interface ApiFigures {
  readonly readers: Gauge
  /** Of the thread that reads the store. */
  readonly deaths: Counter
  /** By the thread that asks the store, and whether they wait or are asked. */
  readonly questions: Family<'thread' | 'state', Gauge>
  readonly refused: Family<'thread' | 'reason', Counter>
}

export function apiFigures(metrics: Metrics): ApiFigures {
  return {
    readers: metrics.gauge('penstock_api_stream_readers', 'Readers of the live stream'),
    deaths: metrics.counter(
      'penstock_api_reading_thread_deaths_total',
      'Times that the thread that reads the store died',
    ),
    questions: metrics.gauge(
      'penstock_api_questions',
      'Questions to the store that wait, and that are under way, by the thread that asks it',
      ['thread', 'state'],
    ),
    refused: metrics.counter(
      'penstock_api_questions_refused_total',
      'Questions to the store that were refused: too many waited (full), or it waited too long (late)',
      ['thread', 'reason'],
    ),
  }
}
