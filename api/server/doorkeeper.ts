/** Who may ask, by their key, and how often. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '#lib/log'
import { Problem } from '#wire/problems'
import type { Endpoint } from '../endpoint.ts'
import { influxKey } from '../intake/influx.ts'
import { isLoopback } from '../settings.ts'
import { givenKey, type Key, type KeyFinder, mayDo } from './keys.ts'
import { counted } from './networks.ts'

declare module 'fastify' {
  interface FastifyRequest {
    key: Key
  }
}

export interface DoorkeeperOptions {
  readonly keys: KeyFinder
  /** Who asks without a key where none is wanted. */
  readonly anyone: Key
  /** Whom a trusted proxy has let in. */
  readonly userOf: (request: FastifyRequest['raw']) => Key | undefined
  /** Pages of other hosts that may ask. */
  readonly corsOrigins: readonly string[]
  readonly log: Log
  /** Requests a minute and key. */
  readonly rateLimit: number
  /** Wrong keys that one address may try in a minute. */
  readonly wrongKeyLimit: number
}

/** Pairs of address and key that are remembered as right. */
const familiarMax = 10_000

/** @throws Problem for who may not ask, or asks too often */
export type Admit = (
  request: FastifyRequest,
  reply: FastifyReply | undefined,
  row: Pick<Endpoint, 'scope' | 'bounds'>,
) => Promise<void>

/** Lets a request in by its key, and not too often. Wants `@fastify/rate-limit` registered. */
export function doorkeeper(app: FastifyInstance, options: DoorkeeperOptions): Admit {
  const { keys, anyone, userOf, corsOrigins, rateLimit: max, wrongKeyLimit, log } = options
  app.decorateRequest('key', null as unknown as Key)
  const timeWindow = 60_000
  const limitKey = app.createRateLimit({ max, timeWindow, keyGenerator: (request) => request.key.id })
  const limitFailures = app.createRateLimit({
    max: wrongKeyLimit,
    timeWindow,
    keyGenerator: (request) => counted(request.ip),
  })
  /** Addresses with the key that was right from there. */
  const familiar = new Set<string>()

  async function keyOf(request: FastifyRequest): Promise<Key> {
    const user = userOf(request.raw)
    if (user !== undefined) return user
    const { row } = request.routeOptions.config
    const given =
      givenKey(request.headers) ?? (row?.influx === undefined ? undefined : influxKey(request.headers, request.query))
    const key = given === undefined ? undefined : keys.find(given)
    // Without keys only this machine can ask. Its browser could be made to, by a page of another host whose name was
    // pointed here: the name in the request gives that away. A key that ended must not work here either.
    const isOurs = given?.startsWith('pnk_') === true
    if (keys.isOpen && key === undefined && !isOurs && isLoopback(request.hostname)) return anyone
    if (given === undefined) throw new Problem('unauthorized', 'send a key: X-API-Key, or Authorization: Bearer')
    const visitor = `${counted(request.ip)} ${key?.id}`
    if (key !== undefined && familiar.has(visitor)) return key
    const before = await limitFailures(request, { increment: key === undefined })
    // From an address that guesses even the right key is refused, unless it was used from there before: others may share
    // the address, and must not be locked out.
    if ('isExceeded' in before && (before.isExceeded || (key !== undefined && before.remaining === 0))) {
      throw tooMany('too many wrong keys from this address', before.ttlInSeconds)
    }
    if (key === undefined) {
      log.warn({ address: request.ip, request: request.id }, 'a wrong key')
      throw new Problem('unauthorized', 'the key is not a valid one')
    }
    if (familiar.size >= familiarMax) familiar.clear()
    familiar.add(visitor)
    return key
  }

  return async (request, reply, { scope, bounds }) => {
    const key = await keyOf(request)
    request.key = key
    const limit = await limitKey(request)
    if ('isExceeded' in limit) {
      const headers = { limit: limit.max, remaining: limit.remaining, reset: limit.ttlInSeconds }
      for (const [name, value] of Object.entries(headers)) reply?.header(`ratelimit-${name}`, value)
      if (limit.isExceeded) throw tooMany(`this key may ask ${limit.max} times a minute`, limit.ttlInSeconds)
    }
    if (!mayDo(key, scope)) {
      const who = key.id.startsWith('user:') ? key.id.replace(':', ' ') : 'the key'
      throw new Problem('forbidden', `${who} has not the scope ${scope}`)
    }
    if (key.bounds.isBound && (bounds === undefined || (bounds === 'topics' && key.bounds.isNarrow))) {
      throw new Problem('forbidden', 'this path is not for keys that are bound to hosts, sites or topics')
    }
    if (key.isAmbient === true && isOfForeignPage(request, corsOrigins)) {
      throw new Problem('forbidden', 'a page of another host may not change anything here: see CORS_ORIGINS')
    }
  }
}

/**
 * Whether a request that changes something was made by a page of elsewhere, in a browser that adds by itself what lets it in.
 * Browsers say so (Fetch Metadata, https://www.w3.org/TR/fetch-metadata); what is no browser says nothing.
 */
function isOfForeignPage({ method, headers }: FastifyRequest, corsOrigins: readonly string[]): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  const { origin, host, 'sec-fetch-site': site } = headers
  if (origin === undefined ? site === undefined : corsOrigins.includes(origin)) return false
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return !URL.canParse(origin as string) || new URL(origin as string).host !== host
}

function tooMany(detail: string, seconds: number): Problem {
  return new Problem('rate_limited', detail, { retry_after_s: seconds })
}
