/**
 * The API as one table of routes. Fastify, the OpenAPI file, the tests of every route and the types of the dashboard are
 * made from it; a handler that answers in another shape does not compile.
 */

import { Type, type Static, type TObject, type TSchema } from 'typebox'
import * as fleet from './schemas/fleet.ts'
import * as gpus from './schemas/gpus.ts'
import { closed } from './schemas/kit.ts'
import * as letters from './schemas/letters.ts'
import { type brokerPart, pipeline, type topicPart } from './schemas/pipeline.ts'
import * as records from './schemas/records.ts'
import * as transfers from './schemas/transfers.ts'

/** What a key may do. `admin` includes the others. */
export type Scope = 'read' | 'produce' | 'consume' | 'admin'

export interface Endpoint {
  readonly method: 'GET' | 'POST'
  /** With parameters in braces. */
  readonly path: string
  /** Other paths of the same thing. */
  readonly also?: readonly string[]
  readonly scope: Scope
  /** One line. */
  readonly summary: string
  readonly description?: string
  readonly params?: TObject
  /** Members it does not name are refused, with the nearest name. */
  readonly query?: TObject
  readonly body?: TSchema
  readonly answer: TSchema
  /** The answer is an endless event stream, and `answer` is the data of its events. */
  readonly events?: true
  /** Codes of problems that only this route has, beside `unauthorized`, `unknown_parameter` and the like. */
  readonly problems?: readonly string[]
}

const limit = (max: number, fallback: number, of: string) =>
  Type.Integer({ minimum: 1, maximum: max, default: fallback, description: `${of} at most` })
const when = (description: string) =>
  Type.String({
    minLength: 1,
    description: `${description}: RFC 3339, epoch (s, ms, µs or ns), now, or a time ago such as -15m`,
    examples: ['-15m', '2025-07-18T20:42:34Z'],
  })
const name = (description: string) => Type.String({ minLength: 1, maxLength: 512, description })
const duration = (description: string) =>
  Type.String({ pattern: '^[0-9]', description: `${description}: 500ms, 30s, 5m, 1h, 1d`, examples: ['1m'] })

const topicName = Type.String({
  pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$',
  description: 'Default: MSG_QUEUE_TOPIC',
})

const gpuFilter = {
  host: Type.Optional(name('Of this host only')),
  model: Type.Optional(name('Of models whose name contains this, in any case')),
  namespace: Type.Optional(Type.String({ description: 'In this namespace; empty: in none' })),
}
const gpuParams = closed({
  id: name('A uuid, `host:gpu` (mtv5-dgx1-hgpu-031:5) or a device_id (nvidia5); of a MIG slice `uuid:gpu_i_id`'),
})

