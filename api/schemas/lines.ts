/** What clients of InfluxDB send, and are answered. */

import { closed } from './kit.ts'
import { Type } from './type.ts'

/** Read by the line, where one bad line costs no other. */
export const lineProtocol = Type.Unsafe<Uint8Array>(
  Type.String({
    description: 'Line protocol: `measurement,tag=text field=1.5 1752871354000000000`, one point a line',
  }),
)

/** The answer of a 204. */
export const nothing = Type.Undefined()

export const statement = closed({
  q: Type.Optional(Type.String({ description: 'CREATE DATABASE "telegraf"' })),
  db: Type.Optional(Type.String()),
})

export const statementDone = closed({ results: Type.Array(closed({ statement_id: Type.Integer() })) })
