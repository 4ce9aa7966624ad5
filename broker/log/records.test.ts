import fc from 'fast-check'
import { test } from 'tap'

import { SseParser } from '#wire/sse'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { frameBatch, framedBytesMax, type BatchMeta } from './framing.ts'
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

test('attack: every way in which bytes are no UTF-8', (t) => {
  const bad: Record<string, number[]> = {
    'a continuation alone': [0x80],
    'a start alone': [0xc3],
    'an overlong slash in three bytes': [0xe0, 0x80, 0xaf],
    'an overlong slash in four bytes': [0xf0, 0x80, 0x80, 0xaf],
    'an overlong NUL': [0xc0, 0x80],
    'an overlong LF': [0xc0, 0x8a],
    'an overlong CR': [0xe0, 0x80, 0x8d],
    'a high surrogate': [0xed, 0xa0, 0xbd],
    'a low surrogate': [0xed, 0xb8, 0x80],
    'a pair of surrogates': [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
    'two of three bytes': [0xe2, 0x80],
    'three of four bytes': [0xf0, 0x9f, 0x99],
    'beyond U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
    'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80],
    'FE and FF': [0xfe, 0xff],
    'a character that is cut by the line end': [0xe2, 0x80, 10, 0xa8],
    'UTF-16': [0xff, 0xfe, 0x61, 0x00],
  }
  const taken: string[] = []
  for (const [name, bytes] of Object.entries(bad)) {
    for (const kind of ['ndjson', 'json', 'text'] as const) {
      for (const [before, after] of [
        ['', ''],
        ['"a', 'b"'],
      ] as const) {
        const result = read(Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]), kind)
        if (!('refused' in result) || result.refused !== 'binary_record') taken.push(`${name}, ${kind}`)
      }
    }
  }
  t.strictSame(taken, [])
  t.end()
})

test('attack: lines of the log and of the stream within a record stay text', (t) => {
  const attacks = [
    ': penstock 1 00112233445566ff telemetry 0 0 0',
    ': batch 0000000000000000 00000001 0000000020 00000000000001 - - 00000000',
    ': sealed 0000000000000000 00000000',
    'id: 0/0/99',
    'data: forged',
    'event: cut',
    'retry: 1',
    ':',
    'x\rid: 0/0/99\rdata: forged\r\rx',
    '\u2028id: 0/0/99\u2029\u0085\u000b\u000c\u001e',
    'a\uFEFFb',
  ]
  t.strictSame(overTheWire(attacks.join('\n'), 'ndjson'), eventsOf(asNdjson(attacks.join('\n')) as string[]))
  t.strictSame(overTheWire(attacks.join('\n'), 'text'), eventsOf([asText(attacks.join('\n')) as string]))
  t.strictSame(overTheWire(`"${attacks.slice(0, 8).join(' ')}"\r\n`, 'json'), [
    { id: '0/0/7', event: 'message', data: `"${attacks.slice(0, 8).join(' ')}"  ` },
  ])
  t.end()
})

test('whatever text goes in, the parser of an event stream gives back what the rules say', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '\r',
      '\n',
      '\r\n',
      '\n\n',
      '\uFEFF',
      '\u2028',
      '\0',
      ' ',
      '\t',
      'id: 0/0/9',
      'data: x',
      ': batch ',
      '{}',
    ),
    fc.string({ unit: 'grapheme', maxLength: 5 }),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const body = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('').toWellFormed())
  fc.assert(
    fc.property(body, fc.constantFrom('ndjson' as const, 'text' as const), (text, kind) => {
      const got = JSON.stringify(overTheWire(text, kind))
      const record = kind === 'text' ? asText(text) : undefined
      const records = kind === 'ndjson' ? asNdjson(text) : record === undefined ? undefined : [record]
      const wanted = JSON.stringify(records === undefined ? 'refused' : eventsOf(records))
      if (got !== wanted) throw new Error(`${got}, not ${wanted}`)
    }),
    { numRuns: process.env['PENSTOCK_TEST_FULL'] === '1' ? 20_000 : 200 },
  )
})

/** What a client sees of a body that is produced: framed, and parsed as an event stream. */
function overTheWire(body: string, kind: BodyKind): unknown {
  const records = readRecords(Buffer.from(body), kind, 10_000)
  if ('refused' in records) return 'refused'
  const noFields: ReadonlyMap<string, string> = new Map()
  const at = { firstOffset: 7 as Offset, appendMs: 1, producer: undefined, sequence: undefined }
  const meta: BatchMeta = { ...at, fields: noFields }
  const target = Buffer.alloc(framedBytesMax(records, meta))
  const end = frameBatch(records, meta, { broker: 0 as Ordinal, partition: 0 as Partition }, target, 0)
  const events: unknown[] = []
  new SseParser({ onEvent: ({ id, event, data }) => events.push({ id, event, data }) }).feed(
    target.toString('utf8', 0, end),
  )
  return events
}

function eventsOf(records: readonly string[]): unknown[] {
  return records.map((data, at) => ({ id: `0/0/${7 + at}`, event: 'message', data }))
}

/** The rules, as obvious as can be; `undefined` where a body is refused. */
function asNdjson(body: string): string[] | undefined {
  if (body.includes('\0')) return undefined
  const lines = body
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, '').replaceAll('\r', ' '))
    .filter((line) => !/^[ \t]*$/.test(line))
  return lines.length === 0 ? undefined : lines
}

function asText(body: string): string | undefined {
  if (body.includes('\0')) return undefined
  const text = body.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n')
  return text === '' ? undefined : text.replace(/\n$/, '')
}

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
