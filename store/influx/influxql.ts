/** InfluxQL, the one query language that InfluxDB 1.x, 2.x and 3.x share: how texts stand in it, and what its answers are. */

import type { Instant } from '#telemetry/time'
import { parseTime } from '#telemetry/time'
import { type Tags, timeDigits } from './lines.ts'

export type Cell = string | number | boolean | null

/** The rows of one series, or of all where none were asked for apart. */
export interface Series {
  readonly name: string
  readonly tags: Tags
  /** `time` first, RFC 3339. */
  readonly columns: readonly string[]
  readonly values: readonly (readonly Cell[])[]
}

/** A text as a literal. */
export function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n')}'`
}

/** A name, such as that of a database or a tag. */
export function named(name: string): string {
  return `"${name.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`
}

/** Conditions joined by AND; what is `undefined` is none. */
export function where(...conditions: readonly (string | undefined)[]): string {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.length === 0 ? '' : ` WHERE ${given.join(' AND ')}`
}

/** A tag that is one of these. @param contents as `tagText` makes them; `''` is a series that has no such tag */
export function oneOf(tag: string, contents: Iterable<string>): string | undefined {
  const conditions = [...contents].map((content) => `${named(tag)} = ${quoted(content)}`)
  return conditions.length === 0 ? undefined : `(${conditions.join(' OR ')})`
}

export function timeFrom(instant: Instant): string {
  return `time >= ${timeDigits(instant)}`
}

export function timeBefore(instant: Instant): string {
  return `time < ${timeDigits(instant)}`
}

/**
 * Puts the pieces of a chunked answer together, as they come.
 *
 * @see https://docs.influxdata.com/influxdb/v1/tools/api/#query-http-endpoint (`chunked`)
 */
export class Answer {
  /** By statement. */
  readonly #results: Series[][] = []
  #rest = ''
  #error: string | undefined

  /** Why the server did not answer one of the statements. */
  get error(): string | undefined {
    return this.#error
  }

  feed(text: string): void {
    // Texts in JSON have no raw newline, so each line is whole.
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() as string
    for (const line of lines) this.#line(line)
  }

  /** The series of each statement, of as many as were asked. */
  end(statements: number): Series[][] {
    this.#line(this.#rest)
    this.#rest = ''
    return Array.from({ length: statements }, (_, index) => this.#results[index] ?? [])
  }

  #line(line: string): void {
    if (line.trim() === '') return
    const { results = [], error } = JSON.parse(line) as Chunk
    this.#error ??= error
    for (const result of results) {
      this.#error ??= result.error
      const all = (this.#results[result.statement_id ?? 0] ??= [])
      for (const { name = '', tags = {}, columns, values = [] } of result.series ?? []) {
        const last = all.at(-1)
        if (last !== undefined && last.name === name && isSame(last.tags, tags)) {
          const rows = last.values as Cell[][]
          for (const row of values) rows.push(row as Cell[])
        } else all.push({ name, tags, columns, values })
      }
    }
  }
}

interface Chunk {
  readonly error?: string
  readonly results?: readonly {
    readonly statement_id?: number
    readonly error?: string
    readonly series?: readonly (Pick<Series, 'columns'> & Partial<Series>)[]
  }[]
}

function isSame(a: Tags, b: Tags): boolean {
  return Object.keys(a).every((name) => a[name] === b[name])
}

/** Rows as objects, by the names of their columns. */
export function rowsOf({ columns, values }: Series): Record<string, Cell>[] {
  return values.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index] ?? null])))
}

/** The time of a row. */
export function instantOf(time: Cell | undefined): Instant {
  const instant = parseTime(String(time))
  if (instant === undefined) throw new Error(`a time that is none: ${String(time)}`)
  return instant
}
