/** Requests to InfluxDB, each with an end in time, and what its refusals mean for a store. */

import { StoreError, type StoreErrorCode } from '../errors.ts'

/** A server that says nothing for so long is taken as away. */
const timeoutMs = 60_000

/** A server that asks for more is asked again after so long: it may have been restarted since. */
const retryAfterMsMax = 300_000

export interface Request {
  readonly method: 'GET' | 'POST'
  /** From the root of the server, with its query. */
  readonly path: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Statuses beside 2xx that the caller reads itself. */
  readonly accepts?: readonly number[]
}

export class Http {
  /** For messages: the address without what must not be in a log. */
  readonly where: string
  readonly #base: string
  readonly #closing = new AbortController()

  constructor(url: string) {
    const { origin, pathname } = new URL(url)
    this.#base = origin + pathname.replace(/\/+$/, '')
    this.where = `InfluxDB at ${this.#base}`
  }

  /** @throws StoreError; `refused` where the server says that the request is wrong */
  async send({ method, path, body, headers = {}, accepts = [] }: Request): Promise<Response> {
    const response = await this.#guarded(() =>
      fetch(this.#base + path, {
        method,
        headers,
        signal: this.#signal(),
        ...(body === undefined ? {} : bodyOf(body)),
      }),
    )
    if (response.ok || accepts.includes(response.status)) return response
    const text = await this.#guarded(() => response.text())
    const reason = reasonIn(text) || response.headers.get('x-influxdb-error') || response.statusText
    const what = `${this.where}: ${reason} (${response.status})`
    throw new StoreError(codeOf(response.status), what, undefined, retryAfterMs(response))
  }

  /** The text of an answer in pieces, as they come. */
  async *pieces(response: Response): AsyncGenerator<string> {
    if (response.body === null) return
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { done, value } = await this.#guarded(() => reader.read())
      if (done) return
      yield value
    }
  }

  /** The whole answer, as JSON; `undefined` where it is none. */
  async json(response: Response): Promise<unknown> {
    const text = await this.#guarded(() => response.text())
    try {
      return JSON.parse(text)
    } catch {
      return undefined
    }
  }

  /** Ends what is on its way, and refuses what comes. */
  close(): void {
    this.#closing.abort()
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)])
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (this.#closing.signal.aborted) throw new StoreError('closed', this.where, error)
      throw new StoreError('away', `${this.where}: ${causeOf(error)}`, error)
    }
  }
}

/**
 * A body that is sent once: a POST that is redirected would come as a GET. Where it cannot be needed again, `fetch` does not
 * copy it either: 500 KB took 1.4 ms of CPU instead of 1.8.
 */
function bodyOf(body: string): RequestInit {
  return { body, redirect: 'error', window: null }
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
function retryAfterMs({ headers }: Response): number {
  const given = headers.get('retry-after') ?? ''
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

/** `fetch` says that it failed; why stands in the causes. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  const { cause } = error
  return cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : error.message
}
