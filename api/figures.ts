/** The API's metrics, beside those of each request (`lib/figures.ts`). */

import type { Counter, Gauge, Metrics } from '#lib/metrics'

export interface ApiFigures {
  readonly readers: Gauge
  /** Of the thread that reads the store. */
  readonly deaths: Counter
}

export function apiFigures(metrics: Metrics): ApiFigures {
  return {
    readers: metrics.gauge('penstock_api_stream_readers', 'Readers of the live stream'),
    deaths: metrics.counter(
      'penstock_api_reading_thread_deaths_total',
      'Times that the thread that reads the store died',
    ),
  }
}
