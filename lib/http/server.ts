/** Serves a table of routes: what every route has in common, between the handlers and the engine. */

import { Problem } from '#wire/problems'
import type { Guard } from '../auth.ts'
import { type CountRequest, requestFigures } from '../figures.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { ServerTls } from '../tls.ts'
import { parseTraceparent, requestId, type Trace } from '../trace.ts'
import { Addresses } from './addresses.ts'
import { type Exchange, type Handling, type HttpLimits, httpLimits, type OpenEngine } from './engine.ts'
import type { Answer, Request, Route } from './http.ts'
import { openNode } from './node.ts'
import { problemAnswer } from './problem.ts'
import { type Match, Router } from './router.ts'

export interface ServeOptions {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  readonly routes: readonly Route[]
  /** Asked for each route that is not open, before the body is read. */
  readonly guard: Guard
  readonly log: Log
  readonly metrics: Metrics
  /** Default: {@link httpLimits}. */
  readonly limits?: Partial<HttpLimits>
  /** Without it the server speaks plain HTTP. */
  readonly tls?: ServerTls | undefined
}

export interface Server {
  /** Where a client on this machine reaches it, without a slash at the end. */
  readonly url: string
  readonly port: number
  /** Takes no more connections, ends the streams, waits for open answers, and cuts what is left after `graceMs`. */
  close(graceMs: number): Promise<void>
}

const bodyBytesMaxDefault = 1024 * 1024

/**
 * Opens a server. Rejects with an error for the operator when it cannot listen.
 *
 * @param openEngine default: the one of `node:http`
 */
export async function serve(options: ServeOptions, openEngine: OpenEngine = openNode): Promise<Server> {
  const { host, port, limits, tls } = options
  const bounds = { ...httpLimits, ...limits }
  const application = new Application(options, bounds)
  const accept = (exchange: Exchange) => application.accept(exchange)
  const engine = await openEngine(host, port, accept, bounds, tls).catch((error: unknown) => {
    throw listenError(error, host, port)
  })
  return { url: urlOf(host, engine.port, tls), port: engine.port, close: (graceMs) => engine.close(graceMs) }
}

class Application {
  readonly #router: Router
  readonly #guard: Guard
  readonly #log: Log
  readonly #countRequest: CountRequest
  readonly #addresses: Addresses

  constructor({ routes, guard, log, metrics }: ServeOptions, { addressRequestsMax }: HttpLimits) {
    this.#addresses = new Addresses(addressRequestsMax)
    this.#router = new Router(routes)
    this.#guard = guard
    this.#log = log
    this.#countRequest = requestFigures(metrics)
  }

  accept(exchange: Exchange): Handling | undefined {
    const call = new Call(this, exchange)
    try {
      const match = this.#router.find(call.path)
      if (match?.routes.byMethod.get('GET')?.probe !== true) {
        // Before anything is told, also of which paths there are.
        if (!exchange.trusted) throw certificateNeeded()
        if (this.#addresses.isBounded) this.#admit(call, exchange)
      }
      if (match === undefined) throw new Problem('not_found', `there is nothing at ${call.path.slice(0, 200)}`)
      call.match(match)
      if (call.route?.open !== true) this.#guard(call)
      return call
    } catch (error) {
      this.fail(call, error)
      return undefined
    }
  }

  /** @throws Problem `rate_limited` */
  #admit(call: Call, exchange: Exchange): void {
    const { address } = exchange
    if (!this.#addresses.take(address)) {
      throw new Problem('rate_limited', 'too many requests of this address are open (MAX_REQUESTS_PER_ADDRESS)', {
        retry_after_s: 1,
      })
    }
    call.onEnd = () => this.#addresses.give(address)
    exchange.onGone(() => call.ended())
  }

  handle(call: Call, route: Route, body: Uint8Array): void {
    try {
      const answer = route.handle(call, body)
      if (answer instanceof Promise) void this.#settle(call, answer)
      else this.#send(call, answer)
    } catch (error) {
      this.fail(call, error)
    }
  }

