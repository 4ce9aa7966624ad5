/** Fastify, made of the contract: headers, refusals and metrics, between the network and the handlers. */

import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Sink } from '#lib/http/http'
import { NodeSink } from '#lib/http/node-sink'
import { problemAnswer } from '#lib/http/problem'
import type { Log } from '#lib/log'
import type { Metrics } from '#lib/metrics'
import { requestId } from '#lib/trace'
import { StoreError } from '#store/errors'
import { Problem } from '#wire/problems'
import type { Call, Handlers } from '../call.ts'
import { contract, type Operation, type QueryOf } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { auditLog, isAudited } from './audit.ts'
import { type Admit, doorkeeper, type DoorkeeperOptions } from './doorkeeper.ts'
import type { Key } from './keys.ts'
import { requestReader } from './requests.ts'

export interface ApiOptions extends DoorkeeperOptions {
  readonly metrics: Metrics
  readonly handlers: Handlers
  /** @throws Problem before anything is sent */
  readonly openStream: (query: QueryOf<'stream'>, lastId: string | undefined, key: Key) => (sink: Sink) => void
  readonly wallMs: () => number
  /** Whose word is taken for where a request came from (`X-Forwarded-For`). */
  readonly trustsForwarder: (address: string) => boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The path with its parameters in braces: what metrics name a route by. */
    readonly route?: string
  }
}

const bodyBytesMax = 1024 * 1024

/** A reader of the stream that has more than this before it is waited for. */
const sinkBytesMax = 256 * 1024

/** The server without its pages; nothing listens yet. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const { log, metrics, corsOrigins } = options
  const app: FastifyInstance = fastify({
    // What is worth a line is logged here, in the words of the other roles.
    logger: false,
    bodyLimit: bodyBytesMax,
    // A client's slow upload; streams are not bounded by it.
    requestTimeout: 30_000,
    genReqId: (request) => requestId(request.headers['x-request-id'] as string | undefined),
    routerOptions: { maxParamLength: 1_024 },
    trustProxy: options.trustsForwarder,
    frameworkErrors: (error, request, reply) => void refuse(log, error, request, reply as unknown as FastifyReply),
  })
  // JSON only: a body of another type is refused, not taken for a text.
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, request, reply) => refuse(log, error, request, reply))
  app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id))
  countRequests(app, metrics, log)
  const audit = auditLog(log)
  app.decorateRequest('facts', undefined)
  app.addHook('onResponse', async (request, reply) => audit(request, reply.statusCode))

  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: ownAssetsOnly },
    // It would break plain HTTP off loopback; who serves HTTPS sets it where the certificate is.
    strictTransportSecurity: false,
    crossOriginEmbedderPolicy: false,
  })
  await app.register(cors, {
    origin: [...corsOrigins],
    methods: ['GET', 'POST'],
    allowedHeaders: ['authorization', 'content-type', 'last-event-id', 'x-api-key', 'x-request-id'],
    exposedHeaders: ['x-request-id', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after'],
    maxAge: 600,
  })
  await app.register(rateLimit, { global: false })

  const admit = doorkeeper(app, options)
  for (const [name, row] of Object.entries<Endpoint>(contract)) {
    for (const path of [row.path, ...(row.also ?? [])]) addRoute(app, name as Operation, row, path, admit, options)
  }
  app.setNotFoundHandler(async (request) => {
    // Who has no key learns nothing about what exists.
    await admit(request, undefined, { scope: 'read', bounds: 'none' })
    const [path] = request.url.split('?') as [string]
    const allow = methodsOf(path)
    if (allow.length === 0) throw new Problem('not_found', `there is nothing at ${path.slice(0, 200)}`)
    throw new Problem('method_not_allowed', `this path takes ${allow.join(', ')}, not ${request.method}`, { allow })
  })
  return app
}

const self = ["'self'"]
const ownAssetsOnly = {
  defaultSrc: self,
  scriptSrc: self,
  // Swagger UI and the charts set styles on elements.
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: self,
  connectSrc: self,
  objectSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: self,
  frameAncestors: ["'none'"],
}

function addRoute(
  app: FastifyInstance,
  name: Operation,
  row: Endpoint,
  path: string,
  admit: Admit,
  { handlers, openStream, wallMs }: ApiOptions,
): void {
  const read = requestReader(row)
  const namesTopic = [row.params, row.query].some((schema) => schema?.properties['topic'] !== undefined)
  app.route({
    method: row.method,
    url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { route: path, ...(isAudited(row) ? { operation: name } : {}) },
    // Before the body is read: who may not ask is not listened to.
    onRequest: (request, reply) => admit(request, reply, row),
    // Answers are written as they are. A serializer made of the schema would fix what does not fit: null would be 0.
    serializerCompiler: () => JSON.stringify,
    async handler(request, reply) {
      const query = read.query(request.query)
      const params = read.params(request.params)
      const { key } = request
      if (namesTopic) key.bounds.needTopic((params['topic'] ?? query['topic']) as string | undefined)
      if (row.events === true) return stream(request, reply, openStream(query, lastIdOf(request), key))
      const call = {
        params,
        query,
        body: read.body(request.body),
        nowMs: wallMs(),
        bounds: key.bounds,
        by: key.id,
        note: (facts: Readonly<Record<string, unknown>>) => void (request.facts = { ...request.facts, ...facts }),
        signal: goneSignal(reply),
      }
      void reply.header('cache-control', 'no-store')
      return (handlers[name as keyof Handlers] as (call: Call<never>) => Promise<unknown>)(call as Call<never>)
    },
  })
}

function lastIdOf(request: FastifyRequest): string | undefined {
  const id = request.headers['last-event-id']
  return typeof id === 'string' && id !== '' ? id : undefined
}

function stream(request: FastifyRequest, reply: FastifyReply, open: (sink: Sink) => void): FastifyReply {
  reply.hijack()
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    // nginx and those that follow it must not hold events back to fill a buffer.
    'x-accel-buffering': 'no',
  })
  if (request.method === 'HEAD') reply.raw.end()
  else {
    reply.raw.flushHeaders()
    request.raw.socket.setNoDelay(true)
    open(new NodeSink(reply.raw, sinkBytesMax))
  }
  return reply
}

/** Aborts when the client goes away before it has its answer. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new Problem('unavailable', 'the client is gone'))
  })
  return controller.signal
}

/** The methods that the contract has for a path. */
function methodsOf(path: string): string[] {
  const rows = Object.values<Endpoint>(contract).filter((row) =>
    [row.path, ...(row.also ?? [])].some((own) => matches(own, path)),
  )
  return [...new Set(rows.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))]
}

