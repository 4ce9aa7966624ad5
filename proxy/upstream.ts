/**
 * Requests to one broker. What is posted to it, records and acknowledgements, goes by lines of our own (`lines.ts`); what asks
 * something of it, and its streams, by a pool of undici.
 */

import type { TokenSource } from '#wire/client'
import { type buildConnector, type Dispatcher, Pool } from 'undici'

import type { Answered } from './answer.ts'
import { Lines } from './lines.ts'
import type { Parcel } from './parcel.ts'

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
  readonly #host: string
  readonly #pool: Pool
  readonly #lines: Lines
  readonly #options: UpstreamOptions
  #posting = 0
  /** Ends a request of the pool under way with an error, one each. */
  readonly #open = new Set<(error: Error) => void>()

  constructor(url: string, options: UpstreamOptions) {
    this.url = url
    this.#host = new URL(url).host
    this.#options = options
    this.#lines = new Lines(url, { ...options, connectionsMax, connectMs })
    this.#pool = new Pool(url, {
      connections: connectionsMax,
      pipelining: 1,
      connect: options.connect ?? { timeout: connectMs },
    })
  }

  /** Requests that are not answered yet. */
  get inFlight(): number {
    return this.#open.size + this.#posting
  }

  /** Waits no longer for answers: the broker is taken for dead, and whoever waits may ask another one. */
  giveUp(reason: string): void {
    const error = new GivenUp(reason)
    this.#lines.fail(error)
    for (const reject of this.#open) reject(error)
  }

  /** What the broker says to a probe. @throws Error when nothing comes in time */
  async probe(withinMs: number): Promise<Answered> {
    // By a timer of its own: those of the pool are coarse, half a second and more.
    const signal = AbortSignal.timeout(withinMs)
    const answer = await this.#pool.request({ method: 'GET', path: '/ready', signal })
    return answeredOf(answer, Buffer.from(await answer.body.arrayBuffer()))
  }

  /**
   * Posts a body and reads the whole answer, whatever its status.
   *
   * @param headers lines of a head, each with its line end, in characters of one byte
   * @throws Error when there is no connection, or no answer in time
   */
  async post(path: string, headers: string, parcel: Parcel): Promise<Answered> {
    const told = this.#options.onRequest?.(this.url)
    const token = this.#options.token?.current
    const authorization = token === undefined ? '' : `authorization: Bearer ${token}\r\n`
    const head =
      `POST ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n${authorization}${headers}` +
      `content-length: ${parcel.length}\r\n\r\n`
    this.#posting++
    let status: number | undefined
    try {
      const answer = await this.#lines.ask(head, parcel)
      status = answer.status
      return answer
    } finally {
      this.#posting--
      told?.(status)
    }
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
    this.#lines.close()
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
