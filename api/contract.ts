/**
 * The API as one table of routes. Fastify, the OpenAPI file, the tests of every route and the types of the dashboard are
 * made from it; a handler that answers in another shape does not compile.
 */

import type { Static, TSchema } from 'typebox'
import type { Endpoint } from './endpoint.ts'
import { brokerEndpoints } from './endpoints/broker.ts'
import { fleetEndpoints } from './endpoints/fleet.ts'
import { gpusEndpoints } from './endpoints/gpus.ts'
import { keysEndpoints } from './endpoints/keys.ts'
import { linesEndpoints } from './endpoints/lines.ts'
import { ownersEndpoints } from './endpoints/owners.ts'
import { pipelineEndpoints } from './endpoints/pipeline.ts'
import { questionsEndpoints } from './endpoints/questions.ts'
import { recordsEndpoints } from './endpoints/records.ts'
import { transfersEndpoints } from './endpoints/transfers.ts'
import { viewsEndpoints } from './endpoints/views.ts'
import type * as broker from './schemas/broker.ts'
import type * as fleet from './schemas/fleet.ts'
import type * as gpus from './schemas/gpus.ts'
import type * as links from './schemas/links.ts'
import type { keyInfo } from './schemas/keys.ts'
import type { brokerPart, topicPart } from './schemas/pipeline.ts'
import type * as transfers from './schemas/transfers.ts'
import type * as views from './schemas/views.ts'

export const contract = {
  ...gpusEndpoints,
  ...ownersEndpoints,
  ...questionsEndpoints,
  ...fleetEndpoints,
  ...transfersEndpoints,
  ...viewsEndpoints,
  ...pipelineEndpoints,
  ...brokerEndpoints,
  ...keysEndpoints,
  ...recordsEndpoints,
  ...linesEndpoints,
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
export type Model = Static<typeof views.model>
export type Freshness = Static<typeof views.freshness>
export type Transfer = Static<typeof transfers.transfer>
export type Link = AnswerOf<'getLink'>
export type TransferError = Static<typeof links.transferError>
export type Site = Static<typeof transfers.site>
export type Pipeline = AnswerOf<'getPipeline'>
export type BrokerPart = Static<typeof brokerPart>
export type TopicPart = Static<typeof topicPart>
export type Topic = Static<typeof broker.topic>
export type Group = Static<typeof broker.group>
export type Audit = AnswerOf<'getAudit'>
export type StreamRecord = AnswerOf<'stream'>
export type KeyInfo = Static<typeof keyInfo>
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
