/** Every metric of every role, out of the same functions by which the roles register them. */

import { createFigures as broker } from '#broker/figures'
import { createFigures as collector } from '#collector/figures'
import { apiFigures } from '#api/figures'
import { systemClock } from '#lib/clock'
import { requestFigures } from '#lib/figures'
import { createMetrics, type Described, type Metrics } from '#lib/metrics'
import { expiryFigure } from '#lib/tls'
import { spanFigures } from '#lib/tracing'
import { createFigures as proxy } from '#proxy/figures'
import { createFigures as streamer } from '#streamer/figures'

/** What each role registers beside what all have. */
const own: Readonly<Record<string, (metrics: Metrics) => unknown>> = {
  streamer: (metrics) => streamer(metrics, systemClock.wallMs),
  proxy: (metrics) => proxy(metrics, systemClock),
  broker,
  collector: (metrics) => collector(metrics, systemClock.wallMs),
  api: apiFigures,
}

/** The roles that a record passes on its way to the store. */
const traced: ReadonlySet<string> = new Set(['streamer', 'proxy', 'broker', 'collector'])

/** Only where a role listens by TLS. */
export const onlyWithTls: readonly string[] = ['penstock_tls_certificate_expiry_timestamp_seconds']

export const roles: readonly string[] = Object.keys(own)

/** The metrics of a role, by name. */
export function metricsOf(role: string): readonly Described[] {
  const metrics = createMetrics(role)
  requestFigures(metrics)
  expiryFigure(metrics)
  if (traced.has(role)) spanFigures(metrics)
  own[role]?.(metrics)
  return metrics.described
}

export interface Documented extends Described {
  readonly roles: readonly string[]
}

/** Of all roles: those that all have, and the others by their roles. */
export function allMetrics(): readonly Documented[] {
  const byName = new Map<string, Documented>()
  for (const role of roles) {
    for (const metric of metricsOf(role)) {
      const known = byName.get(metric.name)
      const labels = new Set([...(known?.labels ?? []), ...metric.labels])
      byName.set(metric.name, { ...metric, labels: [...labels], roles: [...(known?.roles ?? []), role] })
    }
  }
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
