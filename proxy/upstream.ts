/** Requests to one broker, over a pool of connections. undici stands behind this file alone. */

import type { TokenSource } from '#wire/client'
import { type buildConnector, type Dispatcher, Pool } from 'undici'

/** Connections to one broker; a consume stream takes one for itself. */
const connectionsMax = 512

/** How long a connection may take to be made. A broker on the same network takes a millisecond. */
export const connectMs = 2_000

const nobodyThere: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
])

export interface Answered {
  readonly status: number
  readonly type: string
  readonly retryAfter: string | undefined
  readonly body: Buffer
}

export interface Opened {
  readonly status: number
  readonly body: AsyncIterable<Buffer>
  /** Reads the rest, for an answer that is not a stream. */
  text(): Promise<string>
  /** Cuts the connection; who reads the body is told by an error. */
  close(): void
}

/** How brokers are reached. */
export interface UpstreamOptions {
  readonly token: TokenSource | undefined
  /** How long a broker may take to begin its answer, and between two pieces of it, in ms. */
  readonly answerMs: number
  /** Makes connections in another way, such as by TLS with a certificate. */
  readonly connect?: buildConnector.connector | undefined
  /** Told that a request begins; what it returns is told the status, or that there was no answer. */
  readonly onRequest?: ((url: string) => (status: number | undefined) => void) | undefined
}

/** The pools of all brokers, by address. */
export class Upstreams {
  readonly #options: UpstreamOptions
  readonly #byUrl = new Map<string, Upstream>()

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  at(url: string): Upstream {
    let upstream = this.#byUrl.get(url)
    if (upstream === undefined) this.#byUrl.set(url, (upstream = new Upstream(url, this.#options)))
    return upstream
  }

  /** Cuts what is open to addresses that are nobody's any more. */
  keep(urls: ReadonlySet<string>): void {
    for (const [url, upstream] of this.#byUrl) {
      if (urls.has(url)) continue
      this.#byUrl.delete(url)
      void upstream.close()
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byUrl.values()].map((upstream) => upstream.close()))
  }
}

export class Upstream {
  readonly url: string
  readonly #pool: Pool
  readonly #options: UpstreamOptions
  /** Ends a request under way with an error, one each. */
  readonly #open = new Set<(error: Error) => void>()

  constructor(url: string, options: UpstreamOptions) {
    this.url = url
    this.#options = options
    this.#pool = new Pool(url, {
      connections: connectionsMax,
      pipelining: 1,
      connect: options.connect ?? { timeout: connectMs },
    })
  }

  /** Requests that are not answered yet. */
  get inFlight(): number {
    return this.#open.size
  }

  /** Waits no longer for answers: the broker is taken for dead, and whoever waits may ask another one. */
  giveUp(reason: string): void {
    for (const reject of this.#open) reject(new GivenUp(reason))
  }

  /** What the broker says to a probe. @throws Error when nothing comes in time */
  async probe(withinMs: number): Promise<Answered> {
    // By a timer of its own: those of the pool are coarse, half a second and more.
    const signal = AbortSignal.timeout(withinMs)
    const answer = await this.#pool.request({ method: 'GET', path: '/ready', signal })
    return answeredOf(answer, Buffer.from(await answer.body.arrayBuffer()))
  }

  /**
   * Sends one request and reads its whole answer, whatever its status.
   *
   * @throws Error when there is no connection, or no answer in time
   */
  async request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    options: {
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: Uint8Array | string
      readonly answerMs?: number
    } = {},
  ): Promise<Answered> {
    const { headers = {}, body = null, answerMs = this.#options.answerMs } = options
    const told = this.#options.onRequest?.(this.url)
    const { promise, resolve, reject } = Promise.withResolvers<Answered>()
    this.#open.add(reject)
    const exchange = async (): Promise<Answered> => {
      const answer = await this.#pool.request({
        method,
        path,
        headers: this.#authorized(headers),
        body,
        headersTimeout: answerMs,
        bodyTimeout: answerMs,
      })
      return answeredOf(answer, Buffer.from(await answer.body.arrayBuffer()))
    }
    exchange().then(resolve, reject)
    try {
      const answered = await promise
      told?.(answered.status)
      return answered
    } catch (error) {
      told?.(undefined)
      throw error
    } finally {
      this.#open.delete(reject)
    }
  }

  /**
   * Opens an endless answer. What is not read keeps the broker from sending more.
   *
   * @throws Error when there is no connection, or no answer in time
   */
  async open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Opened> {
    const answer = await this.#pool.request({
      method: 'GET',
      path,
      headers: this.#authorized(headers),
      signal,
      headersTimeout: this.#options.answerMs,
      bodyTimeout: 0,
    })
    const { statusCode: status, body } = answer
    // Who reads the body is told by the iteration; one that nobody reads any more must not end the process.
    body.on('error', () => {})
    return {
      status,
      body: body as AsyncIterable<Buffer>,
      text: () => body.text(),
      close: () => void body.destroy(new Error('cut')),
    }
  }

  #authorized(headers: Readonly<Record<string, string>>): Record<string, string> {
    const { token } = this.#options
    return token === undefined ? { ...headers } : { ...headers, authorization: `Bearer ${token.current}` }
  }

  /** Cuts what is still open. */
  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

function answeredOf(answer: Dispatcher.ResponseData, body: Buffer): Answered {
  return {
    status: answer.statusCode,
    type: textOf(answer.headers['content-type']) ?? 'application/octet-stream',
    retryAfter: textOf(answer.headers['retry-after']),
    body,
  }
}

/** The broker of a request was taken for dead before it answered. */
export class GivenUp extends Error {}

/** Whether an error says that nobody listens there: not that an answer was lost, or late. */
export function isNobodyThere(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' && nobodyThere.has(code)
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
