/** What is counted of each request, the same for every role. */

import type { Counter, Family, Histogram, Metrics } from './metrics.ts'

/** Tells one request that was answered. */
export type CountRequest = (method: string, route: string, status: number, seconds: number) => void

interface OfRoute {
  readonly seconds: Histogram
  readonly byStatus: Map<number, Counter>
}

/**
 * Registers `http_requests_total` and `penstock_http_request_duration_seconds`.
 *
 * What a client may invent (a path, a method) is no label, since each would make a series of its own: `route` is the pattern
 * of the route that took the request, `none` where none did. The time is that up to the whole answer, of a stream to its head.
 */
export function requestFigures(metrics: Metrics): CountRequest {
  const requests: Family<'method' | 'route' | 'status', Counter> = metrics.counter(
    'http_requests_total',
    'Requests answered',
    ['method', 'route', 'status'],
  )
  const durations = metrics.histogram(
    'penstock_http_request_duration_seconds',
    'From a request to its answer; of a stream, to its head',
    undefined,
    ['method', 'route'],
  )
  // Looked up by text and number, not by labels: this stands in the way of every request.
  const routes = new Map<string, Map<string, OfRoute>>()
  return (method, route, status, seconds) => {
    let methods = routes.get(route)
    if (methods === undefined) routes.set(route, (methods = new Map()))
    let own = methods.get(method)
    if (own === undefined) {
      methods.set(method, (own = { seconds: durations.with({ method, route }), byStatus: new Map() }))
    }
    let counter = own.byStatus.get(status)
    if (counter === undefined) {
      own.byStatus.set(status, (counter = requests.with({ method, route, status: String(status) })))
    }
    counter.inc()
    own.seconds.observe(seconds)
  }
}
