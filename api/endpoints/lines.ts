/** The doors of InfluxDB: Telegraf, or any client of it, sends here by changing an address. */

import type { Endpoint } from '../endpoint.ts'
import * as lines from '../schemas/lines.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'

const ignored = (of: string) => Type.Optional(Type.String({ description: `${of}: taken, and of no matter` }))

const credentials = {
  u: ignored('The name of a user'),
  p: Type.Optional(Type.String({ description: 'A key; better in a header' })),
}

const place = {
  db: Type.Optional(Type.String({ maxLength: 512, description: 'Told in the dead letters of bad lines' })),
  org: ignored('An organisation'),
  orgID: ignored('An organisation'),
  bucket: Type.Optional(Type.String({ maxLength: 512, description: 'Told in the dead letters of bad lines' })),
  precision: Type.Optional(
    Type.Enum(['ns', 'n', 'us', 'u', 'µ', 'ms', 's', 'm', 'h'], { description: 'What timestamps count; default: ns' }),
  ),
  rp: ignored('A retention policy'),
  consistency: ignored('How many copies'),
  ...credentials,
}

const description =
  'Each field with a number becomes a record of kind `metric`, named `<measurement>_<field>`, with the tags of its line. ' +
  'A line that cannot be read and fields that hold no number go to the dead letters with the reason, and the rest is ' +
  'taken: 204. Only where no line at all can be read it is 400. Without a timestamp the time is now. Bodies may be gzipped. ' +
  'The key: `Authorization: Token KEY`, the password of `Authorization: Basic`, or `p`; or as everywhere else.'

const write = {
  method: 'POST',
  scope: 'produce',
  bounds: 'filtered',
  description,
  query: closed(place),
  body: lines.lineProtocol,
  bodies: ['lines'],
  bodyBytesMax: 16 * 1024 * 1024,
  answer: lines.nothing,
  empty: true,
  problems: ['bad_record', 'empty_batch', 'body_too_large', 'partition_full', 'unavailable'],
} as const

export const linesEndpoints = {
  writeLines: {
    ...write,
    path: '/api/v2/write',
    summary: 'Send line protocol, as to InfluxDB 2',
    influx: 'v2',
  },
  writeLinesV1: {
    ...write,
    path: '/write',
    summary: 'Send line protocol, as to InfluxDB 1',
    influx: 'v1',
  },
  createDatabase: {
    method: 'POST',
    path: '/query',
    scope: 'produce',
    bounds: 'none',
    summary: 'What clients of InfluxDB 1 ask before they write',
    description: '`CREATE DATABASE` is answered as done, since there is nothing to make; anything else is refused.',
    query: closed({ q: lines.statement.properties.q, db: lines.statement.properties.db, ...credentials }),
    body: lines.statement,
    bodies: ['form'],
    answer: lines.statementDone,
    influx: 'v1',
  },
} as const satisfies Record<string, Endpoint>
