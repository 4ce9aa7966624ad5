/** Tables for people: columns of text, numbers to the right, nothing that a terminal would obey. */

export interface Column<Row> {
  readonly head: string
  readonly of: (row: Row) => string | number | null | undefined
  /** Numbers stand at the right without being told. */
  readonly align?: 'left' | 'right'
}

/** What stands where there is nothing to show. */
const nothing = '-'

/** The lines of a table, its head first, each with a newline. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const values = rows.map((row) => columns.map((column) => column.of(row)))
  const cells = values.map((line) => line.map(cellOf))
  const aligned = columns.map(({ head, align }, at) => {
    const isRight = align === undefined ? values.some((line) => typeof line[at] === 'number') : align === 'right'
    const width = Math.max(head.length, ...cells.map((line) => (line[at] as string).length))
    return (text: string) => (isRight ? text.padStart(width) : text.padEnd(width))
  })
  return [columns.map(({ head }) => head), ...cells]
    .map((line) => line.map((text, at) => (aligned[at] as (text: string) => string)(text)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

function cellOf(value: string | number | null | undefined): string {
  if (value === undefined || value === null || value === '') return nothing
  return typeof value === 'number' ? formatNumber(value) : printable(value)
}

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 3 })

/** `1,234,567.891`. */
export function formatNumber(value: number): string {
  return grouped.format(value)
}

const sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < sizes.length - 1; unit++) value /= 1024
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${sizes[unit]}`
}

/**
 * Text of others as it may stand in a terminal: control characters (which could move the cursor, recolour the screen or
 * forge a line) and the marks that reverse the direction of text become `\u….`
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
