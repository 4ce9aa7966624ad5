import { array, assert, constantFrom, integer, property, uint8Array } from 'fast-check'
import { test } from 'tap'

import { AnswerReader, type WholeAnswer } from './answer.ts'

/** What comes of bytes that are handed over in pieces, cut at these places. */
function read(bytes: Buffer, cuts: readonly number[] = [], reader = new AnswerReader(1_000_000)): WholeAnswer[] {
  const answers: WholeAnswer[] = []
  let from = 0
  for (const to of [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]) {
    const answer = to === from ? undefined : reader.take(bytes.subarray(from, to))
    if (answer !== undefined) answers.push(answer)
    from = to
  }
  return answers
}

function answerOf(text: string): WholeAnswer | undefined {
  return read(Buffer.from(text, 'latin1'))[0]
}

/** The body in chunks of at most this size. */
function chunked(body: Buffer, size: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.subarray(at, at + size)
    parts.push(Buffer.from(`${chunk.length.toString(16)};x=1\r\n`), chunk, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\nTrailer: 1\r\n\r\n')])
}

test('an answer is read whole, however its bytes were cut and framed', async (t) => {
  const bodies = uint8Array({ maxLength: 300 })
  const framings = constantFrom('length', 'chunked', 'interim')
  const cuts = array(integer({ min: 0, max: 900 }), { maxLength: 6 })
  assert(
    property(bodies, framings, cuts, integer({ min: 1, max: 99 }), (bytes, framing, places, size) => {
      const body = Buffer.from(bytes)
      const rest = 'Retry-After: 7\r\ncontent-type:application/json \r\n'
      const interim = framing === 'interim' ? 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' : ''
      const framed = framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
      const head = `${interim}HTTP/1.1 429 Too Many Requests\r\n${rest}${framed}\r\n\r\n`
      const whole = Buffer.concat([Buffer.from(head), framing === 'chunked' ? chunked(body, size) : body])
      const reader = new AnswerReader(1_000_000)
      // Twice over one connection: nothing of the first answer is left in the way of the second.
      for (const answer of [read(whole, places, reader), read(whole, places, reader)]) {
        t.same(
          answer,
          [{ status: 429, type: 'application/json', retryAfter: '7', isKept: true, body }],
          `${framing} ${places.join()}`,
        )
      }
    }),
    { numRuns: 300 },
  )
})

test('where an answer ends, and what becomes of its connection', async (t) => {
  t.match(answerOf('HTTP/1.1 204 No Content\r\n\r\n'), { status: 204, isKept: true })
  t.match(answerOf('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'), { isKept: false })
  t.match(answerOf('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'), { isKept: false })
  const reader = new AnswerReader(100)
  t.equal(reader.take(Buffer.from('HTTP/1.1 200 OK\r\n\r\nall of')), undefined)
  t.equal(reader.take(Buffer.from(' it')), undefined)
  const answer = reader.end()
  t.match(answer, { status: 200, isKept: false, type: 'application/octet-stream' }, 'until the connection ends')
  t.equal(answer?.body.toString(), 'all of it')
  t.equal(new AnswerReader(100).end(), undefined)
})

test('bytes that are no answer, or more than one, are refused', async (t) => {
  const head = (lines: string): string => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n`
  for (const [text, why] of [
    ['SSH-2.0-OpenSSH\r\n\r\n', /does not answer in HTTP/],
    ['HTTP/2 200\r\n\r\n', /does not answer in HTTP/],
    ['HTTP/1.1 101 Switching Protocols\r\n\r\n', /another protocol/],
    [`${head('Content-Length: 2')}okHTTP/1.1 200 OK`, /longer than it says/],
    [`${head('Transfer-Encoding: chunked')}0\r\n\r\nHTTP`, /longer than it says/],
    [`${head('Transfer-Encoding: chunked')}2\r\nokay\r\n`, /chunk of the answer is longer/],
    [`${head('Transfer-Encoding: chunked')}-2\r\n`, /no length/],
    [head('Content-Length: 2\r\nContent-Length: 3'), /two lengths/],
    [head('Content-Length: -2'), /none/],
    [head('Content-Length: 2\r\nTransfer-Encoding: chunked'), /end of the answer cannot be known/],
    [head('Transfer-Encoding: gzip, chunked'), /end of the answer cannot be known/],
    [head('no name'), /has no name/],
    [`${head('Content-Length: 2000000')}${'x'.repeat(1_000_001)}`, /longer than 1000000 bytes/],
    [`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`, /no end/],
  ] as const) {
    t.throws(() => answerOf(text), { message: why }, text.slice(0, 80))
  }
})
