/** What clients of InfluxDB expect of a server beside taking their points. */

import { Problem } from '#wire/problems'
import type { Endpoint } from '../endpoint.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * The key of a request as clients of InfluxDB carry it: `Authorization: Token KEY` (version 2), else the password of
 * `Authorization: Basic`, else `p` of the query (version 1). The user's name is of no matter.
 */
export function influxKey(headers: Headers, query: unknown): string | undefined {
  const authorization = typeof headers['authorization'] === 'string' ? headers['authorization'] : ''
  const token = /^Token +(\S+)$/i.exec(authorization)?.[1]
  if (token !== undefined) return token
  const basic = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization)?.[1]
  const password = basic === undefined ? undefined : /^[^:]*:(.+)$/s.exec(Buffer.from(basic, 'base64').toString())?.[1]
  if (password !== undefined) return password
  const { p } = (query ?? {}) as { readonly p?: unknown }
  return typeof p === 'string' && p !== '' ? p : undefined
}

/**
 * A refusal as clients of InfluxDB read it: `message` beside our `code` (version 2), and `error` (version 1).
 *
 * Of version 1 the statuses 408 and 429 become 503: Telegraf's `outputs.influxdb` drops the points of any 4xx for good, and
 * keeps them for another try otherwise.
 */
export function influxRefusal(version: NonNullable<Endpoint['influx']>, problem: Problem): Problem {
  const { detail } = problem.toJSON()
  const isDropped = version === 'v1' && (problem.status === 408 || problem.status === 429)
  return new Problem(isDropped ? 'unavailable' : problem.code, detail, {
    ...problem.extra,
    message: detail,
    error: detail,
  })
}

/** What `GET /ping` says of the server: version 1.8 is the one that has both `/write` and `/api/v2/write`. */
export function pingHeaders(version: string): Readonly<Record<string, string>> {
  return { 'x-influxdb-build': 'Penstock', 'x-influxdb-version': `1.8.0-penstock-${version}` }
}

const createDatabase = /^\s*CREATE\s+DATABASE\s+("(?:[^"\\]|\\.)+"|[A-Za-z_]\w*)\s*(?:;\s*)?$/i

/**
 * What a client of version 1 asks before it writes. There are no databases here, so there is nothing to make.
 *
 * @throws Problem for every other statement
 */
export function answerInfluxQl(statement: string | undefined): { results: { statement_id: number }[] } {
  if (statement !== undefined && createDatabase.test(statement)) return { results: [{ statement_id: 0 }] }
  throw new Problem(
    'bad_parameter',
    'q: of InfluxQL only CREATE DATABASE is answered; ask GET /api/v1/gpus/{id}/telemetry or GET /api/v1/query',
    { parameter: 'q' },
  )
}