export const contract = {
  listGpus: {
    method: 'GET',
    path: '/api/v1/gpus',
    scope: 'read',
    summary: 'GPUs with their newest values',
    description: 'By host and index. A metric that was named without a value has `reported: false` and the value null.',
    query: closed(gpuFilter),
    answer: gpus.gpuList,
  },
  getGpu: {
    method: 'GET',
    path: '/api/v1/gpus/{id}',
    scope: 'read',
    summary: 'One GPU with its newest values',
    params: gpuParams,
    query: closed({}),
    answer: gpus.gpuDetail,
    problems: ['unknown_gpu', 'ambiguous_gpu'],
  },
  getGpuTelemetry: {
    method: 'GET',
    path: '/api/v1/gpus/{id}/telemetry',
    scope: 'read',
    summary: 'Values of one GPU over time',
    description:
      'Without `start` it is the hour before `end`, and without `end` up to the newest value. A series that has more ' +
      'than `limit` values is cut there, says `truncated`, and names the `next_start`.',
    params: gpuParams,
    query: closed({
      start: Type.Optional(when('Included')),
      end: Type.Optional(when('Not included')),
      metric: Type.Optional(
        Type.Array(name('Canonical name or an alias'), {
          maxItems: 64,
          description: 'May be repeated (also as `metric[]`); default: all metrics of the GPU',
        }),
      ),
      window: Type.Optional(duration('One value a window of this length')),
      fn: Type.Optional(gpus.windowFunction),
      fill: Type.Optional(gpus.windowFill),
      limit: Type.Optional(limit(10_000, 1_000, 'Values of a series')),
    }),
    answer: gpus.telemetry,
    problems: ['unknown_gpu', 'ambiguous_gpu', 'unknown_metric'],
  },
  listHosts: {
    method: 'GET',
    path: '/api/v1/hosts',
    scope: 'read',
    summary: 'Hosts with what their GPUs are doing',
    query: closed({}),
    answer: fleet.hostList,
  },
  listNamespaces: {
    method: 'GET',
    path: '/api/v1/namespaces',
    scope: 'read',
    summary: 'Namespaces with their GPUs and pods',
    query: closed({}),
    answer: fleet.namespaceList,
  },
  getFleet: {
    method: 'GET',
    path: '/api/v1/fleet',
    scope: 'read',
    summary: 'Totals of the whole fleet',
    query: closed({}),
    answer: fleet.fleet,
  },
  getFleetHistory: {
    method: 'GET',
    path: '/api/v1/fleet/history',
    scope: 'read',
    summary: 'One metric of the whole fleet over time',
    description: 'Of each GPU the mean in a window, then `fn` over the GPUs. At most 1,000 windows.',
    query: closed({
      metric: Type.Optional(name('Default: DCGM_FI_DEV_POWER_USAGE')),
      fn: Type.Optional(fleet.fleetHistory.properties.fn),
      start: Type.Optional(when('Included; default: 15 minutes before `end`')),
      end: Type.Optional(when('Not included; default: behind the newest value')),
      window: Type.Optional(duration('Default: a 90th of the range, 1 s at least')),
    }),
    answer: fleet.fleetHistory,
    problems: ['unknown_metric'],
  },
  listMetrics: {
    method: 'GET',
    path: '/api/v1/metrics',
    scope: 'read',
    summary: 'The catalogue: name, unit, meaning and plausible range of each metric',
    query: closed({}),
    answer: fleet.metricList,
  },
  listTransfers: {
    method: 'GET',
    path: '/api/v1/transfers',
    scope: 'read',
    summary: 'Transfers, newest first',
    query: closed({
      site: Type.Optional(name('Of this site only')),
      status: Type.Optional(name('With this status only')),
      start: Type.Optional(when('Included')),
      end: Type.Optional(when('Not included')),
      limit: Type.Optional(limit(1_000, 100, 'Transfers')),
      cursor: Type.Optional(name('Of the page before')),
    }),
    answer: transfers.transferList,
  },
  listSites: {
    method: 'GET',
    path: '/api/v1/sites',
    scope: 'read',
    summary: 'Sites with what they transferred',
    query: closed({}),
    answer: transfers.siteList,
  },
  getPipeline: {
    method: 'GET',
    path: '/api/v1/pipeline',
    scope: 'read',
    summary: 'How the parts of Penstock are: brokers, lag, stored, dead, pending',
    query: closed({}),
    answer: pipeline,
  },
  listLetters: {
    method: 'GET',
    path: '/api/v1/dead',
    scope: 'read',
    summary: 'Dead letters: records that could not be stored, and rows that could not be read',
    description: 'Those that nobody has dealt with, the oldest first.',
    query: closed({
      topic: Type.Optional(topicName),
      after: Type.Optional(name('`next` of the answer before')),
      limit: Type.Optional(limit(1000, 100, 'Letters')),
    }),
    answer: letters.letterList,
    problems: ['unknown_topic', 'unavailable'],
  },
  retryLetters: {
    method: 'POST',
    path: '/api/v1/dead/retry',
    scope: 'admin',
    summary: 'Send the records of dead letters again',
    description: 'They go to the topic that they came from. A row of a file is no record, and is kept with the reason.',
    query: closed({ topic: Type.Optional(topicName) }),
    body: letters.letterChoice,
    answer: letters.lettersRetried,
    problems: ['unknown_topic', 'unavailable', 'disk_full'],
  },
  dropLetters: {
    method: 'POST',
    path: '/api/v1/dead/drop',
    scope: 'admin',
    summary: 'Put dead letters away',
    description: 'They are listed no more; the broker keeps them as long as its retention says.',
    query: closed({ topic: Type.Optional(topicName) }),
    body: letters.letterChoice,
    answer: letters.lettersDropped,
    problems: ['unknown_topic', 'unavailable'],
  },
  stream: {
    method: 'GET',
    path: '/api/v1/stream',
    scope: 'read',
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
    summary: 'Send one record or several to the broker',
    description: 'Answered when the broker has acknowledged them. One bad record refuses all, and is named.',
    query: closed({}),
    body: Type.Union([records.telemetryInput, Type.Array(records.telemetryInput, { minItems: 1, maxItems: 10_000 })]),
    answer: records.accepted,
    problems: ['bad_record', 'partition_full', 'unavailable'],
  },
} as const satisfies Record<string, Endpoint>

export type Contract = typeof contract
export type Operation = keyof Contract

type PartOf<Row, Name extends string, None> = Row extends { readonly [Key in Name]: infer Schema extends TSchema }
  ? Static<Schema>
  : None

export type ParamsOf<Name extends Operation> = PartOf<Contract[Name], 'params', Record<string, never>>
export type QueryOf<Name extends Operation> = PartOf<Contract[Name], 'query', Record<string, never>>
export type BodyOf<Name extends Operation> = PartOf<Contract[Name], 'body', undefined>
export type AnswerOf<Name extends Operation> = PartOf<Contract[Name], 'answer', never>

// What clients call the parts of the answers.
export type Gpu = Static<typeof gpus.gpu>
export type GpuReference = Static<typeof gpus.gpuReference>
export type LatestValue = Static<typeof gpus.latestValue>
export type GpuList = AnswerOf<'listGpus'>
export type Telemetry = AnswerOf<'getGpuTelemetry'>
export type TelemetrySeries = Static<typeof gpus.telemetrySeries>
export type Host = Static<typeof fleet.host>
export type Fleet = AnswerOf<'getFleet'>
export type Metric = Static<typeof fleet.metric>
export type Transfer = Static<typeof transfers.transfer>
export type Site = Static<typeof transfers.site>
export type Pipeline = AnswerOf<'getPipeline'>
export type BrokerPart = Static<typeof brokerPart>
export type TopicPart = Static<typeof topicPart>
export type StreamRecord = AnswerOf<'stream'>
export type ProblemAnswer = Static<typeof records.problem>
/** Data of `event: gap`. `missed` is null where nobody counted. */
export interface StreamGap {
  readonly reason: string
  readonly missed: number | null
}
/** Data of `event: state`. */
export interface StreamState {
  readonly live: boolean
  readonly reason: string | null
}
