/** NDJSON: an object a row. What JSON can say stays as it is; nothing is flattened. */

import type { Table } from './table.ts'

/** A piece grows to about this before it goes out. */
const pieceChars = 64 * 1024

export function* ndjsonOf({ columns, rows, isPlain }: Table): Generator<string> {
  let piece = ''
  for (const row of rows) {
    const given = isPlain ? row.item : Object.fromEntries(columns.map(({ name, read }) => [name, read(row)]))
    piece += `${JSON.stringify(given)}\n`
    if (piece.length < pieceChars) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}
