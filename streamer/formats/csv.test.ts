import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { CsvReader, rowBytesMax, type RowShape } from './csv.ts'

interface Seen {
  readonly cells: readonly string[]
  readonly fault: string | undefined
  readonly line: number
  readonly next: number
  readonly nextLine: number
  readonly raw: string
}

/**
 * All rows of a file that comes in pieces of the given sizes, over and over.
 *
 * @param free fields that may differ: each row is held against the one before first; told how often it was like it
 */
function readAll(
  bytes: Buffer,
  sizes: readonly number[],
  start = { offset: 0, line: 1 },
  free?: readonly [number, number],
  onLike?: () => void,
): Seen[] {
  const reader = new CsvReader(start, 64)
  let shape: RowShape | undefined
  const next = (): ReturnType<CsvReader['next']> => {
    if (shape === undefined || !reader.nextLike(shape)) return reader.next()
    onLike?.()
    return 'row'
  }
  const seen: Seen[] = []
  let at = 0
  for (let turn = 0; ; turn++) {
    const found = next()
    if (found === 'end') return seen
    if (found === 'row') {
      if (free !== undefined) shape = free[1] < reader.fieldCount ? reader.shapeOf(free) : undefined
      const cells = Array.from({ length: reader.fieldCount }, (_, field) => reader.text(field))
      const raw = reader.rowText(100)
      seen.push({
        cells,
        fault: reader.fault,
        line: reader.line,
        next: reader.nextOffset,
        nextLine: reader.nextRowLine,
        raw,
      })
    } else if (at >= bytes.length) reader.finish()
    else {
      const size = sizes[turn % sizes.length] as number
      reader.push(bytes.subarray(at, at + size))
      at += size
    }
  }
}

function cellsOf(text: string, sizes = [1 << 20]): (readonly string[])[] {
  return readAll(Buffer.from(text), sizes).map((row) => row.cells)
}

const cell = fc.string({
  unit: fc.constantFrom('a', '1', ' ', ',', '"', '\n', '\r', 'é', '\u2028', '😀'),
  maxLength: 6,
})
const tables = fc.array(fc.array(fc.tuple(cell, fc.boolean()), { minLength: 1, maxLength: 5 }), { maxLength: 8 })
const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 })