function matches(pattern: string, path: string): boolean {
  const [own, given] = [pattern.split('/'), path.split('/')]
  return own.length === given.length && own.every((part, at) => part === given[at] || part.startsWith('{'))
}

function countRequests(app: FastifyInstance, metrics: Metrics, log: Log): void {
  const requests = metrics.counter('http_requests_total', 'Requests answered', ['method', 'route', 'status'])
  const seconds = metrics.histogram('penstock_api_request_duration_seconds', 'From request to answer', undefined, [
    'route',
  ])
  app.addHook('onResponse', async (request, reply) => {
    // What a client may invent (a path, a method) is no label: each would make a series of its own.
    const route = request.routeOptions.config.route ?? 'none'
    const method = route === 'none' ? 'none' : request.method === 'HEAD' ? 'GET' : request.method
    requests.with({ method, route, status: String(reply.statusCode) }).inc()
    seconds.with({ route }).observe(reply.elapsedTime / 1000)
    if (log.isLevelEnabled('debug')) {
      const { id, url } = request
      log.debug({ request: id, method, path: url.split('?')[0], status: reply.statusCode }, 'answered')
    }
  })
}

/** Answers with a problem: the one that was thrown, or the one that it amounts to. */
function refuse(log: Log, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  let problem = problemOf(error)
  if (problem === undefined) {
    problem = new Problem('internal', `an error of ours; the log has it under the request id ${request.id}`)
    log.error(
      { err: error, request: request.id, method: request.method, path: request.url.split('?')[0] },
      'a request failed',
    )
  }
  const { status, headers, body } = problemAnswer(problem)
  for (let at = 0; at < headers.length; at += 2) void reply.header(headers[at] as string, headers[at + 1])
  return reply
    .code(status)
    .serializer((payload: unknown) => payload as string)
    .send(body)
}

/** What is thrown before and in a handler. `undefined`: an error of ours, which the log must have. */
function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error
  if (error instanceof StoreError) {
    return error.retry ? new Problem('unavailable', 'the store does not answer', { retry_after_s: 2 }) : undefined
  }
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Problem('body_too_large', `this path takes bodies of at most ${bodyBytesMax} bytes`, {
      limit_bytes: bodyBytesMax,
    })
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Problem('unsupported_type', 'want application/json')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem('bad_request', message ?? 'the request cannot be read')
  }
  return undefined
}
