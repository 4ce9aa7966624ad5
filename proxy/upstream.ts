/** Requests to one broker, over a pool of connections. undici stands behind this file alone. */

import type { TokenSource } from '#wire/client'
import { type buildConnector, Pool } from 'undici'

/** Connections to one broker; a consume stream takes one for itself. */
const connectionsMax = 512

/** How long a connection may take to be made. A broker on the same network takes a millisecond. */
export const connectMs = 2_000

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

export class Upstream {
  readonly url: string
  readonly #pool: Pool
  readonly #token: TokenSource | undefined
  readonly #answerMs: number

  /**
   * @param answerMs how long the broker may take to begin its answer, and between two pieces of it
   * @param connect makes connections in another way, such as by TLS with a certificate
   */
  constructor(url: string, token: TokenSource | undefined, answerMs: number, connect?: buildConnector.connector) {
    this.url = url
    this.#answerMs = answerMs
    this.#pool = new Pool(url, {
      connections: connectionsMax,
      pipelining: 1,
      connect: connect ?? { timeout: connectMs },
    })
    this.#token = token
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
    const { headers = {}, body = null, answerMs = this.#answerMs } = options
    const answer = await this.#pool.request({
      method,
      path,
      headers: this.#authorized(headers),
      body,
      headersTimeout: answerMs,
      bodyTimeout: answerMs,
    })
    return {
      status: answer.statusCode,
      type: textOf(answer.headers['content-type']) ?? 'application/octet-stream',
      retryAfter: textOf(answer.headers['retry-after']),
      body: Buffer.from(await answer.body.arrayBuffer()),
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
      headersTimeout: this.#answerMs,
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
    return this.#token === undefined ? { ...headers } : { ...headers, authorization: `Bearer ${this.#token.current}` }
  }

  /** Cuts what is still open. */
  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
