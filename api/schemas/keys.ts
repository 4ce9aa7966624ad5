/** Keys, as they are made and listed. A secret is in no answer but the one that made it. */

import { asOf, closed, maybeTime, nullable, text, time, truncated } from './kit.ts'
import { Type } from './type.ts'

export const scopeName = Type.Enum(['read', 'produce', 'consume', 'admin'], {
  $id: 'Scope',
  description: '`admin` includes the others',
})

const names = (of: string, max = 100) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { minItems: 1, maxItems: max, description: of })

/** Body of `POST /api/v1/keys`. */
export const keyInput = closed(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 128,
      pattern: '^[^\\u0000-\\u001f\\u007f]+$',
      description: 'What it is for, for people',
    }),
    scopes: Type.Array(scopeName, { minItems: 1, maxItems: 4, description: 'What it may do' }),
    topics: Type.Optional(names('Only these topics; default: all')),
    hosts: Type.Optional(names('Only GPUs of these hosts, and nothing of other kinds that is not named, too')),
    sites: Type.Optional(names('Only transfers of these sites, and nothing of other kinds that is not named, too')),
    expires: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'RFC 3339, or a time from now such as 90d; default: never',
      }),
    ),
  },
  { $id: 'KeyInput' },
)

const maybeNames = (of: string) => nullable(Type.Array(Type.String()), { description: `${of}; null: not bound to any` })

export const keyInfo = closed(
  {
    id: text('Names the key; it is no secret'),
    name: text('What it is for'),
    scopes: Type.Array(scopeName),
    topics: maybeNames('Topics'),
    hosts: maybeNames('Hosts'),
    sites: maybeNames('Sites'),
    state: Type.Enum(['live', 'expired', 'revoked']),
    created: time('When it was made'),
    created_by: text('The key or the user that made it'),
    expires: maybeTime('When it ends by itself; null: never'),
    rotated: maybeTime('When it got the secret that it has; null: it is the first one'),
    previous_until: maybeTime('Until when the secret before works, too; null: there is none'),
    revoked: maybeTime('When it was revoked'),
    last_used: maybeTime('To the minute, by this replica since it runs; null: not since then'),
  },
  { $id: 'KeyInfo' },
)

export const keyList = closed(
  {
    as_of: asOf,
    keys: Type.Array(keyInfo),
    truncated,
    cursor: nullable(Type.String(), { description: 'For the next page; null: there is none' }),
  },
  { $id: 'KeyList' },
)

export const keyAnswer = closed({ as_of: asOf, key: keyInfo }, { $id: 'KeyAnswer' })

export const keySecret = closed(
  { as_of: asOf, key: keyInfo, secret: text('The key itself. It is shown this once, and kept nowhere') },
  { $id: 'KeySecret' },
)
