/**
 * The engine of `node:http`: always there.
 *
 * A request costs one object of ours beside Node's two: what Node calls back are functions of this file, not closures
 * made for each request, and they find the exchange on Node's own objects.
 */

import type { Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { Problem } from '#wire/problems'
import { hasCertificate, type ServerTls } from '../tls.ts'
import type { Accept, Engine, Exchange, Handling, HttpLimits } from './engine.ts'
import { NodeSink } from './node-sink.ts'
import { BufferPool } from './pool.ts'
import { problemAnswer } from './problem.ts'
import { type ClientError, refuseUnread } from './unread.ts'

// Not by `import`, which looks at every export: one of them has undici loaded, 0.2 s of the processor time of a start.
const { createServer, IncomingMessage } = process.getBuiltinModule('node:http')

/** What gathered bodies leave behind for the next ones, at most. */
const pooledBytesMax = 64 * 1024 * 1024

/** A body is given a buffer of its announced size at once up to here; a larger one must show that it comes. */
const trustedBytesMax = 1024 * 1024

/** Of a body that nobody wants, so much is read, so that the connection can be used again. */
const droppedBytesMax = 1024 * 1024

/** A body of bytes up to this size is joined to the head of its answer. */
const joinedBytesMax = 4 * 1024

/** After that nothing is read: a client that is still sending has this long to see its answer before it is cut. */
const lingerMs = 1_000

const noBytes = new Uint8Array(0)

/** Opens the engine; rejects with the system's error when it cannot listen. */
export async function openNode(
  host: string,
  port: number,
  accept: Accept,
  limits: HttpLimits,
  tls?: ServerTls,
): Promise<Engine> {
  const engine = new NodeEngine(accept, limits, tls)
  await engine.listen(host, port)
  return engine
}

class Message extends IncomingMessage {
  exchange: NodeExchange | undefined
}

interface Connection extends Socket {
  /** The last request that came on it. */
  exchange?: NodeExchange
  /** It may ask: found out once, when the connection is made. */
  trusted?: boolean
}

type Response = ServerResponse<Message>

export class NodeEngine implements Engine {
  readonly limits: HttpLimits
  readonly pool = new BufferPool(pooledBytesMax)
  readonly sinks = new Set<NodeSink>()
  closing = false
  readonly #accept: Accept
  readonly #connections = new Set<Connection>()
  /** Connections that do not speak TLS yet, by their far end. */
  readonly #handshakes = new Map<string, Socket>()
  readonly #server: Server<typeof Message, typeof ServerResponse<Message>>
  #closed: Promise<void> | undefined

  constructor(accept: Accept, limits: HttpLimits, tls: ServerTls | undefined) {
    this.limits = limits
    this.#accept = accept
    const options = {
      IncomingMessage: Message,
      maxHeaderSize: limits.headBytesMax,
      requestTimeout: limits.requestMs,
      headersTimeout: limits.requestMs,
      connectionsCheckingInterval: Math.min(5_000, limits.requestMs / 2),
      keepAliveTimeout: limits.keepAliveMs,
      noDelay: true,
      // A reader whose machine is gone is found out by TCP, also when nothing is sent to it.
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      joinDuplicateHeaders: true,
      optimizeEmptyRequests: true,
      // Node's own 400 would have no body; ours is in `#take`.
      requireHostHeader: false,
    }
    this.#server =
      tls === undefined
        ? createServer(options)
        : process
            .getBuiltinModule('node:https')
            .createServer({ ...options, ...tls.options, handshakeTimeout: limits.handshakeMs })
    const take = (request: Message, response: Response) => this.#take(request, response, false)
    this.#server.on('request', take)
    this.#server.on('checkContinue', (request, response) => this.#take(request, response, true))
    // Other expectations may be ignored (RFC 9110, 10.1.1).
    this.#server.on('checkExpectation', take)
    this.#server.on('clientError', refuseConnection)
    if (tls === undefined) this.#server.on('connection', (connection: Connection) => this.#add(connection, true))
    else this.#secure(this.#server as TlsServer<typeof Message, typeof ServerResponse<Message>>, tls)
  }

  #secure(server: TlsServer<typeof Message, typeof ServerResponse<Message>>, tls: ServerTls): void {
    tls.follow(server)
    server.on('connection', (raw: Socket) => {
      const end = farEnd(raw)
      this.#handshakes.set(end, raw)
      raw.once('close', () => this.#handshakes.get(end) === raw && this.#handshakes.delete(end))
    })
    server.on('secureConnection', (connection: Connection) => {
      this.#handshakes.delete(farEnd(connection))
      this.#add(connection, !tls.wantsCertificate || hasCertificate(connection))
    })
  }

  #add(connection: Connection, trusted: boolean): void {
    connection.trusted = trusted
    this.#connections.add(connection)
    connection.once('close', () => this.#connections.delete(connection))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.closing = true
      const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs)
      // Not http's own close(): it also cuts connections whose answer is written but not yet with the kernel.
      NetServer.prototype.close.call(this.#server, () => {
        clearTimeout(timer)
        resolve()
      })
      for (const raw of this.#handshakes.values()) raw.destroy()
      for (const connection of this.#connections) {
        if (connection.exchange === undefined || connection.exchange.state === 'answered') connection.destroy()
        else connection.exchange.closeAfterAnswer()
      }
      for (const sink of this.sinks) sink.end()
    })
    return this.#closed
  }

  #take(request: Message, response: Response, expectsContinue: boolean): void {
    const exchange = new NodeExchange(this, request, response)
    request.exchange = exchange
    ;(request.socket as Connection).exchange = exchange
    if (request.httpVersion === '1.1' && request.headers.host === undefined) {
      exchange.refuse(new Problem('bad_request', 'a request of HTTP/1.1 must carry a Host header'))
    } else exchange.start(this.#accept(exchange), expectsContinue)
  }
}

