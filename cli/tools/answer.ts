/** An answer of the API as text for a terminal: a chart where it has values over time, else a table. Pure. */

import { sparkline } from '../sparkline.ts'
import { type Column, formatNumber, formatTable, printable } from '../table.ts'

type Json = Readonly<Record<string, unknown>>

interface Point {
  readonly time: string
  readonly value: number | null
}

/** Of a line of blocks no more fits beside the figures. */
const chartWidth = 48

/** What every answer has, and says nothing about the rows. */
const common = new Set(['as_of', 'truncated', 'cursor', 'next', 'units'])

/** Names that the metrics of the catalogue have in common. */
const prefix = /^DCGM_FI_(DEV|PROF)_/

/**
 * The lines of an answer, each with a newline: its series as charts; or its members, one a line, and its rows as a table.
 * Empty where there is nothing of them.
 */
export function answerText(answer: Json): string {
  const series = seriesIn(answer)
  if (series !== undefined) return chartText(series)
  const own = Object.fromEntries(Object.entries(answer).filter(([name]) => !common.has(name)))
  const rows = rowsIn(own)
  if (rows === undefined) {
    const [only, ...others] = Object.values(own)
    // `{ as_of, gpu: { … } }` is about the GPU.
    return membersText(others.length === 0 && isObject(only) ? only : own)
  }
  const about = membersText(Object.fromEntries(Object.entries(own).filter(([, value]) => value !== rows)))
  const table = rows.length === 0 ? '' : tableText(rows)
  return about === '' || table === '' ? about + table : `${about}\n${table}`
}

/** How an answer that is cut goes on, in words; `undefined` where it is whole. */
export function moreOf(answer: Json): string | undefined {
  if (answer['truncated'] !== true) return undefined
  const { cursor } = answer
  return typeof cursor === 'string' ? `there is more: cursor=${cursor}` : 'there is more: narrow it, or raise limit='
}

interface Series {
  readonly name: string
  readonly unit: string
  readonly points: readonly Point[]
}

/** The series of an answer: its own `values`, or those of each of its rows. */
function seriesIn(answer: Json): readonly Series[] | undefined {
  if (isPoints(answer['values'])) return [seriesOf(answer, answer['values'])]
  const rows = rowsIn(answer)
  if (rows === undefined || rows.length === 0 || !rows.every((row) => isPoints(row['values']))) return undefined
  return rows.map((row) => seriesOf(row, row['values'] as readonly Point[]))
}

function seriesOf(row: Json, points: readonly Point[]): Series {
  const { unit, metric, labels, group } = row
  const parts = [typeof metric === 'string' ? metric.replace(prefix, '') : '', textOf(group), textOf(labels)]
  return { name: parts.filter((part) => part !== '').join(' '), unit: textOf(unit), points }
}

function chartText(series: readonly Series[]): string {
  const figure = (of: (values: readonly number[]) => number | undefined) => (each: Series) => {
    return of(each.points.flatMap(({ value }) => (value === null ? [] : [value])))
  }
  return formatTable<Series>(
    [
      { head: 'SERIES', of: ({ name }) => name },
      { head: 'UNIT', of: ({ unit }) => unit },
      {
        head: 'OVER TIME',
        of: ({ points }) =>
          sparkline(
            points.map(({ value }) => value),
            chartWidth,
          ),
      },
      {
        head: 'MIN',
        of: figure((values) => values.reduce<number | undefined>((a, b) => Math.min(a ?? b, b), undefined)),
      },
      {
        head: 'MEAN',
        of: figure((values) => (values.length === 0 ? undefined : values.reduce((a, b) => a + b, 0) / values.length)),
      },
      {
        head: 'MAX',
        of: figure((values) => values.reduce<number | undefined>((a, b) => Math.max(a ?? b, b), undefined)),
      },
      { head: 'LAST', of: ({ points }) => points.at(-1)?.value },
      { head: 'AT', of: ({ points }) => points.at(-1)?.time },
    ],
    series,
  )
}

/** The one list of an answer that is made of objects. */
function rowsIn(answer: Json): readonly Json[] | undefined {
  const lists = Object.values(answer).filter((value): value is readonly Json[] => {
    return Array.isArray(value) && value.every(isObject)
  })
  return lists.length === 1 ? lists[0] : undefined
}

/** Columns that are empty from top to bottom are left out; newest values become a column a metric. */
function tableText(rows: readonly Json[]): string {
  const flat = rows.map(flattened)
  const names = new Set(flat.flatMap((row) => Object.keys(row)))
  // Where no GPU is in slices: the one is the other.
  if (flat.every((row) => row['uuid'] === row['id'])) names.delete('uuid')
  const columns = [...names]
    .map((name): Column<Json> => ({ head: name.replace(prefix, '').toUpperCase(), of: (row) => cellOf(row[name]) }))
    .filter(({ of }) => flat.some((row) => (of(row) ?? '') !== ''))
  return formatTable(columns, flat)
}

function flattened(row: Json): Json {
  const values = row['values']
  if (!isObject(values)) return row
  const { values: _, ...own } = row
  const newest = Object.entries(values).map(([metric, reading]) => [
    metric,
    isObject(reading) ? reading['value'] : reading,
  ])
  return { ...own, ...(Object.fromEntries(newest) as Json) }
}

function membersText(members: Json): string {
  const lines = Object.entries(flattened(members)).map(([name, value]) => [name, cellOf(value)] as const)
  const width = lines.reduce((most, [name]) => Math.max(most, name.length), 0)
  return lines
    .map(
      ([name, value]) =>
        `${name.padEnd(width)}  ${typeof value === 'number' ? formatNumber(value) : printable(value ?? '-')}\n`,
    )
    .join('')
}

function cellOf(value: unknown): string | number | undefined {
  if (typeof value === 'number') return value
  const text = textOf(value)
  return text === '' ? undefined : text
}

/** `a=1 b=2` of an object, `a, b` of a list. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? 'yes' : ''
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  if (typeof value === 'string') return value
  if (!isObject(value)) return JSON.stringify(value)
  return Object.entries(value)
    .map(([name, own]) => `${name}=${isObject(own) ? `(${textOf(own)})` : textOf(own)}`)
    .join(' ')
}

function isPoints(value: unknown): value is readonly Point[] {
  return Array.isArray(value) && value.every((each) => isObject(each) && 'time' in each && 'value' in each)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
