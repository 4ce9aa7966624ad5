/** What is counted and logged of each request: never a query, which may hold names and keys, nor a header. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '#lib/log'
import type { Metrics } from '#lib/metrics'

/** @param level of the line for each request */
export function watchRequests(app: FastifyInstance, metrics: Metrics, log: Log, level: 'info' | 'debug'): void {
  const requests = metrics.counter('http_requests_total', 'Requests answered', ['method', 'route', 'status'])
  const seconds = metrics.histogram('penstock_api_request_duration_seconds', 'From request to answer', undefined, [
    'route',
  ])
  const isLogged = log.isLevelEnabled(level)
  app.addHook('onResponse', async (request, reply) => {
    // What a client may invent (a path, a method) is no label: each would make a series of its own.
    const route = request.routeOptions.config.route ?? 'none'
    const method = route === 'none' ? 'none' : request.method === 'HEAD' ? 'GET' : request.method
    requests.with({ method, route, status: String(reply.statusCode) }).inc()
    seconds.with({ route }).observe(reply.elapsedTime / 1000)
    if (isLogged) log[level](lineOf(request, reply), 'answered')
  })
}

function lineOf(request: FastifyRequest, reply: FastifyReply): object {
  const { id, method, url, ip } = request
  return {
    request: id,
    method,
    path: url.split('?')[0],
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime),
    address: ip,
    // Whose key it was: its id, which does not give it away.
    key: (request.key as FastifyRequest['key'] | null)?.id ?? null,
  }
}