class NodeExchange implements Exchange {
  readonly #engine: NodeEngine
  readonly #request: Message
  readonly #response: Response
  /** Who gets the body; `undefined` when it is to be dropped. */
  #handling: Handling | undefined
  /** The announced length of the body; -1 where it is chunked. */
  #length = 0
  #received = 0
  /** Where a body of several views is gathered. */
  #buffer: Buffer | undefined
  #bodyDone = false

  constructor(engine: NodeEngine, request: Message, response: Response) {
    this.#engine = engine
    this.#request = request
    this.#response = response
  }

  get method(): string {
    return this.#request.method as string
  }

  get target(): string {
    return this.#request.url as string
  }

  get trusted(): boolean {
    return (this.#request.socket as Connection).trusted === true
  }

  header(name: string): string | undefined {
    const { headers } = this.#request
    // Nearly all callers write the name in lower case, as Node does.
    const value = headers[name] ?? headers[name.toLowerCase()]
    return Array.isArray(value) ? value.join(', ') : value
  }

  onGone(callback: () => void): void {
    const response = this.#response
    if (response.destroyed && !response.writableFinished) callback()
    else {
      response.once('close', () => {
        if (!response.writableFinished) callback()
      })
    }
  }

  reply(status: number, headers: readonly string[], body: string | Uint8Array | undefined): void {
    const response = this.#response
    if (response.destroyed || response.headersSent) return
    response.writeHead(status, this.#withClose(headers))
    // Joined to its head a string is one `write`; a buffer behind a head is a `writev`, which takes a third longer.
    if (typeof body === 'object' && body.length <= joinedBytesMax) response.end(latin1Of(body), 'latin1')
    else response.end(body)
  }

  stream(status: number, headers: readonly string[]): NodeSink {
    const response = this.#response
    if (!response.destroyed && !response.headersSent) {
      response.writeHead(status, this.#withClose(headers))
      response.flushHeaders()
    }
    const sink = new NodeSink(response, this.#engine.limits.sinkBytesMax)
    this.#engine.sinks.add(sink)
    sink.onClose(() => this.#engine.sinks.delete(sink))
    if (this.#engine.closing) sink.end()
    return sink
  }

  /** A connection that is kept would keep a server that closes. */
  #withClose(headers: readonly string[]): string[] {
    return (this.#engine.closing ? [...headers, 'Connection', 'close'] : headers) as string[]
  }

  /** Nothing is sent yet and the body is still to come; an answer or the body is under way; both are complete. */
  get state(): 'reading' | 'answering' | 'answered' {
    const { headersSent, writableFinished } = this.#response
    if (this.#bodyDone) return writableFinished ? 'answered' : 'answering'
    return headersSent ? 'answering' : 'reading'
  }

  /** Its head may be out already, and have promised that the connection will be kept. */
  closeAfterAnswer(): void {
    const { socket } = this.#request
    if (this.#response.writableFinished) socket.destroySoon()
    else this.#response.once('close', () => socket.destroySoon())
  }

  refuse(problem: Problem): void {
    const { status, headers, body } = problemAnswer(problem)
    headers.push('Content-Length', String(Buffer.byteLength(body)), 'Connection', 'close')
    this.reply(status, headers, body)
    this.start(undefined, false)
  }

  /** Begins to read the body, for `handling` or to drop it. */
  start(handling: Handling | undefined, expectsContinue: boolean): void {
    const request = this.#request
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    this.#length = encoding !== undefined ? -1 : length === undefined ? 0 : Number(length)
    if (this.#length === 0) {
      this.#bodyDone = true
      handling?.handle(noBytes)
      return
    }
    this.#handling = handling
    if (handling !== undefined && (this.#length > handling.bodyBytesMax || handling.bodyBytesMax === 0)) {
      this.#handling = undefined
      handling.tooLarge()
    }
    if (this.#handling !== undefined && expectsContinue) this.#response.writeContinue()
    request.on('data', onData)
    request.on('end', onEnd)
    request.on('close', onRequestClose)
  }

  /** The next view of the body. */
  take(view: Buffer): void {
    this.#received += view.length
    const handling = this.#handling
    if (handling === undefined) this.#drop()
    else if (view.length === this.#length) {
      // All of it in one view: handed over as it is.
      this.#handling = undefined
      this.#bodyDone = true
      handling.handle(view)
    } else if (this.#received > handling.bodyBytesMax) {
      this.#handling = undefined
      this.#release()
      handling.tooLarge()
      this.#drop()
    } else {
      this.#gather(view)
      if (this.#received === this.#length) this.finish()
    }
  }

  /** The body is complete. */
  finish(): void {
    this.#bodyDone = true
    const handling = this.#handling
    if (handling === undefined) return
    this.#handling = undefined
    try {
      handling.handle(this.#buffer?.subarray(0, this.#received) ?? noBytes)
    } finally {
      this.#release()
    }
  }

  #gather(view: Buffer): void {
    const before = this.#received - view.length
    if (this.#buffer === undefined || this.#buffer.length < this.#received) {
      const { pool } = this.#engine
      const trusted = this.#length <= trustedBytesMax ? this.#length : 0
      const larger = pool.take(Math.max(trusted, 2 * this.#received))
      if (this.#buffer !== undefined) {
        this.#buffer.copy(larger, 0, 0, before)
        pool.give(this.#buffer)
      }
      this.#buffer = larger
    }
    view.copy(this.#buffer, before)
  }

  /** Reads on past an unwanted body, to a bound. */
  #drop(): void {
    if (this.#received <= droppedBytesMax || this.#request.isPaused()) return
    this.#request.pause()
    const { socket } = this.#request
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(timer))
  }

  /** Gives the buffer back: the body is handled, refused, or will never be complete. */
  release(): void {
    this.#handling = undefined
    this.#release()
  }

  #release(): void {
    if (this.#buffer === undefined) return
    this.#engine.pool.give(this.#buffer)
    this.#buffer = undefined
  }
}

function farEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

/** The bytes as characters, one each. */
function latin1Of({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}

function onData(this: Message, view: Buffer): void {
  this.exchange?.take(view)
}

function onEnd(this: Message): void {
  this.exchange?.finish()
}

function onRequestClose(this: Message): void {
  this.exchange?.release()
}

/** A connection whose request cannot be read, or does not come: it gets a problem where no answer is under way. */
function refuseConnection(error: ClientError, connection: Socket): void {
  refuseUnread(error, connection, (connection as Connection).exchange?.state === 'answering')
}
