import * as fc from 'fast-check'
import { test } from 'tap'
import { formatComment, formatEvent, SseParser } from './sse.ts'

/** What a parser called back with, in order. */
type Call = readonly ['event', string, string, string] | readonly ['comment', string] | readonly ['retry', number]

function parse(chunks: readonly string[]): Call[] {
  const calls: Call[] = []
  const parser = new SseParser({
    onEvent: ({ id, event, data }) => calls.push(['event', id, event, data]),
    onComment: (line) => calls.push(['comment', line]),
    onRetry: (delayMs) => calls.push(['retry', delayMs]),
  })
  for (const chunk of chunks) parser.feed(chunk)
  return calls
}

/** WHATWG HTML, section 9.2.6 "Interpreting an event stream", sentence by sentence, on the whole stream. */
function obvious(stream: string): Call[] {
  const calls: Call[] = []
  let data = ''
  let type = ''
  let lastId = ''
  const lines = stream.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  // What stands behind the last line end is no line yet.
  for (const line of lines.slice(0, -1)) {
    if (line === '') {
      if (data !== '') calls.push(['event', lastId, type === '' ? 'message' : type, data.slice(0, -1)])
      data = ''
      type = ''
      continue
    }
    const colon = line.indexOf(':')
    if (colon === 0) {
      calls.push(['comment', line])
      continue
    }
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') type = value
    else if (field === 'data') data += value + '\n'
    else if (field === 'id' && !value.includes('\0')) lastId = value
    else if (field === 'retry' && /^[0-9]+$/.test(value)) calls.push(['retry', Number(value)])
  }
  return calls
}

/** What means something to the format, so that few streams mean nothing; between bars. */
const fields = 'data|data:|data: |id|id:|id: 0/3/|event|event: gap|retry: |retry:|dat|ids:|Data: x|data : x|data\t:x'
const texts = ': batch|:| |  |\n|\n|\n\n|\r|\r|\r\n|\r\n\r\n|\0|\uFEFF|\u2028|17|٣|x|{"kind":"gpu"}|😀|\ud83d'

const streams = fc
  .array(fc.constantFrom(...fields.split('|'), ...texts.split('|')), { maxLength: 40 })
  .map((parts) => parts.join(''))

/** Where to cut: each number is the length of the next piece. */
const cuts = fc.array(fc.nat(6), { minLength: 1, maxLength: 30 })

function cut(stream: string, lengths: readonly number[]): string[] {
  const chunks: string[] = []
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    // A length of 0 is an empty piece, which happens; after those given the rest comes at once.
    const length = turn < lengths.length ? (lengths[turn] as number) : stream.length
    chunks.push(stream.slice(at, at + length))
    at += length
  }
  return chunks
}

test('any stream in any pieces means what the standard says', (t) => {
  fc.assert(
    fc.property(streams, cuts, (stream, lengths) => {
      const want = JSON.stringify(obvious(stream))
      return JSON.stringify(parse(cut(stream, lengths))) === want && JSON.stringify(parse(stream.split(''))) === want
    }),
    { numRuns: 3000 },
  )
  t.end()
})

test('the examples of the standard', (t) => {
  t.same(parse(['data: YHOO\ndata: +2\ndata: 10\n\n']), [['event', '', 'message', 'YHOO\n+2\n10']])
  t.same(
    parse([': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n']),
    [
      ['comment', ': test stream'],
      ['event', '1', 'message', 'first event'],
      ['event', '', 'message', 'second event'],
      ['event', '', 'message', ' third event'],
    ],
    'an id line without a value clears the id; one space is dropped, not two',
  )
  t.same(parse(['data\n\ndata\ndata\n\ndata:']), [
    ['event', '', 'message', ''],
    ['event', '', 'message', '\n'],
  ])
  t.same(parse(['data:test\n\ndata: test\n\n']), [
    ['event', '', 'message', 'test'],
    ['event', '', 'message', 'test'],
  ])
  t.end()
})

