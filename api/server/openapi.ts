/** The contract as an OpenAPI 3.1 file. Schemas with a `$id` become components, wherever they are used. */

import type { TSchema } from 'typebox'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { problem } from '../schemas/records.ts'

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
  unknown_key: [404, 'No such key'],
  key_ended: [409, 'The key works no more'],
  ambiguous_gpu: [409, 'The id fits several GPUs; `candidates` lists them'],
  partition_full: [429, 'Too many requests, or consumers are behind; `Retry-After` says when'],
  unavailable: [503, 'The broker does not answer'],
}

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
  const { summary, description, params, query, body, answer, events, scope } = row
  const media = events === true ? 'text/event-stream' : 'application/json'
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

function problemsOf({ problems = [] }: Endpoint, components: Json): Json {
  const own = problems.flatMap((code) => (statusOfProblem[code] === undefined ? [] : [statusOfProblem[code]]))
  const all = { ...commonProblems, ...Object.fromEntries(own) }
  const content = { 'application/problem+json': { schema: referring(problem, components) } }
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
