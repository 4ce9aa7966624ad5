/** Who may ask, by their key, and how often. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '#lib/log'
import { Problem } from '#wire/problems'
import type { Endpoint } from '../endpoint.ts'
import { isLoopback } from '../settings.ts'
import { anyone, givenKey, type Key, type Keys, mayDo } from './keys.ts'

declare module 'fastify' {
  interface FastifyRequest {
    key: Key
  }
}

export interface DoorkeeperOptions {
  readonly keys: Keys
  readonly log: Log
  /** Requests a minute and key. */
  readonly rateLimit: number
}

/** Wrong keys that one address may try in a minute. */
const failuresMax = 60

/** Pairs of address and key that are remembered as right. */
const familiarMax = 10_000

/** @throws Problem for who may not ask, or asks too often */
export type Admit = (
  request: FastifyRequest,
  reply: FastifyReply | undefined,
  scope: Endpoint['scope'],
) => Promise<void>

/** Lets a request in by its key, and not too often. Wants `@fastify/rate-limit` registered. */
export function doorkeeper(app: FastifyInstance, { keys, rateLimit: max, log }: DoorkeeperOptions): Admit {
  app.decorateRequest('key', null as unknown as Key)
  const timeWindow = 60_000
  const limitKey = app.createRateLimit({ max, timeWindow, keyGenerator: (request) => request.key.id })
  const limitFailures = app.createRateLimit({ max: failuresMax, timeWindow })
  /** Addresses with the key that was right from there. */
  const familiar = new Set<string>()

  async function keyOf(request: FastifyRequest): Promise<Key> {
    // Without keys only this machine can ask. Its browser could be made to, by a page of another host whose name was
    // pointed here: the name in the request gives that away.
    if (keys.isEmpty && isLoopback(request.hostname)) return anyone
    const given = givenKey(request.headers)
    if (given === undefined) throw new Problem('unauthorized', 'send a key: X-API-Key, or Authorization: Bearer')
    const key = keys.find(given)
    const visitor = `${request.ip} ${key?.id}`
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

  return async (request, reply, scope) => {
    request.key = await keyOf(request)
    const limit = await limitKey(request)
    if ('isExceeded' in limit) {
      const headers = { limit: limit.max, remaining: limit.remaining, reset: limit.ttlInSeconds }
      for (const [name, value] of Object.entries(headers)) reply?.header(`ratelimit-${name}`, value)
      if (limit.isExceeded) throw tooMany(`this key may ask ${limit.max} times a minute`, limit.ttlInSeconds)
    }
    if (!mayDo(request.key, scope)) throw new Problem('forbidden', `the key has not the scope ${scope}`)
  }
}

function tooMany(detail: string, seconds: number): Problem {
  return new Problem('rate_limited', detail, { retry_after_s: seconds })
}
