/**
 * Reads the parts of a request by the contract, and says what would have been right.
 *
 * TypeBox checks them, not Fastify's Ajv: that one turns what does not fit into what does (`null` into 0), and here a
 * value that was not reported must stay one.
 */

import type { TSchema } from 'typebox'
import { nearest } from '#lib/http/query'
import { parseInteger } from '#lib/quantity'
import { Problem } from '#wire/problems'
import type { Endpoint } from '../endpoint.ts'
import { formats } from '../formats/format.ts'
import { type Check, checkOf } from '../schemas/check.ts'
import { Type } from '../schemas/type.ts'
import { bodiesOf, Lines } from './bodies.ts'

type Schema = Readonly<Record<string, unknown>>
type Given = Readonly<Record<string, unknown>>

export interface RequestReader {
  /** @throws Problem */
  params(given: unknown): Given
  /** @param given a text for a parameter, several for one that is repeated @throws Problem */
  query(given: unknown): Given
  /** @throws Problem `bad_record`, or `bad_request` where the body is no record */
  body(given: unknown): { readonly body: unknown; readonly lines: readonly number[] | undefined }
}

/** What is said of a wrong body. */
type BodyProblem = 'bad_record' | 'bad_request'

export function requestReader(row: Endpoint): RequestReader {
  const { params, body } = row
  const readParams = parameterReader(params)
  const readQuery = parameterReader(queryOf(row))
  const kinds = bodiesOf(row)
  const readBody = body === undefined || kinds.includes('lines') ? undefined : bodyReader(body)
  return {
    params: (given) => readParams((given ?? {}) as Given),
    query: (given) => readQuery((given ?? {}) as Given),
    body(given) {
      if (kinds.includes('lines')) return { body: given ?? new Uint8Array(), lines: undefined }
      if (readBody === undefined) return { body: undefined, lines: undefined }
      const asked = given ?? (kinds.includes('form') ? {} : given)
      if (!(asked instanceof Lines)) return { body: readBody(asked, undefined), lines: undefined }
      return { body: readBody([...asked.values], asked.lines), lines: asked.lines }
    },
  }
}

/** What a row takes in its query, with what the server adds to it. */
export function queryOf({ query, rows }: Endpoint): Endpoint['query'] {
  if (query === undefined || rows === undefined) return query
  const description = 'What the answer is in; default: what Accept says, else json'
  const format = Type.Optional(Type.Enum([...formats], { description }))
  return Type.Object({ ...query.properties, format }, { additionalProperties: false })
}

function parameterReader(schema: Endpoint['query']): (given: Given) => Given {
  const properties = (schema?.properties ?? {}) as Readonly<Record<string, TSchema>>
  const required = ((schema as Schema | undefined)?.['required'] ?? []) as readonly string[]
  const checks = new Map(Object.entries(properties).map(([name, own]) => [name, checkOf(own)]))
  const known = [...checks.keys()]
  return (given) => {
    const values: Record<string, unknown> = {}
    for (const [rawName, raw] of Object.entries(given)) {
      // `metric[]=a` is how some clients write a list.
      const name = rawName.endsWith('[]') ? rawName.slice(0, -2) : rawName
      const check = checks.get(name)
      if (check === undefined) throw unknownParameter(rawName, known)
      const own = properties[name] as Schema
      const before = (values[name] ?? []) as readonly unknown[]
      const value = own['type'] === 'array' ? [...before, ...[raw].flat()] : readScalar(name, raw, own)
      if (!check.fits(value)) throw badParameter(name, raw, own)
      values[name] = value
    }
    const missing = required.find((name) => values[name] === undefined)
    if (missing === undefined) return values
    const want = wantOf(properties[missing] as Schema)
    throw new Problem('missing_parameter', `${missing} is missing: want ${want}`, { parameter: missing })
  }
}

function readScalar(name: string, raw: unknown, schema: Schema): unknown {
  if (Array.isArray(raw)) {
    throw new Problem('bad_parameter', `${name} is given ${raw.length} times`, { parameter: name })
  }
  return schema['type'] === 'integer' ? (parseInteger(String(raw)) ?? raw) : raw
}

