import assert from 'node:assert/strict'

import * as fc from 'fast-check'
import { test } from 'tap'

import { Problem, problems, type ProblemCode } from './problems.ts'
import { afterRefusal } from './refusal.ts'

const batchOf = (count: number, from = 0): { data: string; sequence: number }[] =>
  Array.from({ length: count }, (_, at) => ({ data: `record ${at}`, sequence: from + at }))

const codes = fc.constantFrom(...(Object.keys(problems) as ProblemCode[]))
/** Numbers around those that mean something, and what a hostile server may send in their place. */
const members = fc.oneof(fc.integer({ min: -2, max: 40 }), fc.constantFrom(undefined, null, '3', 0.5, 1.5, NaN, 1e300))

test('whatever the refusal, no record is lost, doubled or out of order, and the parts get smaller', (t) => {
  fc.assert(
    fc.property(
      codes,
      members,
      members,
      fc.integer({ min: 1, max: 30 }),
      fc.nat(9),
      (code, line, expected, count, from) => {
        const batch = batchOf(count, from)
        const after = afterRefusal(new Problem(code, '', { line, expected }), batch)
        if (after === undefined) return
        const parts = [after.written, after.refused, ...after.rest]
        const order = parts.flat().toSorted((a, b) => a.sequence - b.sequence)
        assert.deepEqual(order, batch)
        for (const part of after.rest) {
          assert.ok(part.length < count, 'a part is as large as the batch')
          for (const [at, { sequence }] of part.entries()) {
            assert.equal(sequence, (part[0]?.sequence ?? 0) + at, 'numbers of a part do not follow each other')
          }
        }
        const sent = after.rest.flat().map(({ sequence }) => sequence)
        assert.deepEqual(
          sent,
          sent.toSorted((a, b) => a - b),
        )
      },
    ),
    { numRuns: 2_000 },
  )
  t.pass()
  t.end()
})

test('what is taken apart, and how', (t) => {
  const numbers = (code: ProblemCode, extra: Record<string, unknown>, count = 4): unknown => {
    const after = afterRefusal(new Problem(code, '', extra), batchOf(count, 10))
    if (after === undefined) return undefined
    const of = (part: readonly { sequence: number }[]): number[] => part.map(({ sequence }) => sequence)
    return { written: of(after.written), refused: of(after.refused), rest: after.rest.map(of) }
  }
  t.same(numbers('sequence_overlap', { expected: 12 }), { written: [10, 11], refused: [], rest: [[12, 13]] })
  t.same(numbers('bad_record', { line: 2 }), { written: [], refused: [11], rest: [[10], [12, 13]] })
  t.same(numbers('body_too_large', {}), {
    written: [],
    refused: [],
    rest: [
      [10, 11],
      [12, 13],
    ],
  })
  t.same(numbers('record_too_large', {}, 1), { written: [], refused: [10], rest: [] }, 'it can be no other')
  t.equal(numbers('sequence_overlap', { expected: 10 }), undefined, 'nothing is known of it: no overlap')
  t.equal(numbers('sequence_overlap', { expected: 14 }), undefined, 'all is known of it: no overlap')
  t.equal(numbers('bad_record', {}), undefined, 'which one is not said')
  t.equal(numbers('unauthorized', { line: 2 }), undefined)
  t.equal(afterRefusal(new TypeError('fetch failed'), batchOf(2)), undefined)
  t.end()
})
