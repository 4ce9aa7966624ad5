/**
 * For tests of what stands behind `lib/http`: the engines, a server on any port, and a client that writes bytes as they
 * are, because a well-behaved client cannot send half of a request.
 */

import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import type { OpenEngine } from '#lib/http/engine'
import { openUws } from '#lib/http/uws'
import type { Route } from '#lib/http/http'
import { openNode } from '#lib/http/node'
import { serve, type ServeOptions, type Server } from '#lib/http/server'
import { logTo } from '#lib/log'
import { createMetrics, type Metrics } from '#lib/metrics'

import type { Scope } from './start.ts'
import { uwsLoads } from './tools.ts'

const LF = 10

/** Names the one engine that is to be tested. */
const onlyEngine = 'PENSTOCK_TEST_ENGINE'

export interface TestedEngine {
  readonly name: string
  readonly open: OpenEngine
  /**
   * What cannot be read is refused by uWebSockets.js itself: with a status, but no problem, and a head that does not come with
   * nothing; HTTP/1.0, pipelining and a host in the target are not for it (lib/http/README.md).
   */
  readonly isStrict: boolean
}

/** Every engine that loads here passes the same tests; lib/http/uws.proc.test.ts runs them for `uws` where it does not load. */
export const engines: readonly TestedEngine[] = [
  { name: 'node', open: openNode, isStrict: false },
  { name: 'uws', open: openUws, isStrict: true },
].filter(({ name }) => (process.env[onlyEngine] ?? name) === name && (name !== 'uws' || uwsLoads()))

export interface TestServer extends Server {
  readonly metrics: Metrics
  /** The log, by line. */
  readonly lines: Record<string, unknown>[]
}

/** Opens a server that ends with the test. Views of bodies are overwritten once their handler has returned. */
export async function openServer(
  t: Scope,
  open: OpenEngine,
  routes: readonly Route[],
  options: Partial<Pick<ServeOptions, 'guard' | 'host' | 'limits' | 'port' | 'tls'>> = {},
): Promise<TestServer> {
  const lines: Record<string, unknown>[] = []
  const log = logTo('test', 'info', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
  const metrics = createMetrics('test')
  const server = await serve(
    { host: '127.0.0.1', port: 0, routes: routes.map(overwriting), guard: () => {}, log, metrics, ...options },
    open,
  )
  t.teardown(() => server.close(0))
  return { ...server, metrics, lines }
}

/** A view is valid until its handler returns or awaits: what is in it afterwards must not matter to anybody. */
function overwriting(route: Route): Route {
  return {
    ...route,
    handle(request, body) {
      try {
        return route.handle(request, body)
      } finally {
        body.fill(0xdb)
      }
    },
  }
}

export interface RawAnswer {
  readonly status: number
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** One connection. What it is told to write is not looked at. */
export class RawClient {
  readonly socket: Socket
  /** Resolves when the server has ended or cut the connection. */
  readonly closed: Promise<void>
  readonly #input: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  #isBehindChunk = false

  constructor(t: Scope, port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', () => {})
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    const input = this.socket.pipe(new PassThrough())
    this.#input = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    this.socket.on('close', () => {
      input.end()
      resolve()
    })
    t.teardown(() => this.socket.destroy())
  }

  /** Resolves when the bytes are with the kernel; also when the server does not want them any more. */
  write(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(data, () => resolve()))
  }

  /** Writes a request with a Host, and a Content-Length where there is a body. */
  send(method: string, target: string, headers: Readonly<Record<string, string>> = {}, body = ''): Promise<void> {
    const length = body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
    const lines = Object.entries({ Host: 'test', ...length, ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    return this.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
  }

  /** The head of the next answer: status and headers. Rejects when the connection ends before. */
  async head(): Promise<Omit<RawAnswer, 'body'>> {
    const text = (await this.#until('\r\n\r\n')).toString('latin1')
    const [first = '', ...lines] = text.trimEnd().split('\r\n')
    const headers = new Map<string, string>()
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
    }
    return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]), headers }
  }

  /** The next whole answer. */
  async answer(options: { readonly hasBody?: boolean } = {}): Promise<RawAnswer> {
    const { status, headers } = await this.head()
    let body = ''
    if (options.hasBody !== false) {
      if (headers.get('transfer-encoding') === 'chunked') {
        for (let chunk = await this.chunk(); chunk.length > 0; chunk = await this.chunk()) body += chunk.toString()
      } else body = (await this.bytes(Number(headers.get('content-length') ?? 0))).toString()
    }
    return { status, headers, body }
  }

  /**
   * The next chunk of a chunked answer; empty at its end. An engine may send an empty line to get a head on its way: that is no
   * event, and it is passed over.
   */
  async chunk(): Promise<Buffer> {
    let line = await this.#until('\r\n')
    // The line end behind a chunk may come with the next one.
    if (this.#isBehindChunk && line.length === 2) line = await this.#until('\r\n')
    const size = Number.parseInt(line.toString(), 16)
    const bytes = await this.bytes(size)
    this.#isBehindChunk = size > 0
    if (size === 0) await this.bytes(2)
    return size === 1 && bytes[0] === LF ? this.chunk() : bytes
  }

  /** What comes up to these bytes, with them, framing and all. */
  bytesUntil(mark: string): Promise<Buffer> {
    return this.#until(mark)
  }

  /** What comes, as it comes, until the connection ends. */
  async *rest(): AsyncGenerator<Buffer, void, void> {
    const first = this.#rest
    this.#rest = Buffer.alloc(0)
    if (first.length > 0) yield first
    for (let next = await this.#input.next(); next.done !== true; next = await this.#input.next()) yield next.value
  }

  async #until(mark: string): Promise<Buffer> {
    let at = this.#rest.indexOf(mark)
    while (at === -1) {
      await this.#more()
      at = this.#rest.indexOf(mark)
    }
    return this.bytes(at + mark.length)
  }

  /** The next bytes as they come. */
  async bytes(count: number): Promise<Buffer> {
    const parts = [this.#rest]
    for (let have = this.#rest.length; have < count;) {
      this.#rest = Buffer.alloc(0)
      await this.#more()
      parts.push(this.#rest)
      have += this.#rest.length
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts)
    this.#rest = all.subarray(count)
    return all.subarray(0, count)
  }

  async #more(): Promise<void> {
    const next = await this.#input.next()
    if (next.done === true) throw new Error('the connection ended before the answer was complete')
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value])
  }
}

/** Takes the framing of chunks off a stream, without gathering it. */
export class ChunkReader {
  #left = 0
  #size = ''

  feed(data: Buffer): Buffer[] {
    const parts: Buffer[] = []
    for (let at = 0; at < data.length;) {
      if (this.#left > 0) {
        const part = data.subarray(at, at + this.#left)
        at += part.length
        this.#left -= part.length
        parts.push(part)
        continue
      }
      const character = String.fromCharCode(data[at++] as number)
      // The line end behind a chunk stands before the next one's size.
      if (character !== '\n') this.#size += character.trim()
      else if (this.#size !== '') {
        this.#left = Number.parseInt(this.#size, 16)
        this.#size = ''
      }
    }
    return parts
  }
}
