/**
 * `penstock/api`: the API, typed by its contract.
 *
 *     const api = new Api({ url: 'https://penstock.example.org', token: key })
 *     const { gpu } = await api.get('/api/v1/gpus/{id}', { params: { id: 'node-001:3' } })
 *
 * The path says what may be asked and what is answered. Of the contract only the types are used, so it runs in a browser
 * without the schemas; `fetch` may be handed in.
 */

import type { ClientOptions } from '#wire/transport'
import { Transport } from '#wire/transport'
import type { AnswerOf, BodyOf, Contract, Operation, ParamsOf, QueryOf } from './contract.ts'

export type { AnswerOf, BodyOf, ClientOptions, Contract, Operation, ParamsOf, QueryOf }

/** The operations of a method that answer once. */
type Asked<Method extends string> = {
  [Name in Operation]: Contract[Name] extends { readonly events: true }
    ? never
    : Contract[Name] extends { readonly method: Method }
      ? Name
      : never
}[Operation]

/** The paths that take a method, as the contract writes them: with parameters in braces. */
export type PathOf<Method extends string> = Contract[Asked<Method>]['path']

/** The operation at a path. */
export type OperationAt<Method extends string, Path extends string> = {
  [Name in Asked<Method>]: Contract[Name]['path'] extends Path ? Name : never
}[Asked<Method>]

type Has<Name extends Operation, Part extends string> = Contract[Name] extends { readonly [Key in Part]: unknown }
  ? true
  : false

/** What a request has: `params` where the path has some, `body` where one is taken. */
export type Ask<Name extends Operation> = {
  readonly query?: QueryOf<Name>
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined
} & (Has<Name, 'params'> extends true ? { readonly params: ParamsOf<Name> } : unknown) &
  (Has<Name, 'body'> extends true ? { readonly body: BodyOf<Name> } : unknown)

/** Nothing has to be given where nothing is required. */
type Rest<Name extends Operation> = object extends Ask<Name> ? [ask?: Ask<Name>] : [ask: Ask<Name>]

interface AnyAsk {
  readonly params?: Readonly<Record<string, unknown>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export class Api {
  readonly #transport: Transport

  /**
   * @param options `token` is the key, `url` where the API is
   * @throws Error when the url is no address, or holds a password; when no header can carry the key
   */
  constructor(options: ClientOptions) {
    this.#transport = new Transport(options)
  }

  /** @throws Problem when it is refused, and `unavailable` when no answer comes; the signal's reason when it is aborted */
  get<Path extends PathOf<'GET'>>(
    path: Path,
    ...[ask]: Rest<OperationAt<'GET', Path>>
  ): Promise<AnswerOf<OperationAt<'GET', Path>>> {
    return this.#ask('GET', path, ask as AnyAsk | undefined)
  }

  /** @throws Problem as {@link get} */
  post<Path extends PathOf<'POST'>>(
    path: Path,
    ...[ask]: Rest<OperationAt<'POST', Path>>
  ): Promise<AnswerOf<OperationAt<'POST', Path>>> {
    return this.#ask('POST', path, ask as AnyAsk | undefined)
  }

  /** @throws Problem as {@link get} */
  put<Path extends PathOf<'PUT'>>(
    path: Path,
    ...[ask]: Rest<OperationAt<'PUT', Path>>
  ): Promise<AnswerOf<OperationAt<'PUT', Path>>> {
    return this.#ask('PUT', path, ask as AnyAsk | undefined)
  }

  /**
   * Opens the live stream; `wire/sse.ts` reads its body. The time-out bounds the way to its headers only.
   *
   * @param lastId of the last event that came, to go on behind it; empty: from now
   * @throws Problem as {@link get}
   */
  stream(query: QueryOf<'stream'>, lastId: string, signal: AbortSignal): Promise<Response> {
    const headers = { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
    return this.#transport.open('/api/v1/stream', { query: textsOf(query), headers, signal })
  }

  #ask<Answer>(method: string, path: string, ask: AnyAsk = {}): Promise<Answer> {
    const whole = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(ask.params?.[name])))
    const accept = { accept: 'application/json' }
    const query = textsOf(ask.query)
    const { signal } = ask
    if (ask.body === undefined) return this.#transport.json(method, whole, { query, headers: accept, signal })
    const headers = { ...accept, 'content-type': 'application/json' }
    return this.#transport.json(method, whole, { query, headers, signal, body: JSON.stringify(ask.body) })
  }
}

function textsOf(
  query: Readonly<Record<string, unknown>> = {},
): Record<string, string | readonly string[] | undefined> {
  const given = query as Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      typeof value === 'number' || typeof value === 'boolean' ? String(value) : value,
    ]),
  )
}