test('what is special', (t) => {
  const cases: [string, readonly string[], readonly Call[]][] = [
    ['a byte order mark at the start', ['\uFEFFdata: a\n\n'], [['event', '', 'message', 'a']]],
    ['one elsewhere belongs to the line', ['\n\uFEFFdata: a\n\n'], []],
    ['an id with NUL is none', ['id: 1\nid: 2\0\ndata: a\n\n'], [['event', '1', 'message', 'a']]],
    ['CRLF cut in two', ['data: a\r', '\n\r', '\n'], [['event', '', 'message', 'a']]],
    ['CR, and LF much later', ['data: a\r', '', '\n', '\n'], [['event', '', 'message', 'a']]],
    ['CR CR', ['data: a\r\r'], [['event', '', 'message', 'a']]],
    ['an event type without data is forgotten', ['event: gap\n\ndata: a\n\n'], [['event', '', 'message', 'a']]],
    ['an id without data stays', ['id: 7\n\ndata: a\n\n'], [['event', '7', 'message', 'a']]],
    ['reserved fields are skipped', ['id: 7\nzip: x\ndata: a\n\n'], [['event', '7', 'message', 'a']]],
    ['an unfinished event is not dispatched', ['data: a\n'], []],
    ['a retry that is no number', ['retry: 1s\nretry: 250\n'], [['retry', 250]]],
  ]
  for (const [name, chunks, calls] of cases) t.same(parse(chunks), calls, name)
  t.end()
})

test('an event that never ends is refused before it fills the memory', (t) => {
  const mebibyte = 'x'.repeat(1 << 20)
  const feeding = (piece: string): void => {
    const parser = new SseParser({ onEvent: () => {} })
    for (let fed = 0; fed < 70; fed++) parser.feed(piece)
  }
  t.throws(() => feeding(mebibyte), RangeError, 'one line')
  t.throws(() => feeding(`data: ${mebibyte}\n`), RangeError, 'many lines')
  t.doesNotThrow(() => feeding(`data: ${mebibyte}\n\n`), 'many events')
  t.end()
})

const line = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n\0]/.test(text))

test('what is written is read again', (t) => {
  const events = fc.array(
    fc.record({ event: line.filter((text) => text !== ''), id: line, data: fc.string({ unit: 'binary' }) }),
  )
  fc.assert(
    fc.property(events, cuts, (given, lengths) => {
      const want = given.map(({ event, id, data }) => ['event', id, event, data.replace(/\r\n?/g, '\n')])
      const read = parse(cut(given.map((event) => formatEvent(event)).join(''), lengths))
      return JSON.stringify(read) === JSON.stringify(want)
    }),
    { numRuns: 500 },
  )
  t.equal(formatEvent({ event: 'gap', id: '0/3/17', data: '{}\nb' }), 'event: gap\nid: 0/3/17\ndata: {}\ndata: b\n\n')
  t.equal(formatComment('heartbeat'), ': heartbeat\n')
  t.end()
})

test('data, ids, types and comments cannot forge a line', (t) => {
  const ends = ['\n', '\r', '\r\n', '\n\n', '\r\r']
  const complaints: string[] = []
  for (const end of ends) {
    const forged = `a${end}id: 9/9/9${end}event: cut${end}: batch${end}${end}data: b`
    const calls = parse([formatEvent({ id: '1', data: forged })])
    if (calls.length !== 1 || calls[0]?.[1] !== '1' || calls[0]?.[2] !== 'message') complaints.push(`data ${forged}`)
    if (parse([formatComment(forged) + '\n']).some(([kind]) => kind !== 'comment')) complaints.push(`comment ${forged}`)
    for (const part of ['id', 'event']) {
      try {
        formatEvent({ data: '', [part]: `a${end}data: b` })
        complaints.push(`${part} took ${JSON.stringify(end)}`)
      } catch (error) {
        if (!(error instanceof RangeError)) complaints.push(String(error))
      }
    }
  }
  t.same(complaints, [])
  t.throws(() => formatEvent({ id: 'a\0', data: '' }), RangeError, 'an id with NUL would be lost')
  t.end()
})
