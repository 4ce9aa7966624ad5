import { test } from 'tap'
import { Problem } from '#wire/problems'
import type { Request } from './http.ts'
import { query, readQuery } from './query.ts'

const table = {
  topic: query.text({ required: true }),
  partition: query.integer({ min: 0, max: 9 }),
  visibility: query.duration({ min: '1s', max: '12h' }),
  mode: query.choice(['exclusive', 'shared']),
  max_in_flight: query.integer({ min: 1 }),
  raw: query.boolean(),
}

function read(search: string) {
  return readQuery({ query: new URLSearchParams(search) } as unknown as Request, table)
}

function refusal(search: string): string {
  try {
    read(search)
  } catch (error) {
    if (error instanceof Problem) return error.message
    throw error
  }
  return 'passed'
}

test('values come out typed, and what is not given is undefined', (t) => {
  const values = read('topic=a%20b&partition=3&visibility=1.5s&mode=shared&raw=1')
  t.strictSame(values, {
    topic: 'a b',
    partition: 3,
    visibility: 1_500,
    mode: 'shared',
    max_in_flight: undefined,
    raw: true,
  })
  const topic: string = values.topic
  const mode: 'exclusive' | 'shared' | undefined = values.mode
  t.same([topic, mode], ['a b', 'shared'])
  t.end()
})

test('an unknown parameter is refused, with the nearest known name', (t) => {
  t.equal(refusal('topic=a&partitoin=3'), 'unknown_parameter: partitoin is not known: did you mean partition?')
  t.equal(refusal('topic=a&Topic=b'), 'unknown_parameter: Topic is not known: did you mean topic?')
  t.equal(refusal('topic=a&maxinflight=1'), 'unknown_parameter: maxinflight is not known: did you mean max_in_flight?')
  t.equal(
    refusal('topic=a&color=red'),
    'unknown_parameter: color is not known: this path takes topic, partition, visibility, mode, max_in_flight, raw',
  )
  t.match(refusal('topic=a&__proto__=1'), /^unknown_parameter/)
  t.match(refusal(`topic=a&${'x'.repeat(50_000)}=1`), /^unknown_parameter: x{100}… is not known/)
  t.throws(() => readQuery({ query: new URLSearchParams('a=1') } as unknown as Request, {}), {
    code: 'unknown_parameter',
  })
  t.end()
})

test('a missing or wrong value is refused, with what would be right', (t) => {
  t.equal(refusal('partition=3'), 'missing_parameter: topic is missing: want a text')
  t.equal(refusal('topic='), 'bad_parameter: topic=: want a text')
  t.equal(refusal('topic=a&partition=-1'), 'bad_parameter: partition=-1: want a whole number from 0 to 9')
  t.equal(refusal('topic=a&partition=10'), 'bad_parameter: partition=10: want a whole number from 0 to 9')
  t.equal(refusal('topic=a&max_in_flight=0'), 'bad_parameter: max_in_flight=0: want a whole number of at least 1')
  t.equal(refusal('topic=a&visibility=30'), 'bad_parameter: visibility=30: want a duration from 1s to 12h')
  t.equal(refusal('topic=a&mode=both'), 'bad_parameter: mode=both: want one of exclusive, shared')
  t.equal(refusal('topic=a&raw=maybe'), 'bad_parameter: raw=maybe: want true or false')
  t.equal(refusal('topic=a&topic=b'), 'bad_parameter: topic is given 2 times')
  t.end()
})
