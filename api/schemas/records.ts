/** What goes in by POST, what comes out live, and refusals. */

import { closed, count, labels, maybeNumber, nullable, text, time } from './kit.ts'
import { gpuReference } from './gpus.ts'
import { Type } from './type.ts'
import { transferMembers } from './transfers.ts'

/** Body of `POST /telemetry`, as the sources' services send it. Other members are refused. */
export const telemetryInput = Type.Object(
  {
    metric: Type.String({
      minLength: 1,
      description: 'Any name; those of the catalogue are stored under the canonical one',
    }),
    value: nullable(Type.Number(), { description: 'null: not reported' }),
    time: Type.Optional(Type.String({ description: 'RFC 3339, or epoch; default: when the API takes it' })),
    uuid: Type.Optional(Type.String({ description: 'Of the GPU; default: <hostname>:<gpu_id or device_id>' })),
    device_id: Type.Optional(Type.String()),
    gpu_id: Type.Optional(Type.String()),
    gpu_i_id: Type.Optional(Type.String({ description: 'MIG instance' })),
    model_name: Type.Optional(Type.String()),
    hostname: Type.Optional(Type.String()),
    container: Type.Optional(Type.String()),
    pod: Type.Optional(Type.String()),
    namespace: Type.Optional(Type.String()),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    labels_raw: Type.Optional(Type.String({ description: 'name=value pairs between commas; values may be quoted' })),
  },
  { $id: 'TelemetryInput', additionalProperties: false },
)

export const accepted = closed(
  {
    as_of: time('The time of records that came without one'),
    accepted: count('Records written to the broker’s log'),
    ids: Type.Array(Type.String(), { description: 'Their ids there, in the order of the body' }),
  },
  { $id: 'Accepted' },
)

/** One event of the live stream: a record, as `docs/PROTOCOL.md` describes it. */
export const streamRecord = Type.Union(
  [
    closed({
      kind: Type.Literal('gpu'),
      time: time('Of the value'),
      device_id: Type.String(),
      metric: text('Canonical name'),
      value: maybeNumber('null: not reported'),
      gpu_id: Type.String(),
      uuid: Type.String(),
      model_name: Type.String(),
      hostname: Type.String(),
      container: Type.String(),
      pod: Type.String(),
      namespace: Type.String(),
      gpu_i_id: Type.Optional(Type.String()),
      labels,
    }),
    closed({ kind: Type.Literal('transfer'), ...transferMembers }),
    closed({
      kind: Type.Literal('metric'),
      time: time('Of the value'),
      metric: Type.String(),
      value: maybeNumber('null: not reported'),
      tags: labels,
    }),
  ],
  { $id: 'StreamRecord' },
)

/** A refusal (RFC 9457). */
export const problem = Type.Object(
  {
    type: text('urn:penstock:problem:<code>'),
    title: Type.String(),
    status: Type.Integer(),
    code: text('Stable: programs decide by it'),
    detail: text('What was wrong with this request, and what would be right'),
    hint: Type.String(),
    parameter: Type.Optional(text('The query parameter that was wrong')),
    candidates: Type.Optional(Type.Array(gpuReference, { description: 'Of an ambiguous id' })),
    retry_after_s: Type.Optional(Type.Number()),
    bound: Type.Optional(Type.String({ description: 'Of `too_much`: what the question is over' })),
    limit: Type.Optional(Type.Number({ description: 'Of `too_much`: how much of it may be asked for' })),
    asked: Type.Optional(
      Type.Number({ description: 'Of `too_much`: how much of it this question comes to, at least' }),
    ),
    line: Type.Optional(Type.Integer({ description: 'Of the body, from 1: the record that was wrong' })),
    accepted: Type.Optional(count('Records that were taken before others failed')),
    ids: Type.Optional(
      Type.Array(nullable(Type.String()), { description: 'Of the records, in their order; null: not acknowledged' }),
    ),
    as_of: Type.Optional(Type.String({ description: 'The time of records that came without one' })),
  },
  { $id: 'Problem' },
)
