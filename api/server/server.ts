/** Fastify, made of the contract: headers, refusals and metrics, between the network and the handlers. */

import compress from '@fastify/compress'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Sink } from '#lib/http/http'
import { NodeSink } from '#lib/http/node-sink'
import { problemAnswer } from '#lib/http/problem'
import { refuseUnread } from '#lib/http/unread'
import type { Metrics } from '#lib/metrics'
import type { ServerTls } from '#lib/tls'
import { requestId } from '#lib/trace'
import { StoreError } from '#store/errors'
import { Problem } from '#wire/problems'
import { jsonOf } from '../ask/shared.ts'
import type { Call, Handlers } from '../call.ts'
import { contract, type Operation, type QueryOf } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { auditLog, isAudited } from './audit.ts'
import { answerHeaders, sendAnswer } from '../formats/send.ts'
import { type Format, formatOf } from '../formats/format.ts'
import { influxRefusal } from '../intake/influx.ts'
import type { ApiLimits } from '../limits.ts'
import { watchRequests } from './access.ts'
import { type Admit, doorkeeper, type DoorkeeperOptions } from './doorkeeper.ts'
import type { Key } from './keys.ts'
import { bodiesOf, mediaOf, takeBodies } from './bodies.ts'
import { addRateLimit, rateLimitHeaders } from './ratelimit.ts'
import { requestReader } from './requests.ts'
import { wantCertificate } from './tls.ts'

export interface ApiOptions extends DoorkeeperOptions {
  readonly metrics: Metrics
  readonly handlers: Handlers
  /** @throws Problem before anything is sent */
  readonly openStream: (query: QueryOf<'stream'>, lastId: string | undefined, key: Key) => (sink: Sink) => void
  readonly limits: ApiLimits
  /** A line for each request at the level info, else at debug. */
  readonly accessLog: boolean
  readonly tls: ServerTls | undefined
  readonly wallMs: () => number
  /** Whose word is taken for where a request came from (`X-Forwarded-For`). */
  readonly trustsForwarder: (address: string) => boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The path with its parameters in braces: what metrics name a route by. */
    readonly route?: string
    /** Of routes of the contract. */
    readonly row?: Endpoint
  }
}

