/**
 * An answer as a table. Its columns come from the schema of the answer:
 *
 * - a text, number, time or boolean is a column of its name; `null` stays nothing,
 * - an object with members of its own gives a column for each, `outer_inner`,
 * - a map to objects with a `value` (the newest values of a GPU) gives a column for each name that any row has,
 * - other maps and lists stay JSON, in one column.
 */

import type { TSchema } from 'typebox'
import type { RowsOf } from '../endpoint.ts'

export type ColumnType = 'text' | 'time' | 'number' | 'integer' | 'boolean' | 'json'

export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** Where the names do not tell it. */
  readonly unit: string | undefined
  /** `null`: nothing. */
  readonly read: (row: Row) => unknown
}

/** What a row is made of: the answer, an item of its list, and an entry of the list in that. */
export interface Row {
  readonly answer: Members
  readonly item: Members
  readonly entry: Members | undefined
}

export interface Table {
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  /** The items are the rows as they are: where a row may be an object, its members need not become columns. */
  readonly isPlain: boolean
}

type Members = Readonly<Record<string, unknown>>

interface Schema {
  readonly type?: string
  readonly format?: string
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly patternProperties?: Readonly<Record<string, TSchema>>
  readonly items?: TSchema
  readonly anyOf?: readonly TSchema[]
}

export function tableOf(answerSchema: TSchema, rowsOf: RowsOf, answer: Members): Table {
  const { of, each, with: repeated = [], columns: wanted } = rowsOf
  const items = answer[of] as readonly Members[]
  const rows = items.flatMap((item): Row[] => {
    if (each === undefined) return [{ answer, item, entry: undefined }]
    return (item[each] as readonly Members[]).map((entry) => ({ answer, item, entry }))
  })
  const itemSchema = within(within(answerSchema, of))
  const all = [
    ...columnsOf(picked(answerSchema, repeated), (row) => row.answer, rows, answer),
    ...columnsOf(without(itemSchema, each), (row) => row.item, rows, answer),
    ...(each === undefined ? [] : columnsOf(within(within(itemSchema, each)), (row) => row.entry, rows, answer)),
  ]
  const columns =
    wanted === undefined ? all : wanted.map((name) => all.find((column) => column.name === name) as Column)
  return { columns, rows, isPlain: each === undefined && repeated.length === 0 && wanted === undefined }
}

type Source = (row: Row) => Members | undefined | null

function columnsOf(schema: Schema, source: Source, rows: readonly Row[], answer: Members, prefix = ''): Column[] {
  return Object.entries(schema.properties ?? {}).flatMap(([member, raw]): Column[] => {
    const own = bare(raw)
    const name = prefix + member
    const inner = (row: Row) => source(row)?.[member] as Members | undefined | null
    if (own.properties !== undefined) return columnsOf(own, inner, rows, answer, `${name}_`)
    const mapped =
      own.patternProperties === undefined ? undefined : bare(Object.values(own.patternProperties)[0] as TSchema)
    const value = mapped?.properties?.['value']
    if (value === undefined) return [{ name, type: typeOf(own), unit: undefined, read: (row) => inner(row) ?? null }]
    const units = (answer['units'] ?? {}) as Readonly<Record<string, string>>
    return [...new Set(rows.flatMap((row) => Object.keys(inner(row) ?? {})))].sort().map((key) => ({
      name: prefix + key,
      type: typeOf(bare(value)),
      unit: units[key],
      read: (row) => (inner(row)?.[key] as Members | undefined)?.['value'] ?? null,
    }))
  })
}

function typeOf({ type, format, patternProperties }: Schema): ColumnType {
  if (type === 'array' || patternProperties !== undefined) return 'json'
  if (type === 'string') return format === 'date-time' ? 'time' : 'text'
  if (type === 'number' || type === 'integer' || type === 'boolean') return type
  // A list of words.
  return 'text'
}

/** A schema without the `null` that it allows. */
function bare(schema: TSchema): Schema {
  const given = schema as Schema
  const branches = given.anyOf?.filter((branch) => (branch as Schema).type !== 'null') ?? []
  return branches.length === 1 ? (branches[0] as Schema) : given
}

/** Of a member of an object, or of the items of a list. */
function within(schema: Schema, member?: string): Schema {
  const inner = member === undefined ? schema.items : schema.properties?.[member]
  if (inner === undefined) throw new Error(`the schema has no ${member ?? 'items'}`)
  return bare(inner)
}

function picked({ properties = {} }: Schema, names: readonly string[]): Schema {
  return { properties: Object.fromEntries(names.map((name) => [name, properties[name] as TSchema])) }
}

function without({ properties = {} }: Schema, name: string | undefined): Schema {
  return { properties: Object.fromEntries(Object.entries(properties).filter(([member]) => member !== name)) }
}
