import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Answer, named, oneOf, quoted, where } from './influxql.ts'

const series = (tag: string, ...values: (number | null)[]) => ({
  name: 'gpu',
  tags: { uuid: tag },
  columns: ['time', 'value'],
  values: values.map((value, index) => [`1970-01-01T00:00:0${index}Z`, value]),
})
const line = (statement: number, ...all: object[]): string =>
  JSON.stringify({ results: [{ statement_id: statement, series: all }] })

test('an answer is the same however it is cut, and its pieces of one series are one', async () => {
  const text = [
    line(0, series('a\u2028', 1, 2)),
    line(0, series('a\u2028', 3), series('b', null)),
    line(2, series('c', 4)),
    '',
  ].join('\n')
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const answer = new Answer()
      const places = [0, ...cuts.sort((a, b) => a - b), text.length]
      for (const [index, place] of places.entries()) answer.feed(text.slice(places[index - 1] ?? 0, place))
      const [first, none, third] = answer.end(3)
      assert.deepEqual(
        first?.map(({ tags, values }) => [tags['uuid'], values.map(([, value]) => value)]),
        [
          ['a\u2028', [1, 2, 3]],
          ['b', [null]],
        ],
      )
      assert.deepEqual(none, [])
      assert.equal(third?.length, 1)
      assert.equal(answer.error, undefined)
    }),
  )
})

test('an answer without a last end of line is whole, and an error in any part of it is told', async (t) => {
  const answer = new Answer()
  answer.feed(`${line(0, series('a', 1))}\n{"results":[{"statement_id":1,"error":"database not found: x"}]}`)
  t.equal(answer.end(2)[0]?.length, 1)
  t.equal(answer.error, 'database not found: x')
})

test('what is no name stands in a statement as a literal', async (t) => {
  t.equal(quoted("a'b\\c\nd"), "'a\\'b\\\\c\\nd'")
  t.equal(named('a"b'), '"a\\"b"')
  t.equal(
    where(undefined, oneOf('uuid', ['a', "b'"]), 'time > 0'),
    ` WHERE ("uuid" = 'a' OR "uuid" = 'b\\'') AND time > 0`,
  )
  t.equal(where(undefined, oneOf('uuid', [])), '')
})
