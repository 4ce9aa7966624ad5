/** The contract as an OpenAPI 3.1 file. Schemas with a `$id` become components, wherever they are used. */

import type { TSchema } from 'typebox'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { mediaOfFormat } from '../formats/format.ts'
import { problem } from '../schemas/records.ts'
import { bodiesOf, mediaOf } from './bodies.ts'
import { queryOf } from './requests.ts'

type Json = Record<string, unknown>

/** What every route may answer beside what it is for. */
const commonProblems: Readonly<Record<number, string>> = {
  400: 'A parameter or the body is wrong; `detail` says what would be right',
  401: 'No valid key',
  429: 'Too many requests; `Retry-After` says when',
  500: 'An error of ours; the log has it under the request id',
}

const statusOfProblem: Readonly<Record<string, readonly [number, string]>> = {
  unknown_gpu: [404, 'No such GPU'],
  unknown_metric: [404, 'No such metric'],
  ambiguous_gpu: [409, 'The id fits several GPUs; `candidates` lists them'],
  partition_full: [429, 'Too many requests, or consumers are behind; `Retry-After` says when'],
  not_acceptable: [406, 'No format of the answer is one that `Accept` names'],
  body_too_large: [413, 'The body is over the limit, as it came or inflated'],
  unsupported_type: [415, 'The body is of a type, or compressed in a way, that this path does not take'],
  unavailable: [503, 'The broker does not answer'],
}

/** Of every route that takes a body. */
const bodyProblems = ['body_too_large', 'unsupported_type']

export function openApi(version: string): Json {
  const components: Json = {}
  const paths: Record<string, Json> = {}
  for (const [operationId, row] of Object.entries<Endpoint>(contract)) {
    for (const [place, path] of [row.path, ...(row.also ?? [])].entries()) {
      const id = place === 0 ? operationId : `${operationId}${place + 1}`
      paths[path] = { ...paths[path], [row.method.toLowerCase()]: operationOf(row, id, components) }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Penstock',
      version,
      description:
        'GPU and data-transfer telemetry. Every refusal is `application/problem+json` with a stable `code`; `null` is ' +
        'always *not reported* or *not known*, never zero; times are RFC 3339 in UTC.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }, { bearer: [] }],
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        bearer: { type: 'http', scheme: 'bearer' },
        token: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'Token KEY, as to InfluxDB 2' },
        basic: { type: 'http', scheme: 'basic', description: 'The key is the password, as to InfluxDB 1' },
      },
    },
  }
}

function operationOf(row: Endpoint, operationId: string, components: Json): Json {
  const { summary, description, params, answer, events, scope, influx } = row
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [row.path.split('/')[3] ?? 'telemetry'],
    'x-scope': scope,
    parameters: [...parametersOf('path', params, components), ...parametersOf('query', queryOf(row), components)],
    // Clients of InfluxDB carry their keys as they are used to.
    ...(influx === undefined ? {} : { security: [{ apiKey: [] }, { bearer: [] }, { token: [] }, { basic: [] }] }),
    ...requestOf(row, components),
    responses: {
      ...(row.empty === true
        ? { 204: { description: 'Taken' } }
        : {
            200: {
              description: events === true ? 'Events; the data of each is JSON' : 'What was asked for',
              ...(row.rows === undefined ? {} : { headers: restHeaders }),
              content: { ...contentOf(row, referring(answer, components)) },
            },
          }),
      ...(row.etag === true ? { 304: { description: 'It is what If-None-Match names' } } : {}),
      ...problemsOf(row, components),
    },
  }
}

/** A list may be had in other formats; what their rows are is told by the description. */
function contentOf({ events, rows }: Endpoint, schema: unknown): Json {
  if (events === true) return { 'text/event-stream': { schema } }
  if (rows === undefined) return { 'application/json': { schema } }
  const { json, ...others } = mediaOfFormat
  const texts = Object.values(others).map((media) => [media, { schema: { type: 'string' } }] as const)
  return { [json]: { schema }, ...Object.fromEntries(texts) }
}

/** Of answers that are no JSON. */
const restHeaders = {
  'Penstock-Truncated': { description: 'true: there is more', schema: { type: 'string', enum: ['true', 'false'] } },
  'Penstock-Cursor': { description: 'The `cursor` of the next page', schema: { type: 'string' } },
  Link: { description: 'The next page: rel="next"', schema: { type: 'string' } },
}

function requestOf(row: Endpoint, components: Json): Json {
  const kinds = bodiesOf(row)
  if (kinds.length === 0) return {}
  const schema = referring(row.body, components)
  const content = Object.fromEntries(
    kinds.map((kind) => [mediaOf[kind], { schema: kind === 'ndjson' ? { type: 'string' } : schema }]),
  )
  return { requestBody: { required: !kinds.includes('form'), content } }
}

function problemsOf({ problems = [], rows, body, influx }: Endpoint, components: Json): Json {
  const implied = [...(rows === undefined ? [] : ['not_acceptable']), ...(body === undefined ? [] : bodyProblems)]
  const own = [...implied, ...problems].flatMap((code) =>
    statusOfProblem[code] === undefined ? [] : [statusOfProblem[code]],
  )
  const all = { ...commonProblems, ...Object.fromEntries(own) }
  const media = influx === undefined ? 'application/problem+json' : 'application/json'
  const content = { [media]: { schema: referring(problem, components) } }
  return Object.fromEntries(Object.entries(all).map(([status, description]) => [status, { description, content }]))
}

function parametersOf(place: 'path' | 'query', schema: Endpoint['query'], components: Json): Json[] {
  if (schema === undefined) return []
  const required = (schema as { readonly required?: readonly string[] }).required ?? []
  return Object.entries<TSchema>(schema.properties).map(([name, member]) => {
    const { description, examples: _, ...own } = referring(member, components) as Json
    return {
      name,
      in: place,
      required: place === 'path' || (required.includes(name) && own['default'] === undefined),
      ...(description === undefined ? {} : { description }),
      schema: own,
    }
  })
}

/** A schema as JSON, in which those that have an id are references to components. */
export function referring(schema: unknown, components: Json): unknown {
  if (Array.isArray(schema)) return schema.map((item) => referring(item, components))
  if (typeof schema !== 'object' || schema === null) return schema
  const { $id, ...members } = schema as Json
  const plain = Object.fromEntries(Object.entries(members).map(([name, value]) => [name, referring(value, components)]))
  if (typeof $id !== 'string') return plain
  components[$id] ??= plain
  return { $ref: `#/components/schemas/${$id}` }
}
