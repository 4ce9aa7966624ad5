/**
 * One HTTP request to a broker or proxy: address, token, time-out, and every failure turned into a {@link Problem}.
 *
 * `fetch` is handed in, so that the client runs in a browser, and in a test without a network.
 */

import { Problem } from './problems.ts'
import { type Backoff, defaultBackoff } from './retry.ts'

/** A token that may be another one tomorrow: it is asked for with each request. */
export interface TokenSource {
  readonly current: string
}

/** How to reach a broker or proxy. */
export interface ClientOptions {
  /** `http://host:port`, with a path in front where a gateway wants one. */
  readonly url: string
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | TokenSource | undefined
  /** Another `fetch` than the global one. */
  readonly fetch?: typeof fetch | undefined
  /** Told, in one line each, what the client gets over by itself: lost connections, retries, silent brokers. */
  readonly onWarning?: ((text: string) => void) | undefined
  /** Other waits between tries than up to 100 ms, 200 ms … 10 s. */
  readonly backoff?: Partial<Backoff> | undefined
  /**
   * Producers of the address of a proxy send each batch to the broker that owns its partition, by the proxy's table, and
   * through the proxy where that fails. Only where the brokers' addresses, as the proxy knows them, can be reached from here.
   */
  readonly straight?: boolean | undefined
  /** How long an answer may take, in ms (30 s). It does not bound the event stream. */
  readonly timeoutMs?: number | undefined
}

/** What one request adds to its path. */
export interface Call {
  /** Query parameters; those that are `undefined` are left out, a list is repeated. */
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>> | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array<ArrayBuffer> | undefined
  readonly signal?: AbortSignal | undefined
  /** Told of the head of an answer that is no refusal. */
  readonly onResponse?: ((response: Response) => void) | undefined
}

/** The client's side of HTTP, shared by its producers and consumers. */
export class Transport {
  readonly url: string
  readonly backoff: Backoff
  readonly warn: (text: string) => void
  readonly #fetch: typeof fetch
  readonly #token: string | TokenSource | undefined
  readonly #timeoutMs: number

  /** @throws Error when the url is none of http or https, or holds a password; when no header can carry the token */
  constructor(options: ClientOptions) {
    this.url = baseOf(options.url)
    // Else every request fails before it is sent, which looks like a broker that is away.
    if (/[^\x20-\x7e]/.test(textOf(options.token)?.trim() ?? ''))
      throw new Error('the token holds more than ASCII text')
    this.backoff = { ...defaultBackoff, ...options.backoff }
    this.warn = options.onWarning ?? ((): void => {})
    // A browser's fetch must be called on its window, not as a method of something else.
    this.#fetch = options.fetch ?? ((input, init): Promise<Response> => fetch(input, init))
    this.#token = options.token
    this.#timeoutMs = options.timeoutMs ?? 30_000
  }