function unknownParameter(name: string, known: readonly string[]): Problem {
  const shown = name.slice(0, 100)
  // Not by one letter: `p` begins many a word.
  const begins = (long: string, short: string) => short.length > 1 && long.startsWith(short)
  const near = known.find((one) => begins(name, one) || begins(one, name)) ?? nearest(name, known)
  const others = known.length === 0 ? 'this path takes no parameters' : `this path takes ${known.join(', ')}`
  const hint = near === undefined ? others : `did you mean ${near}?`
  return new Problem('unknown_parameter', `${shown} is not known: ${hint}`, { parameter: shown })
}

function badParameter(name: string, raw: unknown, schema: Schema): Problem {
  const shown = String(raw).slice(0, 100)
  return new Problem('bad_parameter', `${name}=${shown}: want ${wantOf(schema)}`, { parameter: name })
}

/** What a parameter takes, in words. */
function wantOf(schema: Schema): string {
  const { type, minimum, maximum, minLength, maxLength, maxItems, enum: values, items, pattern } = schema
  if (Array.isArray(values)) return `one of ${values.join(', ')}`
  if (type === 'integer') return `a whole number from ${String(minimum)} to ${String(maximum)}`
  if (type === 'array') return `up to ${String(maxItems)} times ${wantOf(items as Schema)}`
  if (pattern !== undefined) return 'a duration such as 500ms, 30s, 5m or 1h'
  if (maxLength !== undefined) return `a text of ${Number(minLength)} to ${Number(maxLength)} characters`
  return minLength === undefined ? 'a text' : 'a text that is not empty'
}

/** A body is one record or an array of them: the flaw is told of the record that has it. */
function bodyReader(schema: TSchema): (given: unknown, lines: readonly number[] | undefined) => unknown {
  const branches = ((schema as Schema)['anyOf'] ?? [schema]) as readonly TSchema[]
  const isList = (branch: TSchema) => (branch as Schema)['type'] === 'array'
  const one = branches.find((branch) => !isList(branch))
  const list = branches.find(isList)
  const check = checkOf(one ?? schema)
  const members = Object.keys(((one ?? schema) as { readonly properties?: object }).properties ?? {})
  // Only records come in lists.
  const code: BodyProblem = list === undefined ? 'bad_request' : 'bad_record'
  return (given, lines) => {
    if (!Array.isArray(given) || list === undefined) {
      checkRecord(check, given, '', undefined, members, code)
      return given
    }
    const max = Number((list as Schema)['maxItems'] ?? Infinity)
    if (given.length === 0) {
      throw new Problem('empty_batch', lines === undefined ? 'the body is an empty array' : 'the body has no line')
    }
    if (given.length > max) throw new Problem('bad_record', `the body has ${given.length} records: want ${max} at most`)
    given.forEach((item, index) => {
      const line = lines?.[index] ?? index + 1
      const where = lines === undefined ? `record ${line} of ${given.length}: ` : `line ${line}: `
      checkRecord(check, item, where, line, members, code)
    })
    return given
  }
}

function checkRecord(
  check: Check,
  given: unknown,
  where: string,
  line: number | undefined,
  members: readonly string[],
  code: BodyProblem,
): void {
  if (check.fits(given)) return
  const extra = line === undefined ? {} : { line }
  if (typeof given !== 'object' || given === null) throw new Problem(code, `${where}want a JSON object`, extra)
  const stranger = Object.keys(given).find((name) => !members.includes(name))
  if (stranger !== undefined) {
    const near = nearest(stranger, members)
    const hint =
      near === undefined
        ? code === 'bad_record'
          ? 'put it into labels'
          : `want ${members.join(', ')}`
        : `did you mean ${near}?`
    throw new Problem(code, `${where}${stranger.slice(0, 100)} is not known: ${hint}`, extra)
  }
  const flaws = check.flaws(given)
  const missing = flaws.flatMap(({ params }) => ('requiredProperties' in params ? params.requiredProperties : []))
  if (missing.length > 0) throw new Problem(code, `${where}${missing.join(' and ')} is missing`, extra)
  const place = flaws.at(-1)?.instancePath ?? ''
  // A union's last flaw says that no branch fits; its branches say what would.
  const branches = flaws.filter(({ instancePath, keyword }) => instancePath === place && keyword !== 'anyOf')
  const want = branches.map(({ message }) => message.replace(/^must /, '')).join(' or ')
  throw new Problem(code, `${where}${place.slice(1).replaceAll('/', '.')} must ${want}`, extra)
}
