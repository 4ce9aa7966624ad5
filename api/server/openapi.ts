/** The contract as an OpenAPI 3.1 file. Schemas with a `$id` become components, wherever they are used. */

import type { TSchema } from 'typebox'
import { type ProblemCode, problems } from '#wire/problems'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { mediaOfFormat } from '../formats/format.ts'
import { problem } from '../schemas/records.ts'
import { bodiesOf, mediaOf } from './bodies.ts'
import { queryOf } from './requests.ts'

type Json = Record<string, unknown>

/** What every route may answer beside what it is for. */
const commonProblems: readonly ProblemCode[] = [
  'bad_parameter',
  'unknown_parameter',
  'too_much',
  'unauthorized',
  'forbidden',
  'request_timeout',
  'rate_limited',
  'headers_too_large',
  'internal',
  'unavailable',
]

/** And those that take a body. */
const bodyProblems: readonly ProblemCode[] = ['bad_request', 'body_too_large', 'unsupported_type']

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
function contentOf({ events, rows, media }: Endpoint, schema: unknown): Json {
  if (events === true) return { 'text/event-stream': { schema } }
  if (rows === undefined) return { [media ?? 'application/json']: { schema } }
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

/** Refusals that say when to come again. */
const isForLater = (status: number) => status === 429 || status === 503

const laterHeaders = {
  'Retry-After': { description: 'Seconds after which to ask again', schema: { type: 'integer', minimum: 1 } },
}

/** By status, the titles of what it may mean. */
function problemsOf({ body, rows, influx, queued, problems: own = [] }: Endpoint, components: Json): Json {
  const implied = [
    ...(rows === undefined ? [] : ['not_acceptable']),
    ...(body === undefined ? [] : bodyProblems),
    ...(queued === true ? ['overloaded'] : []),
  ]
  const codes = new Set([...commonProblems, ...implied, ...own]) as Set<ProblemCode>
  const byStatus = Map.groupBy(codes, (code) => problems[code].status)
  const media = influx === undefined ? 'application/problem+json' : 'application/json'
  const content = { [media]: { schema: referring(problem, components) } }
  return Object.fromEntries(
    [...byStatus].map(([status, given]) => {
      const description = given.map((code) => `${problems[code].title} (\`${code}\`)`).join('; ')
      return [status, { description, ...(isForLater(status) ? { headers: laterHeaders } : {}), content }]
    }),
  )
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
