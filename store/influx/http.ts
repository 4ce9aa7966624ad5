/** Requests to InfluxDB, each with an end in time, and what its refusals mean for a store. */

import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { StoreError, type StoreErrorCode } from '../errors.ts'

/** A server that says nothing for so long is taken as away. */
const timeoutMs = 60_000

/** A server that asks for more is asked again after so long: it may have been restarted since. */
const retryAfterMsMax = 300_000

export interface Request {
  readonly method: 'GET' | 'POST'
  /** From the root of the server, with its query. */
  readonly path: string
  /** Bytes are not to be changed before there is an answer. */
  readonly body?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  /** Statuses beside 2xx that the caller reads itself. */
  readonly accepts?: readonly number[]
}

/** An answer, read to its end. */
export interface Reply {
  readonly ok: boolean
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/**
 * By `node:http` and not by `fetch`, which takes five times as long for a body of 450 KB (1.2 and 0.25 ms): it makes the body
 * a stream, and copies it on the way (docs/decisions/187).
 */
export class Http {
  /** For messages: the address without what must not be in a log. */
  readonly where: string
  readonly #base: string
  readonly #begin: typeof requestHttp
  /** Whether answers are worth compressing. On one machine that costs both sides more than the bytes do. */
  readonly #isFar: boolean
  readonly #underWay = new Set<ClientRequest>()
  #isClosed = false

  constructor(url: string) {
    const { origin, pathname, protocol, hostname } = new URL(url)
    this.#base = origin + pathname.replace(/\/+$/, '')
    this.where = `InfluxDB at ${this.#base}`
    this.#begin = protocol === 'https:' ? requestHttps : requestHttp
    this.#isFar = !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname)
  }

  /** @throws StoreError; `refused` where the server says that the request is wrong */
  async send(request: Request): Promise<Reply> {
    const message = await this.#answered(request)
    return { ok: isOk(message), headers: message.headers, text: await this.#guarded(() => textOf(message)) }
  }

  /**
   * The text of an answer in pieces, as they come.
   *
   * @throws StoreError, as {@link send}
   */
  async *pieces(request: Request): AsyncGenerator<string> {
    const { headers } = request
    const asked = this.#isFar ? { ...request, headers: { ...headers, 'accept-encoding': 'gzip' } } : request
    const pieces = unpacked(await this.#answered(asked))
      .setEncoding('utf8')
      .iterator()
    for (;;) {
      const { done, value } = await this.#guarded(() => pieces.next() as Promise<IteratorResult<string>>)
      if (done === true) return
      yield value
    }
  }

  /** Ends what is on its way, and refuses what comes. */
  close(): void {
    this.#isClosed = true
    for (const request of this.#underWay) request.destroy()
  }

  /** The head of the answer; its body is still to be read. */
  async #answered(request: Request): Promise<IncomingMessage> {
    const message = await this.#guarded(() => this.#headOf(request))
    const { statusCode: status = 0, statusMessage = '', headers } = message
    if (isOk(message) || request.accepts?.includes(status) === true) return message
    const text = await this.#guarded(() => textOf(unpacked(message)))
    const reason = reasonIn(text) || headers['x-influxdb-error'] || statusMessage
    const what = `${this.where}: ${String(reason)} (${status})`
    throw new StoreError(codeOf(status), what, undefined, retryAfterMs(message))
  }

  #headOf({ method, path, body, headers = {} }: Request): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new Error('closed')
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
      const request = this.#begin(this.#base + path, { method, headers: { ...headers, ...length } })
      this.#underWay.add(request)
      let answer: IncomingMessage | undefined
      const timer = setTimeout(() => {
        const error = new Error(`no answer within ${timeoutMs / 1000} s`)
        answer?.destroy(error)
        request.destroy(error)
      }, timeoutMs)
      // Behind the last byte of the answer, or when the connection is gone.
      request.once('close', () => {
        clearTimeout(timer)
        this.#underWay.delete(request)
      })
      request.on('error', reject)
      request.once('response', (message) => {
        answer = message
        // An error beside a reader is the reader's; before there is one it must not end the process.
        message.on('error', () => {})
        resolve(message)
      })
      request.end(body)
    })
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (this.#isClosed) throw new StoreError('closed', this.where, error)
      throw new StoreError('away', `${this.where}: ${causeOf(error)}`, error)
    }
  }
}

/** The whole answer, as JSON; `undefined` where it is none. */
export function jsonOf({ text }: Reply): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isOk({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300
}

function unpacked(message: IncomingMessage): Readable {
  if (message.headers['content-encoding'] !== 'gzip') return message
  // What goes wrong ends both, and is thrown where it is read.
  return pipeline(message, createGunzip(), () => {})
}

async function textOf(message: Readable): Promise<string> {
  let text = ''
  for await (const piece of message.setEncoding('utf8')) text += piece as string
  return text
}

/** Names and values, as they stand behind a question mark or in a form. */
export function parameters(given: Readonly<Record<string, string>>): string {
  return new URLSearchParams(given).toString()
}

/** 404 is a database or bucket that is not there; 5xx includes "cache maximum memory size exceeded". */
function codeOf(status: number): StoreErrorCode {
  if (status === 401 || status === 403 || status === 404) return 'denied'
  return status === 400 || status === 413 || status === 422 ? 'refused' : 'away'
}

/** `Retry-After` of 429 and 503, as InfluxDB Cloud answers a burst: whole seconds. Dates, which none of them sends, are not read. */
function retryAfterMs({ headers }: IncomingMessage): number {
  const given = headers['retry-after'] ?? ''
  return /^\d{1,6}$/.test(given) ? Math.min(Number(given) * 1000, retryAfterMsMax) : 0
}

/** The server's own words: `error` of 1.x and 3, `message` of 2.x. 3 names each line that it refuses. */
function reasonIn(text: string): string {
  let reason = text
  try {
    const { error, message, data } = JSON.parse(text) as { error?: string; message?: string; data?: unknown }
    reason = message ?? error ?? text
    if (Array.isArray(data)) reason += ` ${JSON.stringify(data[0])}`
  } catch {
    // Not JSON: then as it is.
  }
  return reason.replace(/\s+/g, ' ').trim().slice(0, 500)
}

/** Of an address with several answers each attempt has an error of its own, and the whole has no message. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || String((error as { code?: unknown }).code)
}