  /**
   * Sends one request, once, and reads its JSON answer.
   *
   * @throws Problem when it is refused, and `unavailable` when no answer comes; the signal's reason when it is aborted
   */
  async json<T = unknown>(method: string, path: string, call: Call = {}): Promise<T> {
    const text = await this.#bounded(call.signal, async (signal) => {
      const response = await this.#send(method, path, { ...call, signal })
      return response.text()
    })
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T
    } catch {
      throw new Problem('unavailable', `${this.url}${path} does not answer in JSON: is the address right?`)
    }
  }

  /**
   * Opens a stream: the time-out covers the way to its headers only. The caller's signal ends it.
   *
   * @throws Problem as {@link json}
   */
  async open(path: string, call: Call & { readonly signal: AbortSignal }): Promise<Response> {
    return this.#bounded(undefined, (signal) => {
      // Not AbortSignal.any: the stream outlives the time-out, and must still hear the caller.
      const both = new AbortController()
      const abort = (): void => both.abort(call.signal.reason)
      if (call.signal.aborted) abort()
      call.signal.addEventListener('abort', abort, { once: true })
      signal.addEventListener('abort', () => both.abort(signal.reason), { once: true })
      return this.#send('GET', path, { ...call, signal: both.signal })
    })
  }

  async #send(method: string, path: string, call: Call): Promise<Response> {
    const headers: Record<string, string> = { ...call.headers }
    const token = textOf(this.#token)
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`
    const init: RequestInit = { method, headers, cache: 'no-store' }
    if (call.body !== undefined) Object.assign(init, { body: call.body }, sentOnce)
    if (call.signal !== undefined) init.signal = call.signal
    const response = await this.#fetch(this.url + path + queryText(call.query), init)
    if (!response.ok) throw await refusal(response)
    call.onResponse?.(response)
    return response
  }

  /** Runs one exchange under the time-out and the caller's signal, and names what broke. */
  async #bounded<T>(outer: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    outer?.throwIfAborted()
    const inner = new AbortController()
    const abort = (): void => inner.abort(outer?.reason)
    outer?.addEventListener('abort', abort, { once: true })
    const seconds = this.#timeoutMs / 1000
    const timer = setTimeout(
      () => inner.abort(new Problem('unavailable', `${this.url} does not answer within ${seconds} s`)),
      this.#timeoutMs,
    )
    try {
      return await work(inner.signal)
    } catch (error) {
      if (outer?.aborted) throw outer.reason
      if (inner.signal.aborted) throw inner.signal.reason
      throw asProblem(this.url, error)
    } finally {
      clearTimeout(timer)
      outer?.removeEventListener('abort', abort)
    }
  }
}

/**
 * Of a request with a body: a redirect would turn it into a GET, or send the records to who knows where. As it cannot be
 * needed again, Node's `fetch` does not copy it: 500 KB took 1.4 ms of CPU instead of 1.8.
 */
const sentOnce: RequestInit = { redirect: 'error', window: null }

/** What broke a connection, as the {@link Problem} that says so: `unavailable`, which may be tried again. */
export function asProblem(url: string, error: unknown): Problem {
  if (error instanceof Problem) return error
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const { code, message } = cause as { code?: string; message?: string }
  const what = message === 'unexpected redirect' ? 'it redirects: give the address that it leads to' : message
  const problem = new Problem('unavailable', `${url}: ${what || code || 'no connection'}`)
  problem.cause = error
  return problem
}

/** Whether a failed request may be sent again: `false`, or the time in ms to wait at least (`Retry-After`). */
export function retryAfterMs(error: unknown): number | false {
  if (!(error instanceof Problem) || !error.retry) return false
  const seconds = error.extra['retry_after_s']
  return typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 300) * 1000 : 0
}

/** Reads a refusal. An answer that is no problem+json (of a gateway between) is known by its status. */
async function refusal(response: Response): Promise<Problem> {
  let body: unknown
  try {
    body = JSON.parse(await response.text())
  } catch {
    body = undefined
  }
  const given = typeof body === 'object' && body !== null ? body : {}
  // The header is the one that HTTP knows: gateways set it, and the body may lack the member.
  const header = response.headers.get('retry-after')
  const seconds = header !== null && /^\d{1,6}$/.test(header) ? Number(header) : undefined
  return Problem.fromBody(response.status, seconds === undefined ? given : { retry_after_s: seconds, ...given })
}

function textOf(token: string | TokenSource | undefined): string | undefined {
  return typeof token === 'object' ? token.current : token
}

function queryText(query: Call['query']): string {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of typeof value === 'object' ? value : value === undefined ? [] : [value]) {
      given.append(name, String(one))
    }
  }
  const text = given.toString()
  return text === '' ? '' : `?${text}`
}

function baseOf(text: string): string {
  const url = URL.parse(text)
  // The text is not repeated where it may hold a password.
  const shown = text.includes('@') ? 'the address' : text
  if (url === null) throw new Error(`${shown} cannot be read: want http://host:port`)
  if (url.username !== '' || url.password !== '') throw new Error('the address holds a password: give it as the token')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error(`${shown}: want http:// or https://`)
  return url.origin + url.pathname.replace(/\/+$/, '')
}