/** The server without its pages; nothing listens yet. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const { log, metrics, corsOrigins, limits, tls } = options
  const http = {
    maxHeaderSize: limits.headBytesMax,
    headersTimeout: limits.headMs,
    connectionsCheckingInterval: limits.lookEveryMs,
  }
  const server =
    tls === undefined ? { http } : { https: { ...http, ...tls.options, handshakeTimeout: limits.handshakeMs } }
  /** The newest answer of a connection. */
  const answers = new WeakMap<Socket, ServerResponse>()
  const app: FastifyInstance = fastify({
    // What is worth a line is logged here, in the words of the other roles.
    logger: false,
    ...(server as { http: typeof http }),
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionTimeout: limits.silentMs,
    genReqId: (request) => requestId(request.headers['x-request-id'] as string | undefined),
    trustProxy: options.trustsForwarder,
    routerOptions: { maxParamLength: limits.pathParameterMax },
    schemaController: { compilersFactory: noCompilers },
    frameworkErrors: (error, request, reply) => void refuse(options, error, request, reply as unknown as FastifyReply),
    clientErrorHandler: (error, socket) => refuseUnread(error, socket, answers.get(socket)?.writableFinished === false),
  })
  // Answers are written as they are. A serializer made of the schema would fix what does not fit: null would be 0.
  app.setReplySerializer(jsonOf as (answer: unknown) => string)
  app.server.maxConnections = limits.connectionsMax
  app.server.on('request', (request, response) => answers.set(request.socket, response))
  // A route says what it takes (addRoute); anything else is refused, not taken for a text.
  takeBodies(app, ['json'], limits.jsonDepthMax)
  app.setErrorHandler((error, request, reply) => refuse(options, error, request, reply))
  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id).header('content-security-policy', ownAssetsOnly)
    done()
  })
  watchRequests(app, metrics, log, options.accessLog ? 'info' : 'debug')
  if (tls !== undefined) wantCertificate(app, tls)
  app.addHook('onSend', async (_, reply) => addRateLimit(reply))
  const audit = auditLog(log)
  app.decorateRequest('facts', undefined)
  app.addHook('onResponse', async (request, reply) => audit(request, reply.statusCode))

  await app.register(helmet, {
    // Ours is one text: helmet puts its own together for each request, most of what it takes.
    contentSecurityPolicy: false,
    // Over plain HTTP browsers pass over it, and a proxy in front has its own. Other names of the domain are not ours.
    strictTransportSecurity: tls === undefined ? false : { maxAge: 31_536_000, includeSubDomains: false },
    crossOriginEmbedderPolicy: false,
  })
  await app.register(cors, {
    origin: [...corsOrigins],
    methods: [...new Set(Object.values<Endpoint>(contract).map(({ method }) => method))],
    allowedHeaders: ['authorization', 'content-type', 'last-event-id', 'x-api-key', 'x-request-id'],
    exposedHeaders: ['x-request-id', ...rateLimitHeaders, ...answerHeaders],
    maxAge: 600,
    // Else an OPTIONS that is no preflight is refused in a text.
    strictPreflight: false,
  })
  await app.register(rateLimit, { global: false })
  await app.register(compress, {
    encodings: ['br', 'gzip'],
    customTypes: /^text\/(?!event-stream)|[/+](json|x-ndjson|javascript)(;|$)|svg/,
    // What a body inflates to is bounded by what the route takes: Fastify counts the inflated bytes as they come.
    requestEncodings: ['gzip', 'identity'],
    onUnsupportedRequestEncoding: (encoding) =>
      new Problem('unsupported_type', `Content-Encoding is ${encoding.slice(0, 100)}: want gzip or none`),
    onInvalidRequestPayload: () => new Problem('bad_request', 'the body is no gzip, though Content-Encoding says so'),
  })

  const admit = doorkeeper(app, options)
  for (const [name, row] of Object.entries<Endpoint>(contract)) {
    for (const path of [row.path, ...(row.also ?? [])]) {
      await app.register(async (scope) => {
        if (row.body !== undefined) takeBodies(scope, bodiesOf(row), limits.jsonDepthMax)
        addRoute(scope, name as Operation, row, path, admit, options)
      })
    }
  }
  const missing = async (request: FastifyRequest): Promise<never> => {
    // Who has no key learns nothing about what exists.
    await admit(request, undefined, { scope: 'read', bounds: 'none' })
    const [path] = request.url.split('?') as [string]
    const allow = methodsOf(path)
    if (allow.length === 0) throw new Problem('not_found', `there is nothing at ${path.slice(0, 200)}`)
    throw new Problem('method_not_allowed', `this path takes ${allow.join(', ')}, not ${request.method}`, { allow })
  }
  // Before a body is read that nobody wants; the handler is for files that are not there.
  app.addHook('onRequest', async (request) => (request.is404 ? missing(request) : undefined))
  app.setNotFoundHandler(missing)
  return app
}

/** No route gives Fastify a schema. Left to itself it loads Ajv and fast-json-stringify all the same: 110 files, a tenth of the start. */
const noCompilers = {
  buildValidator: () => neverAsked,
  buildSerializer: () => neverAsked,
}

function neverAsked(): never {
  throw new Error('a route has a schema: the contract checks requests, and answers are written as they are')
}