  async #settle(call: Call, promised: Promise<Answer>): Promise<void> {
    try {
      this.#send(call, await promised)
    } catch (error) {
      this.fail(call, error)
    }
  }

  /** Answers with a problem: the one that was thrown, or `internal`. */
  fail(call: Call, error: unknown): void {
    let problem: Problem
    if (error instanceof Problem) problem = error
    else {
      problem = new Problem('internal', `an error of ours; the log has it under the request id ${call.id}`)
      this.#log.error({ err: error, ...call.ids, method: call.method, path: call.path }, 'a request failed')
    }
    const { status, headers, body } = problemAnswer(problem)
    headers.push('Content-Length', String(Buffer.byteLength(body)), 'X-Request-Id', call.id)
    call.exchange.reply(status, headers, call.method === 'HEAD' ? undefined : body)
    call.ended()
    this.#count(call, status)
  }

  #send(call: Call, answer: Answer): void {
    const { status = 200, headers: extra } = answer
    if ('stream' in answer) {
      this.#stream(call, status, answer)
      return
    }
    const isJson = 'json' in answer
    const body = isJson ? JSON.stringify(answer.json) : answer.bytes
    const hasBody = status !== 204 && status !== 304
    const headers = ['X-Request-Id', call.id]
    if (hasBody) {
      const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength
      headers.push('Content-Type', isJson ? 'application/json' : answer.type, 'Content-Length', String(length))
    }
    if (extra !== undefined) for (const [name, value] of Object.entries(extra)) headers.push(name, value)
    call.exchange.reply(status, headers, hasBody && call.method !== 'HEAD' ? body : undefined)
    call.ended()
    this.#count(call, status)
  }

  #stream(call: Call, status: number, answer: Extract<Answer, { stream: unknown }>): void {
    const headers = ['Content-Type', answer.type, 'X-Request-Id', call.id]
    // No cache may keep it, and no proxy (nginx and those that follow it) may hold it back to fill a buffer.
    headers.push('Cache-Control', 'no-store', 'X-Accel-Buffering', 'no')
    for (const [name, value] of Object.entries(answer.headers ?? {})) headers.push(name, value)
    if (call.method === 'HEAD') {
      call.exchange.reply(status, headers, undefined)
      call.ended()
    } else {
      const sink = call.exchange.stream(status, headers)
      sink.onClose(() => call.ended())
      try {
        answer.stream(sink)
      } catch (error) {
        // The head is out: all that is left to tell the client is that the answer is not complete.
        this.#log.error({ err: error, ...call.ids, path: call.path }, 'a stream failed')
        sink.end()
      }
    }
    this.#count(call, status)
  }

  #count(call: Call, status: number): void {
    // HEAD is counted under the route that answers it.
    const { method = 'none', path = 'none' } = call.route ?? {}
    this.#countRequest(method, path, status, (performance.now() - call.startedMs) / 1000)
    if (this.#log.isLevelEnabled('debug')) {
      this.#log.debug({ ...call.ids, method: call.method, path: call.path, status }, 'answered')
    }
  }
}

const noParams: Readonly<Record<string, string>> = {}

/** One request on its way: what its handler sees, and what the engine calls when its body is there. */
class Call implements Request, Handling {
  readonly exchange: Exchange
  readonly startedMs = performance.now()
  readonly id: string
  readonly path: string
  params: Readonly<Record<string, string>> = noParams
  bodyBytesMax = 0
  route: Route | undefined
  /** Called once: when it is answered, or the client gone. */
  onEnd: (() => void) | undefined
  readonly #application: Application
  readonly #search: string
  #query: URLSearchParams | undefined
  #closed: AbortSignal | undefined

  constructor(application: Application, exchange: Exchange) {
    this.#application = application
    this.exchange = exchange
    this.id = requestId(exchange.header('x-request-id'))
    const target = originForm(exchange.target)
    const mark = target.indexOf('?')
    this.path = mark === -1 ? target : target.slice(0, mark)
    this.#search = mark === -1 ? '' : target.slice(mark + 1)
  }

  get method(): string {
    return this.exchange.method
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search))
  }

  get trace(): Trace | undefined {
    return parseTraceparent(this.exchange.header('traceparent'))
  }

  /** What ties its log lines to those of others. */
  get ids(): { readonly request: string; readonly trace?: string } {
    const { id, trace } = this
    return trace === undefined ? { request: id } : { request: id, trace: trace.traceId }
  }

  get closed(): AbortSignal {
    if (this.#closed === undefined) {
      const controller = new AbortController()
      this.#closed = controller.signal
      this.exchange.onGone(() => controller.abort())
    }
    return this.#closed
  }

  header(name: string): string | undefined {
    return this.exchange.header(name)
  }

  /** @throws Problem `method_not_allowed` */
  match({ routes, params }: Match): void {
    const { method } = this
    this.route = routes.byMethod.get(method === 'HEAD' ? 'GET' : method)
    if (this.route === undefined) {
      const detail = `${routes.pattern} takes ${routes.allow.join(', ')}, not ${method}`
      throw new Problem('method_not_allowed', detail, { allow: routes.allow })
    }
    this.params = params
    const takesBody = this.route.method !== 'GET' && this.route.method !== 'DELETE'
    this.bodyBytesMax = this.route.bodyBytesMax ?? (takesBody ? bodyBytesMaxDefault : 0)
  }

  ended(): void {
    const callback = this.onEnd
    this.onEnd = undefined
    callback?.()
  }

  handle(body: Uint8Array): void {
    this.#application.handle(this, this.route as Route, body)
  }

  tooLarge(): void {
    const max = this.bodyBytesMax
    const detail = max === 0 ? 'this path takes no body' : `this path takes bodies of at most ${max} bytes`
    this.#application.fail(this, new Problem('body_too_large', detail, { limit_bytes: max }))
  }
}

/** A proxy may be sent `http://host/path` (RFC 9112, 3.2.2), and so may we: the host does not matter to us. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  return /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] || target
}

/** What a client is told that shows no certificate where one is asked for. */
export function certificateNeeded(): Problem {
  return new Problem('certificate_needed', 'the connection shows no certificate that is known here (TLS_CLIENT_CA)')
}

/** Addresses that stand for all of a machine's are not ones that a client could connect to everywhere. */
export function urlOf(host: string, port: number, tls?: ServerTls): string {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http${tls === undefined ? '' : 's'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}

export function listenError(error: unknown, host: string, port: number): Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const because = { cause: error }
  if (code === 'EADDRINUSE') {
    return new Error(`port ${port} is in use: set PORT to another or stop the process that holds it`, because)
  }
  if (code === 'EACCES') {
    return new Error(`port ${port} is not allowed to this user: set PORT to one above 1023`, because)
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new Error(`HOST=${host}: this machine has no such address`, because)
  }
  return error instanceof Error ? error : new Error(String(error))
}
