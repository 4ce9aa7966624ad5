import { test } from 'tap'

import { readRecords, type BodyKind, type Records, type Refused } from './records.ts'

function read(body: string | Uint8Array, kind: BodyKind = 'ndjson', recordBytesMax = 1000): string[] | Refused {
  const records = readRecords(Buffer.from(body), kind, recordBytesMax)
  if ('refused' in records) return records
  return linesOf(records)
}

function linesOf(records: Records): string[] {
  const lines: string[] = []
  for (let line = 0; line < records.lineCount; line++) {
    lines.push(records.bytes.toString('utf8', records.lines[2 * line], records.lines[2 * line + 1]))
  }
  return lines
}

test('NDJSON: a record a line', (t) => {
  t.strictSame(read('{"a":1}\n{"a":2}\n'), ['{"a":1}', '{"a":2}'])
  t.strictSame(read('{"a":1}\n\n  \n{"a":2}'), ['{"a":1}', '{"a":2}'], 'empty lines and a missing last line end')
  t.end()
})

test('attack: a CR ends a line of an event stream, so none may reach the log', (t) => {
  t.strictSame(read('{"a":1}\r\n{"a":2}\r\n'), ['{"a":1}', '{"a":2}'], 'CRLF')
  t.strictSame(read('{"a":\r1}\n'), ['{"a": 1}'], 'a lone CR becomes a space')
  t.strictSame(read('x\rid: 0/0/99\rdata: forged\n'), ['x id: 0/0/99 data: forged'])
  t.strictSame(read('{"a":1}\r'), ['{"a":1}'], 'a CR at the end')
  t.end()
})

test('attack: U+2028 is legal in JSON and ends no line', (t) => {
  t.strictSame(read('{"a":"x\u2028y\u2029z"}\n'), ['{"a":"x\u2028y\u2029z"}'])
  t.end()
})

test('a leading byte order mark is dropped, in text it stays', (t) => {
  t.strictSame(read('\uFEFF{"a":1}\n{"b":"\uFEFF"}'), ['{"a":1}', '{"b":"\uFEFF"}'])
  t.end()
})

test('attack: NUL and what is not UTF-8 are refused, with the line', (t) => {
  t.match(read('ok\nno\0\n'), { refused: 'binary_record', line: 2 })
  t.match(read(Buffer.from([0x61, 10, 0x61, 10, 0xff, 0xfe])), { refused: 'binary_record', line: 3 })
  t.match(read(Buffer.from([0xed, 0xa0, 0x80])), { refused: 'binary_record', line: 1 }, 'a lone surrogate')
  t.match(read(Buffer.from([0xc0, 0xaf])), { refused: 'binary_record' }, 'an overlong slash')
  t.end()
})

test('a record over the limit refuses the batch and is named', (t) => {
  t.match(read(`ok\n\n${'x'.repeat(1001)}\n`), {
    refused: 'record_too_large',
    line: 3,
    detail: /1001 bytes, the limit is 1000/,
  })
  t.strictSame(read('x'.repeat(1000)), ['x'.repeat(1000)])
  t.end()
})

test('an empty body holds no record', (t) => {
  for (const body of ['', '\n', '\r\n\r\n', '  \n'])
    t.match(read(body), { refused: 'empty_batch' }, JSON.stringify(body))
  t.match(read('', 'text'), { refused: 'empty_batch' })
  t.match(read(' \n', 'json'), { refused: 'empty_batch' })
  t.end()
})

test('JSON: one record, its line ends become spaces', (t) => {
  t.strictSame(read('{\r\n  "a": 1\n}\n', 'json'), ['{    "a": 1 } '])
  t.match(read('{"a":}', 'json'), { refused: 'bad_record', detail: /not JSON/ })
  t.match(read('{"a":"x\ny"}', 'json'), { refused: 'bad_record' }, 'a raw line end in a string is no JSON')
  t.end()
})

test('text: one record of several lines', (t) => {
  t.strictSame(read('one\r\ntwo\rthree\n', 'text'), ['one', 'two', 'three'])
  t.strictSame(read('one\n\nid: 0/0/1\n: batch', 'text'), ['one', '', 'id: 0/0/1', ': batch'])
  t.match(readRecords(Buffer.from('a\nb\n'), 'text', 100), { count: 1, lineCount: 2 })
  t.end()
})

test('more lines than the table held before', (t) => {
  const lines = Array.from({ length: 40_000 }, (_, index) => `${index}`)
  t.strictSame(read(lines.join('\n')), lines)
  t.strictSame(read('one'), ['one'])
  t.end()
})
