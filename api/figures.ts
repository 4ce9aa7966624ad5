/** The API's metrics, beside those of each request (`lib/figures.ts`). */

import type { Gauge, Metrics } from '#lib/metrics'

export function readersFigure(metrics: Metrics): Gauge {
  return metrics.gauge('penstock_api_stream_readers', 'Readers of the live stream')
}
