/**
 * Query parameters by a table, so that each route refuses the same things in the same words.
 *
 *     const { topic, max } = readQuery(request, {
 *       topic: query.text({ required: true }),
 *       max: query.integer({ min: 1, max: 10_000 }),
 *     })
 */

import { Problem } from '#wire/problems'
import { parseDuration, parseInteger } from '../quantity.ts'
import type { Request } from './http.ts'

/** One parameter. `T` includes `undefined` unless it is required. */
export interface Parameter<T> {
  readonly want: string
  readonly required: boolean
  /** `undefined` for a wrong value. */
  parse(text: string): T | undefined
}

/** `any`, because a table holds parameters of all types, and {@link Values} finds out which. */
type ParameterTable = Readonly<Record<string, Parameter<any>>>

type Values<Table extends ParameterTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Parameter<infer Value> ? Value : never
}

interface Kind<T, Limits> {
  (options: Limits & { readonly required: true }): Parameter<T>
  (options?: Limits): Parameter<T | undefined>
}

function kind<T, Limits extends object>(
  make: (limits: Partial<Limits>) => { want: string; parse(text: string): T | undefined },
): Kind<T, Limits> {
  return (options?: Partial<Limits> & { readonly required?: boolean }) => ({
    required: options?.required === true,
    ...make(options ?? {}),
  })
}

/** The kinds of parameters. */
export const query = {
  /** A text that is not empty. */
  text: kind<string, object>(() => ({ want: 'a text', parse: (text) => (text === '' ? undefined : text) })),
  integer: kind<number, { readonly min?: number; readonly max?: number }>(({ min, max }) => ({
    want: `a whole number${range(min, max)}`,
    parse: (text) => within(parseInteger(text), min, max),
  })),
  /** Milliseconds; the limits are written as in a request: `1s`, `12h`. */
  duration: kind<number, { readonly min?: string; readonly max?: string }>(({ min, max }) => ({
    want: `a duration${range(min, max) || ' such as 30s'}`,
    parse: (text) => within(parseDuration(text), min && parseDuration(min), max && parseDuration(max)),
  })),
  boolean: kind<boolean, object>(() => ({
    want: 'true or false',
    parse: (text) => (text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : undefined),
  })),
  choice,
}

function choice<const Value extends string>(
  values: readonly Value[],
  options: { readonly required: true },
): Parameter<Value>
function choice<const Value extends string>(values: readonly Value[]): Parameter<Value | undefined>
function choice(values: readonly string[], options: { readonly required?: boolean } = {}): Parameter<string> {
  return {
    want: `${values.length === 1 ? '' : 'one of '}${values.join(', ')}`,
    required: options.required === true,
    parse: (text) => values.find((value) => value === text),
  }
}

/**
 * The parameters of a request.
 *
 * @throws Problem `unknown_parameter` (naming the nearest known one), `missing_parameter` or `bad_parameter` (also for a
 *   parameter given twice)
 */
export function readQuery<const Table extends ParameterTable>(request: Request, table: Table): Values<Table> {
  const given = request.query
  const values: Record<string, unknown> = {}
  for (const name of given.keys()) {
    if (!Object.hasOwn(table, name)) throw unknownParameter(name, Object.keys(table))
  }
  for (const [name, parameter] of Object.entries(table)) {
    const texts = given.getAll(name)
    if (texts.length > 1) throw bad(name, `${name} is given ${texts.length} times`)
    const text = texts[0]
    if (text === undefined) {
      if (parameter.required) {
        throw new Problem('missing_parameter', `${name} is missing: want ${parameter.want}`, { parameter: name })
      }
      values[name] = undefined
      continue
    }
    const value: unknown = parameter.parse(text)
    if (value === undefined) throw bad(name, `${name}=${shown(text)}: want ${parameter.want}`)
    values[name] = value
  }
  return values as Values<Table>
}

function bad(parameter: string, detail: string): Problem {
  return new Problem('bad_parameter', detail, { parameter })
}

function unknownParameter(name: string, known: readonly string[]): Problem {
  const extra = { parameter: name }
  if (known.length === 0) {
    return new Problem('unknown_parameter', `${shown(name)} is not known: this path takes no parameters`, extra)
  }
  const near = nearest(name, known)
  const hint = near === undefined ? `this path takes ${known.join(', ')}` : `did you mean ${near}?`
  return new Problem('unknown_parameter', `${shown(name)} is not known: ${hint}`, extra)
}

/**
 * The known name that is the fewest edits away, if that is few enough to be what was meant.
 *
 * @param editsMax how many are few
 */
export function nearest(
  name: string,
  known: readonly string[],
  editsMax = Math.max(2, Math.ceil(name.length / 3)),
): string | undefined {
  // A very long name is nobody's slip, and the distance takes the product of both lengths.
  if (name.length > 64) return undefined
  let best: string | undefined
  let bestEdits = editsMax + 1
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (edits < bestEdits) [best, bestEdits] = [candidate, edits]
  }
  return best
}

/** Levenshtein's distance: inserted, deleted and replaced characters (Wagner and Fischer, one row kept). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let line = 1; line <= a.length; line++) {
    const next = [line]
    for (let column = 1; column <= b.length; column++) {
      const replaced = (row[column - 1] as number) + (a[line - 1] === b[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] as number) + 1, (next[column - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

function within(value: number | undefined, min?: number | '', max?: number | ''): number | undefined {
  if (value === undefined) return undefined
  if (typeof min === 'number' && value < min) return undefined
  return typeof max === 'number' && value > max ? undefined : value
}

function range(min: string | number | undefined, max: string | number | undefined): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`
  if (min !== undefined) return ` of at least ${min}`
  return max === undefined ? '' : ` of at most ${max}`
}

/** As much of what a client sent as a message should repeat. */
function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
