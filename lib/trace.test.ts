import { test } from 'tap'
import { formatTraceparent, newSpan, parseTraceparent, requestId } from './trace.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

test('a traceparent is read and written', (t) => {
  const header = `00-${traceId}-${spanId}-01`
  const trace = parseTraceparent(header)
  t.strictSame(trace, { traceId, spanId, sampled: true })
  t.equal(formatTraceparent(trace ?? newSpan()), header)
  t.equal(parseTraceparent(`00-${traceId}-${spanId}-00`)?.sampled, false)
  t.equal(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.sampled, true)
  t.equal(parseTraceparent(`42-${traceId}-${spanId}-01-what-comes-later`)?.traceId, traceId)
  t.end()
})

test('a traceparent that the specification refuses is ignored', (t) => {
  for (const header of [
    undefined,
    '',
    'x',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    ` 00-${traceId}-${spanId}-01`,
  ]) {
    t.equal(parseTraceparent(header), undefined, String(header))
  }
  t.end()
})

test('a span stays in the trace of its parent', (t) => {
  const parent = newSpan()
  const child = newSpan(parent)
  t.equal(child.traceId, parent.traceId)
  t.not(child.spanId, parent.spanId)
  t.not(newSpan().traceId, parent.traceId)
  t.strictSame(parseTraceparent(formatTraceparent(child)), child)
  t.end()
})

test('a request id is the given one when it can be logged and sent back, else a new one', (t) => {
  t.equal(requestId('caller-17.a:b_c'), 'caller-17.a:b_c')
  for (const given of [undefined, '', 'a b', 'a\r\nX: y', 'ü', 'x'.repeat(129)]) {
    const id = requestId(given)
    t.not(id, given)
    t.match(id, /^[A-Za-z0-9]+-[0-9a-z]+$/)
  }
  t.not(requestId(undefined), requestId(undefined))
  t.end()
})