const ownAssetsOnly = [
  "default-src 'self'",
  "script-src 'self'",
  // Swagger UI and the charts set styles on elements.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join(';')

function addRoute(
  app: FastifyInstance,
  name: Operation,
  row: Endpoint,
  path: string,
  admit: Admit,
  options: ApiOptions,
): void {
  const { handlers, openStream, wallMs, limits } = options
  const read = requestReader(row)
  app.route({
    method: row.method,
    url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { route: path, row, ...(isAudited(row) ? { operation: name } : {}) },
    ...(row.body === undefined ? {} : { bodyLimit: row.bodyBytesMax ?? limits.bodyBytesMax }),
    // Before the body is read: who may not ask is not listened to.
    onRequest: (request, reply) => admit(request, reply, row),
    async handler(request, reply) {
      const { format: asked, ...query } = read.query(request.query)
      const params = read.params(request.params)
      const { key } = request
      const topic = params['topic'] ?? query['topic']
      if (topic !== undefined) key.bounds.needTopic(topic as string)
      if (row.events === true) {
        return stream(request, reply, limits.sinkBytesMax, openStream(query, lastIdOf(request), key))
      }
      const format = row.rows === undefined ? 'json' : formatOf(asked as Format | undefined, request.headers.accept)
      const call = {
        params,
        query,
        ...read.body(request.body),
        nowMs: wallMs(),
        bounds: key.bounds,
        by: key.id,
        note: (facts: Readonly<Record<string, unknown>>) => void (request.facts = { ...request.facts, ...facts }),
        signal: goneSignal(reply),
      }
      void reply.header('cache-control', 'no-store')
      const handle = handlers[name as keyof Handlers] as (call: Call<never>) => Promise<unknown>
      return sendAnswer(request, reply, row, format, await handle(call as Call<never>))
    },
  })
}

function lastIdOf(request: FastifyRequest): string | undefined {
  const id = request.headers['last-event-id']
  return typeof id === 'string' && id !== '' ? id : undefined
}

function stream(
  request: FastifyRequest,
  reply: FastifyReply,
  sinkBytesMax: number,
  open: (sink: Sink) => void,
): FastifyReply {
  addRateLimit(reply)
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

/** Answers with a problem: the one that was thrown, or the one that it amounts to. */
function refuse({ log }: ApiOptions, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  let problem = problemOf(error, request)
  if (problem === undefined) {
    problem = new Problem('internal', `an error of ours; the log has it under the request id ${request.id}`)
    log.error(
      { err: error, request: request.id, method: request.method, path: request.url.split('?')[0] },
      'a request failed',
    )
  }
  const { row } = request.routeOptions.config
  if (row?.influx !== undefined) problem = influxRefusal(row.influx, problem)
  const { status, headers, body } = problemAnswer(problem)
  // What is not there now, or not for this key, may be there for the next who asks.
  void reply.header('cache-control', 'no-store')
  for (let at = 0; at < headers.length; at += 2) void reply.header(headers[at] as string, headers[at + 1])
  // Clients of InfluxDB read the reason of plain JSON only.
  if (row?.influx !== undefined) void reply.header('content-type', 'application/json')
  return reply
    .code(status)
    .serializer((payload: unknown) => payload as string)
    .send(body)
}

/** What is thrown before and in a handler. `undefined`: an error of ours, which the log must have. */
function problemOf(error: unknown, { routeOptions }: FastifyRequest): Problem | undefined {
  if (error instanceof Problem) return error
  if (error instanceof StoreError) {
    return error.retry ? new Problem('unavailable', 'the store does not answer', { retry_after_s: 2 }) : undefined
  }
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const { bodyLimit } = routeOptions
    const detail = `this path takes bodies of at most ${bodyLimit} bytes, inflated ones too`
    return new Problem('body_too_large', detail, { limit_bytes: bodyLimit })
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const { row } = routeOptions.config
    const want = row === undefined ? [mediaOf.json] : bodiesOf(row).map((kind) => mediaOf[kind])
    return new Problem('unsupported_type', `want ${want.join(' or ') || 'no body'}`)
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem('bad_request', message ?? 'the request cannot be read')
  }
  return undefined
}
