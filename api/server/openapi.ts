/** The contract as an OpenAPI 3.1 file. Schemas with a `$id` become components, wherever they are used. */

import type { TSchema } from 'typebox'
import { type ProblemCode, problems } from '#wire/problems'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { problem } from '../schemas/records.ts'

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
      },
    },
  }
}

function operationOf(row: Endpoint, operationId: string, components: Json): Json {
  const { summary, description, params, query, body, answer, events, media: textMedia, scope } = row
  const media = events === true ? 'text/event-stream' : (textMedia ?? 'application/json')
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [row.path.split('/')[3] ?? 'telemetry'],
    'x-scope': scope,
    parameters: [...parametersOf('path', params, components), ...parametersOf('query', query, components)],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: referring(body, components) } } } }),
    responses: {
      200: {
        description: events === true ? 'Events; the data of each is JSON' : 'What was asked for',
        content: { [media]: { schema: referring(answer, components) } },
      },
      ...problemsOf(row, components),
    },
  }
}

/** By status, the titles of what it may mean. */
function problemsOf({ body, problems: own = [] }: Endpoint, components: Json): Json {
  const codes = new Set([...commonProblems, ...(body === undefined ? [] : bodyProblems), ...own]) as Set<ProblemCode>
  const byStatus = Map.groupBy(codes, (code) => problems[code].status)
  const content = { 'application/problem+json': { schema: referring(problem, components) } }
  return Object.fromEntries(
    [...byStatus].map(([status, given]) => {
      const description = given.map((code) => `${problems[code].title} (\`${code}\`)`).join('; ')
      return [status, { description, content }]
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
