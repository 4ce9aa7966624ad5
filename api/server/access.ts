/** What is counted and logged of each request: never a query, which may hold names and keys, nor a header. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { requestFigures } from '#lib/figures'
import type { Log } from '#lib/log'
import type { Metrics } from '#lib/metrics'

/** @param level of the line for each request */
export function watchRequests(app: FastifyInstance, metrics: Metrics, log: Log, level: 'info' | 'debug'): void {
  const count = requestFigures(metrics)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.config.route ?? 'none'
    const method = route === 'none' ? 'none' : request.method === 'HEAD' ? 'GET' : request.method
    count(method, route, reply.statusCode, reply.elapsedTime / 1000)
    // Asked each time: the level changes while the API runs.
    if (log.isLevelEnabled(level)) log[level](lineOf(request, reply), 'answered')
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
