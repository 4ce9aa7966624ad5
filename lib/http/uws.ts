/**
 * The engine of uWebSockets.js: where it is installed and loads, it takes twice the requests of `node:http`. What it does
 * otherwise than `node.ts` stands in README.md.
 */

import { type AddressInfo, createServer } from 'node:net'
import { Problem } from '#wire/problems'
import type { ServerTls } from '../tls.ts'
import type { Accept, Engine, HttpLimits } from './engine.ts'
import { BufferPool, pooledBytesMax } from './pool.ts'
import { SlowUploads } from './slow.ts'
import { tooManyConnections } from './unread.ts'
import { loadUws, type Uws, type UwsApp, type UwsListening, type UwsRequest, type UwsResponse } from './uws-api.ts'
import { ChunkEnds } from './uws-ends.ts'
import { UwsExchange } from './uws-exchange.ts'
import type { UwsSink } from './uws-sink.ts'

/** Another process may take a free port that was found before it is listened on. */
const triesMax = 5

/**
 * Opens the engine; rejects with the system's error when it cannot listen.
 *
 * @throws UwsAbsent when it does not load; TypeError with `tls`: it cannot exchange a certificate while it runs
 */
export async function openUws(
  host: string,
  port: number,
  accept: Accept,
  limits: HttpLimits,
  tls?: ServerTls,
): Promise<Engine> {
  if (tls !== undefined) throw new TypeError('this engine speaks no TLS: take the one of node:http')
  const engine = new UwsEngine(loadUws(), accept, limits)
  await engine.listen(host, port)
  return engine
}

export class UwsEngine implements Engine {
  readonly limits: HttpLimits
  readonly pool = new BufferPool(pooledBytesMax)
  readonly sinks = new Set<UwsSink>()
  readonly chunkEnds = new ChunkEnds()
  /** Those that are not answered, or whose answer is not all with the kernel. */
  readonly exchanges = new Set<UwsExchange>()
  readonly uploads: SlowUploads
  closing = false
  readonly #uws: Uws
  readonly #app: UwsApp
  readonly #accept: Accept
  #connections = 0
  #listening: UwsListening | undefined
  #onIdle: (() => void) | undefined
  #closed: Promise<void> | undefined

  constructor(uws: Uws, accept: Accept, limits: HttpLimits) {
    this.#uws = uws
    this.#accept = accept
    this.limits = limits
    this.uploads = new SlowUploads(limits)
    this.#app = uws.App()
    this.#app.filter((_, change) => (this.#connections += change))
    this.#app.any('/*', (response, request) => this.#take(response, request))
  }

  get port(): number {
    return this.#uws.us_socket_local_port(this.#listening as UwsListening)
  }

  async listen(host: string, port: number): Promise<void> {
    // On port 0 uWebSockets.js does not set SO_REUSEADDR, and the next process could not have the port for a minute.
    for (let tries = port === 0 ? triesMax : 1; tries > 0 && this.#listening === undefined; tries--) {
      const wanted = port === 0 ? await probe(host, 0) : port
      this.#app.listen(host, wanted, this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (listening) => {
        if (listening !== false) this.#listening = listening
      })
    }
    if (this.#listening !== undefined) return
    // It does not say why: whoever tries the same another way is told.
    await probe(host, port)
    throw new Error(`uWebSockets.js cannot listen on ${host}:${port}`)
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    return this.#closed
  }

  async #close(graceMs: number): Promise<void> {
    this.closing = true
    this.#uws.us_listen_socket_close(this.#listening as UwsListening)
    for (const sink of this.sinks) sink.end()
    if (this.exchanges.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, graceMs)
      this.#onIdle = resolve
      await promise
      clearTimeout(timer)
    }
    // Idle ones, and what is left after the grace.
    this.#app.close()
  }

  exchangeEnded(): void {
    if (this.exchanges.size === 0) this.#onIdle?.()
  }

  #take(response: UwsResponse, request: UwsRequest): void {
    const exchange = new UwsExchange(this, response, request)
    this.exchanges.add(exchange)
    if (exchange.headBytes > this.limits.headBytesMax) {
      exchange.refuse(new Problem('headers_too_large', 'the request line and headers are too long'))
    } else if (!exchange.isClear) {
      exchange.refuse(new Problem('bad_request', 'want one Content-Length, or Transfer-Encoding: chunked'))
    } else if (this.#connections > this.limits.connectionsMax) {
      exchange.isLast = true
      exchange.refuse(tooManyConnections(this.limits.connectionsMax))
    } else exchange.start(this.#accept(exchange))
  }
}

/** Listens for a moment; resolves with the port, and rejects with the system's error. */
async function probe(host: string, port: number): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ host, port }, () => resolve()))
  const { port: found } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return found
}
