/**
 * CSV (RFC 4180): a header, CR LF, and quotes where a text needs them. Nothing is nothing, and an empty text is `""`.
 *
 * Texts stand as they are, those with a `=` in front too: a spreadsheet that runs them must be told to import texts.
 */

import type { ColumnType, Table } from './table.ts'

/** A piece grows to about this before it goes out. */
const pieceChars = 64 * 1024

export function* csvOf({ columns, rows }: Table): Generator<string> {
  const header = columns.map(({ name, unit }) => text(unit === undefined ? name : `${name} [${unit}]`))
  let piece = `${header.join(',')}\r\n`
  for (const row of rows) {
    piece += columns.map(({ type, read }) => field(read(row), type)).join(',')
    piece += '\r\n'
    if (piece.length < pieceChars) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

function field(value: unknown, type: ColumnType): string {
  if (value === null || value === undefined) return ''
  if (type === 'json') return text(JSON.stringify(value))
  if (type === 'number' || type === 'integer') return JSON.stringify(value)
  return text(typeof value === 'string' ? value : JSON.stringify(value))
}

function text(content: string): string {
  return content === '' || /[",\r\n]/.test(content) ? `"${content.replaceAll('"', '""')}"` : content
}
