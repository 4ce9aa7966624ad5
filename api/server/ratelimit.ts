/** What a key may still ask, in the words of the standard. */

import type { FastifyReply } from 'fastify'

const windowS = 60

/** Headers that a page of another host may read. */
export const rateLimitHeaders = [
  'ratelimit',
  'ratelimit-policy',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'retry-after',
]

/**
 * Adds `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them, beside the three headers of its
 * older forms, which the doorkeeper sets and most clients know.
 */
export function addRateLimit(reply: FastifyReply): void {
  const limit = reply.getHeader('ratelimit-limit')
  if (limit === undefined) return
  const [remaining, reset] = ['ratelimit-remaining', 'ratelimit-reset'].map((name) => String(reply.getHeader(name)))
  void reply.header('ratelimit-policy', `"key";q=${String(limit)};w=${windowS}`)
  void reply.header('ratelimit', `"key";r=${remaining};t=${reset}`)
}
