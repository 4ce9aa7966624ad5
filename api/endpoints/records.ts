/** What goes in, and what comes out live. */

import type { Endpoint } from '../endpoint.ts'
import * as records from '../schemas/records.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'
import { duration, name } from './kit.ts'

export const recordsEndpoints = {
  stream: {
    method: 'GET',
    path: '/api/v1/stream',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Records as they come (server-sent events)',
    description:
      'One event a record. With `every`, one event `records` an interval: an array with the newest record of each series ' +
      '(and every transfer) since the one before. Ids are for `Last-Event-ID`: what the API still holds is sent again; ' +
      'where it does not, or a slow reader was passed over, `event: gap` says so (`{"reason":…,"missed":n|null}`). ' +
      '`event: state` tells, at the start and on each change, whether the broker is reached (`{"live":true,"reason":null}`).',
    query: closed({
      kind: Type.Optional(
        Type.Enum(['gpu', 'transfer', 'metric'], {
          description: 'Of this kind only',
        }),
      ),
      host: Type.Optional(name('GPU records of this host only')),
      gpu: Type.Optional(name('GPU records of this uuid, or `host:gpu`, only')),
      namespace: Type.Optional(Type.String({ description: 'GPU records in this namespace only' })),
      metric: Type.Optional(
        Type.Array(name('Canonical name or an alias'), { maxItems: 64, description: 'Of these only' }),
      ),
      site: Type.Optional(name('Transfers of this site only')),
      every: Type.Optional(duration('Gather for this long, 100ms to 60s')),
    }),
    answer: records.streamRecord,
    events: true,
  },
  postTelemetry: {
    method: 'POST',
    path: '/api/v1/telemetry',
    also: ['/telemetry'],
    scope: 'produce',
    bounds: 'filtered',
    summary: 'Send one record or several to the broker',
    description:
      'Answered when the broker has acknowledged them. One bad record refuses all, and is named. Records go to partitions ' +
      'by their GPU: where some of them fail, the refusal says how many were `accepted`, and their `ids`. A record that is ' +
      'sent again is the same point, as long as it says the same time. Bodies may be gzipped.',
    query: closed({}),
    bodies: ['json', 'ndjson'],
    bodyBytesMax: 4 * 1024 * 1024,
    body: Type.Union([records.telemetryInput, Type.Array(records.telemetryInput, { minItems: 1, maxItems: 10_000 })]),
    answer: records.accepted,
    problems: ['bad_record', 'partition_full', 'unavailable'],
  },
} as const satisfies Record<string, Endpoint>
