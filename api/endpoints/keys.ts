/** Keys: made, listed, and ended. None of these rows is for keys that are bound to anything. */

import type { Endpoint } from '../endpoint.ts'
import * as keys from '../schemas/keys.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'
import { duration, limit, name } from './kit.ts'

const keyParams = closed({ id: name('The id of a key: the part between `pnk_` and the second `_`') })

export const keysEndpoints = {
  listKeys: {
    method: 'GET',
    path: '/api/v1/keys',
    scope: 'admin',
    summary: 'Keys, without their secrets',
    description: 'By when they were made. Those of API_KEY are not among them.',
    query: closed({
      state: Type.Optional(Type.Enum(['live', 'expired', 'revoked'], { description: 'Only those' })),
      limit: Type.Optional(limit(1_000, 100, 'Keys')),
      cursor: Type.Optional(name('Of the page before')),
    }),
    answer: keys.keyList,
    problems: ['unavailable'],
  },
  createKey: {
    method: 'POST',
    path: '/api/v1/keys',
    scope: 'admin',
    summary: 'Make a key',
    description: 'The answer is the only place in which it can be seen; a hash of it is kept.',
    query: closed({}),
    body: keys.keyInput,
    answer: keys.keySecret,
    problems: ['unavailable'],
  },
  rotateKey: {
    method: 'POST',
    path: '/api/v1/keys/{id}/rotate',
    scope: 'admin',
    summary: 'Give a key another secret',
    description:
      'The secret before works on for `grace`, so that its users can be told; one from before that ends at once.',
    params: keyParams,
    query: closed({ grace: Type.Optional(duration('Up to 90d; 0: the secret before ends now; default 24h')) }),
    answer: keys.keySecret,
    problems: ['unknown_key', 'key_ended', 'unavailable'],
  },
  expireKey: {
    method: 'POST',
    path: '/api/v1/keys/{id}/expire',
    scope: 'admin',
    summary: 'Let a key end at a moment',
    description: 'An end can be made earlier, never later.',
    params: keyParams,
    query: closed({ at: name('RFC 3339, or a time from now such as 1h') }),
    answer: keys.keyAnswer,
    problems: ['unknown_key', 'key_ended', 'unavailable'],
  },
  revokeKey: {
    method: 'POST',
    path: '/api/v1/keys/{id}/revoke',
    scope: 'admin',
    summary: 'End a key now, for ever',
    description: 'When it is answered the key works no more here, and within a second at other replicas.',
    params: keyParams,
    query: closed({}),
    answer: keys.keyAnswer,
    problems: ['unknown_key', 'unavailable'],
  },
} as const satisfies Record<string, Endpoint>