/** The obvious writer: quotes what must be quoted, and whatever it is told to. */
function write(table: readonly (readonly (readonly [string, boolean])[])[], lineEnd: string, lastEnd: boolean): string {
  const rows = table.map((row) =>
    row.map(([text, always]) => (always || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(','),
  )
  return rows.join(lineEnd) + (lastEnd && rows.length > 0 ? lineEnd : '')
}

test('any table that is written is read back, however it is chunked', async () => {
  fc.assert(
    fc.property(
      tables,
      sizes,
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      fc.boolean(),
      (table, pieces, lineEnd, last, bom) => {
        const bytes = Buffer.from((bom ? '\ufeff' : '') + write(table, lineEnd, last))
        const rows = readAll(bytes, pieces)
        // An empty line is no row, so a row of one empty, unquoted cell is not seen.
        const expected = table.filter((row) => !(row.length === 1 && row[0]?.[0] === '' && !row[0][1]))
        assert.deepEqual(
          rows.map((row) => row.cells),
          expected.map((row) => row.map(([text]) => text)),
        )
        assert.ok(rows.every((row) => row.fault === undefined))
        if (rows.length > 0 && expected.length === table.length) assert.equal(rows.at(-1)?.next, bytes.length)
      },
    ),
    { numRuns: 3000 },
  )
})

/** Few fixed texts, so that rows are like the one before, and free ones that may hold anything. */
const alike = fc.record({
  fixed: fc.constantFrom('x', '"a""b,\nc"', '', 'x'.repeat(40)),
  rows: fc.array(fc.tuple(fc.nat(9), cell, cell, fc.boolean()), {
    maxLength: 12,
  }),
  ends: fc.constantFrom('\n', '\r\n', ',\n', '\n\n', '"\n'),
  raw: fc.boolean(),
})

test('held against the row before, rows are what they are without it', (t) => {
  let like = 0
  fc.assert(
    fc.property(
      alike,
      sizes,
      fc.constantFrom<[number, number]>([0, 1], [0, 2], [1, 3], [2, 3]),
      (given, pieces, free) => {
        const plainOf = (text: string): string => (given.raw ? text : text.replace(/[",\r\n]/g, ''))
        const doubledOf = (text: string): string => (given.raw ? text : text.replaceAll('"', '""'))
        const cellOf = (text: string, quoted: boolean): string => (quoted ? `"${doubledOf(text)}"` : plainOf(text))
        const rows = given.rows.map(([other, a, b, quoted]) => {
          const fixed = other === 0 ? 'other' : given.fixed
          const cells = [fixed, fixed, fixed, fixed]
          cells[free[0]] = cellOf(a, quoted)
          cells[free[1]] = cellOf(b, quoted)
          return cells.join(',') + given.ends
        })
        const bytes = Buffer.from(rows.join(''))
        const start = { offset: 0, line: 1 }
        assert.deepEqual(
          readAll(bytes, pieces, start, free, () => like++),
          readAll(bytes, pieces),
        )
      },
    ),
    { numRuns: 500 },
  )
  t.ok(like > 100, `${like} rows were like the one before`)
  t.end()
})

test('reading from the offset and line behind any row gives the rows that are left', async () => {
  fc.assert(
    fc.property(tables, sizes, (table, pieces) => {
      const bytes = Buffer.from(write(table, '\n', true))
      const rows = readAll(bytes, pieces)
      for (const [index, row] of rows.entries()) {
        const rest = readAll(bytes.subarray(row.next), pieces, { offset: row.next, line: row.nextLine })
        assert.deepEqual(rest, rows.slice(index + 1))
      }
    }),
  )
})

test('rows, faults included, depend on the bytes and never on the chunks', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r'), maxLength: 40 })
  fc.assert(
    fc.property(text, sizes, (given, pieces) => {
      const bytes = Buffer.from(given)
      assert.deepEqual(readAll(bytes, pieces), readAll(bytes, [1 << 20]))
    }),
    { numRuns: 5000 },
  )
})

test('line numbers count lines, also inside quotes and for rows that are skipped', async (t) => {
  const rows = readAll(Buffer.from('h1,h2\n\n"a\nb",c\r\n\r\nd,"e\r\n"\nf,g'), [3])
  t.same(
    rows.map((row) => [row.line, row.cells]),
    [
      [1, ['h1', 'h2']],
      [3, ['a\nb', 'c']],
      [6, ['d', 'e\r\n']],
      [8, ['f', 'g']],
    ],
  )
})

test('a bad row spoils its first line and no other', async (t) => {
  const rows = readAll(Buffer.from('a,"b"x,c\nd,e\n"never,closed\nf,g\n"h"\n'), [7])
  t.same(
    rows.map((row) => [row.line, row.fault ?? row.cells, row.raw]),
    [
      [1, 'text follows a closing quote', 'a,"b"x,c'],
      [2, ['d', 'e'], 'd,e'],
      [3, 'text follows a closing quote', '"never,closed'],
      [4, ['f', 'g'], 'f,g'],
      [5, ['h'], '"h"'],
    ],
  )
  const open = readAll(Buffer.from('a\n"b\nc\r\nd'), [2])
  t.same(
    open.map((row) => [row.line, row.fault ?? row.cells, row.raw]),
    [
      [1, ['a'], 'a'],
      [2, 'a quote is not closed', '"b'],
      [3, ['c'], 'c'],
      [4, ['d'], 'd'],
    ],
  )
})

test('a row longer than the bound is a fault, and memory stays bounded', async (t) => {
  const reader = new CsvReader({ offset: 0, line: 1 })
  const lines = Buffer.from('x,y\n'.repeat(16_384))
  reader.push(Buffer.from('"open\n'))
  const faults: string[] = []
  let rows = 0
  for (let pushed = 0; pushed < 200; pushed++) {
    reader.push(lines)
    while (reader.next() === 'row') {
      rows++
      if (reader.fault !== undefined) faults.push(reader.fault)
    }
  }
  t.same(faults, [`the row is longer than ${rowBytesMax} bytes: is a quote not closed?`])
  t.equal(rows, 1 + 200 * 16_384)
  t.ok(reader.buffer.length < 8 * rowBytesMax, `${reader.buffer.length}`)
  t.equal(reader.line, rows)
})

test('a row without any line end is cut into faults of bounded size', async (t) => {
  const rows = readAll(Buffer.alloc(2.5 * rowBytesMax, 0x61), [65_536])
  t.same(
    rows.map((row) => row.next),
    [rowBytesMax, 2 * rowBytesMax, 2.5 * rowBytesMax],
  )
  t.equal(rows[2]?.fault, undefined)
})

test('unquoted fields are taken as they stand', async (t) => {
  t.same(cellsOf('a b, c ,d"e"\r\n,\n'), [
    ['a b', ' c ', 'd"e"'],
    ['', ''],
  ])
  t.same(cellsOf('\ufeff"a"\n'), [['a']])
  t.same(cellsOf(''), [])
  t.same(cellsOf('\ufeff'), [])
  t.same(cellsOf('""\n'), [['']])
})
