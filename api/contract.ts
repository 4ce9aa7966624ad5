/**
 * The API as one table of routes. Fastify, the OpenAPI file, the tests of every route and the types of the dashboard are
 * made from it; a handler that answers in another shape does not compile.
 */

import type { Static, TSchema } from 'typebox'
import type { Endpoint } from './endpoint.ts'
import { fleetEndpoints } from './endpoints/fleet.ts'
import { gpusEndpoints } from './endpoints/gpus.ts'
import { keysEndpoints } from './endpoints/keys.ts'
import { pipelineEndpoints } from './endpoints/pipeline.ts'
import { recordsEndpoints } from './endpoints/records.ts'
import { transfersEndpoints } from './endpoints/transfers.ts'
import type * as fleet from './schemas/fleet.ts'
import type * as gpus from './schemas/gpus.ts'
import type { keyInfo } from './schemas/keys.ts'
import type { brokerPart, topicPart } from './schemas/pipeline.ts'
import type * as records from './schemas/records.ts'
import type * as transfers from './schemas/transfers.ts'

export const contract = {
  ...gpusEndpoints,
  ...fleetEndpoints,
  ...transfersEndpoints,
  ...pipelineEndpoints,
  ...keysEndpoints,
  ...recordsEndpoints,
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
export type KeyInfo = Static<typeof keyInfo>
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
