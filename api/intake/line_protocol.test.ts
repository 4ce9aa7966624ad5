import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { headOf, metricTags, stringField, tagText, timeDigits } from '#store/influx/lines'
import { metricRecord } from '#store/samples'
import { type BadLine, type FieldValue, type Point, readLines } from './line_protocol.ts'

const read = (text: string) => [...readLines(text)]

function only(text: string): Point {
  const [point, ...others] = read(text)
  assert.ok(point !== undefined && !('wrong' in point) && others.length === 0, JSON.stringify([point, others]))
  return point
}

test('a number as long as a body may be is refused in one go', (t) => {
  for (const number of ['1', '1.', '.1']) {
    t.match(read(`m a=${number}${'1'.repeat(900_000)}x`), [{ line: 1, wrong: /field/ }])
  }
  t.end()
})

test('lines as the documentation of InfluxDB has them', (t) => {
  t.match(only('myMeasurement,tag1=value1,tag2=value2 fieldKey="fieldValue" 1556813561098000000'), {
    measurement: 'myMeasurement',
    tags: { tag1: 'value1', tag2: 'value2' },
    fields: [['fieldKey', 'fieldValue']],
    time: '1556813561098000000',
  })
  t.same(only('m a=1,b=-1.5,c=1e3,d=1.2E-3,e=7i,f=-7i,g=7u,h=.5,i=5.').fields, [
    ['a', 1],
    ['b', -1.5],
    ['c', 1000],
    ['d', 0.0012],
    ['e', 7],
    ['f', -7],
    ['g', 7],
    ['h', 0.5],
    ['i', 5],
  ])
  const truths = ['t', 'T', 'true', 'True', 'TRUE', 'f', 'F', 'false', 'False', 'FALSE']
  for (const [place, text] of truths.entries()) t.same(only(`m a=${text}`).fields, [['a', place < 5]])
  t.equal(only('my\\ Measure\\,ment fieldKey=1').measurement, 'my Measure,ment')
  t.same(only('m,tag\\ Key\\=1=tag\\,Value\\ 2 field\\ Key="a \\"b\\" \\\\ \\n"'), {
    line: 1,
    start: 0,
    end: 54,
    measurement: 'm',
    tags: Object.assign(Object.create(null), { 'tag Key=1': 'tag,Value 2' }),
    fields: [['field Key', 'a "b" \\ \\n']],
    time: undefined,
  })
  t.equal(only('a\\b,c=d\\e f=1').tags['c'], 'd\\e', 'a backslash before anything else is one')
  t.same(only('m a="x,y=z 1",b=2 3').fields, [
    ['a', 'x,y=z 1'],
    ['b', 2],
  ])
  t.same(only('m,__proto__=x a=1').tags['__proto__'], 'x')
  t.equal(only('m  a=1   17  \r\n').time, '17')
  t.equal(only('m a=1 -17').time, '-17')
  t.end()
})

test('empty lines and comments are passed over; line ends stand in texts', (t) => {
  const text = '\n# a comment, with="quotes\n  \r\na v=1\r\n\nb v="two\nlines",w=2 5\n#\nc v=3'
  t.same(
    read(text).map((each) => [each.line, 'wrong' in each ? each.wrong : each.fields]),
    [
      [4, [['v', 1]]],
      [
        6,
        [
          ['v', 'two\nlines'],
          ['w', 2],
        ],
      ],
      [9, [['v', 3]]],
    ],
  )
  t.same(read(''), [])
  t.same(read('\n\n'), [])
  t.end()
})

test('a bad line says why, and its neighbours are read', (t) => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['cpu', /there are no fields/],
    ['cpu ', /there are no fields/],
    ['cpu,host=a', /there are no fields/],
    [',host=a v=1', /the measurement is missing/],
    ['cpu,host v=1', /tag "host" has no value/],
    ['cpu,host= v=1', /tag "host" has no text: leave it out/],
    ['cpu,=a v=1', /a tag has no name/],
    ['cpu,a=b=c v=1', /want \\=/],
    ['cpu,a=b,a=c v=1', /tag "a" is there twice/],
    ['cpu v', /field "v" has no value/],
    ['cpu v=', /field "v" is "": want a number, 7i/],
    ['cpu v=abc', /field "v" is "abc"/],
    ['cpu v=1x', /"1x"/],
    ['cpu v=1e999', /"1e999"/],
    ['cpu v=NaN', /"NaN"/],
    ['cpu v=-7u', /"-7u"/],
    ['cpu v=9223372036854775808i', /field "v"/],
    ['cpu v=18446744073709551616u', /field "v"/],
    ['cpu v=1,', /field "" has no value/],
    ['cpu v=1 noon', /the timestamp is "noon"/],
    ['cpu v=1 1.5', /the timestamp is "1.5"/],
    ['cpu v=1 1 2', /the timestamp is "1 2"/],
    ['cpu v="a"b', /"b" follows a field/],
    ['cpu v="a', /"v" is a text that no quote ends/],
    ['<html><body>502 Bad Gateway</body></html>', /field/],
    ['{"metric":"x","value":1}', /./],
  ]
  for (const [line, expected] of wrong) {
    const [bad, good, ...others] = read(`${line}\nmem used=2 7`) as [BadLine, Point, ...unknown[]]
    t.match(bad.wrong, expected, line)
    t.same([bad.line, good.line, good.measurement, others], [1, 2, 'mem', []], line)
  }
  t.same(
    (read('v="\na b="x"\nc d=1') as BadLine[]).map(({ line, wrong: why }) => [line, why === undefined]),
    [
      [1, false],
      [2, true],
      [3, true],
    ],
    'a quote too many takes no other line with it',
  )
  t.end()
})

/** Any text that the protocol can carry as a name: no line ends, no backslash at its end. */
const name = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(',', '=', ' ', '\\', '"', '#', 'é', '🚰', '\u2028'),
      fc.string({ unit: 'grapheme' }),
    ),
  })
  .filter((text) => text !== '' && !/[\r\n]|\\$/.test(text) && !/^[\t #]/.test(text))
const value: fc.Arbitrary<FieldValue> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.string({ unit: fc.oneof(fc.constantFrom('"', '\\', '\n', '\r', ',', ' '), fc.string({ unit: 'grapheme' })) }),
)
const point = fc.record({
  measurement: name,
  tags: fc.dictionary(name, name, { maxKeys: 4, noNullPrototype: false }),
  fields: fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 }),
  time: fc.option(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }).map(String), { nil: undefined }),
})

/** The obvious writer. */
function written({ measurement, tags, fields, time }: typeof point extends fc.Arbitrary<infer P> ? P : never): string {
  const key = (text: string) => text.replace(/[,= ]/g, '\\$&')
  const head = [measurement.replace(/[, ]/g, '\\$&'), ...Object.entries(tags).map(([k, v]) => `${key(k)}=${key(v)}`)]
  const body = fields.map(([k, v]) => `${key(k)}=${typeof v === 'string' ? stringField(v) : v}`)
  return [head.join(','), body.join(','), ...(time === undefined ? [] : [time])].join(' ')
}

test('whatever points hold, what was written is read', async () => {
  fc.assert(
    fc.property(fc.array(point, { maxLength: 5 }), fc.constantFrom('\n', '\r\n', '\n# no point\n\n'), (points, end) => {
      const got = read(points.map(written).join(end))
      assert.deepEqual(
        got.map((each) =>
          'wrong' in each
            ? each
            : { measurement: each.measurement, tags: { ...each.tags }, fields: each.fields, time: each.time },
        ),
        points.map(({ tags, fields, ...rest }) => ({
          ...rest,
          tags: { ...tags },
          fields: fields.map(([k, v]) => [k, Object.is(v, -0) ? 0 : v]),
        })),
      )
    }),
  )
})

test('what our own store writes is read', async () => {
  const text = fc.string({ unit: fc.oneof(fc.constantFrom('%', '\\', '\n', ',', '=', ' '), fc.string()) })
  const time = fc.record({ ms: fc.nat({ max: 9_214_646_399_999 }), ns: fc.nat({ max: 999_999 }) })
  fc.assert(
    fc.property(fc.dictionary(text, text), text, time, (tags, field, instant) => {
      const given = metricTags(metricRecord({ tags }), false)
      const head = headOf('metric', given)
      const got = only(`${head} value=1,text=${stringField(field)} ${timeDigits(instant)}`)
      assert.deepEqual({ ...got.tags }, { ...given })
      assert.equal(tagText(metricRecord().metric), got.tags['metric'])
      assert.deepEqual(got.fields[1], ['text', field])
      assert.equal(got.time, timeDigits(instant))
    }),
  )
})

test('any text is read to its end, and every line of it is told of once', async () => {
  const unit = fc.constantFrom('a', '=', ',', ' ', '"', '\\', '\n', '1', '#', '\r')
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
      let before = 0
      for (const { start, end, line } of readLines(text)) {
        assert.ok(start >= before && end > start)
        assert.equal(line, text.slice(0, start).split('\n').length)
        before = end
      }
      assert.ok(!/\S/.test(text.slice(before).replace(/^[^\n]*#.*$/gm, '')) || /#/.test(text), JSON.stringify(text))
    }),
    { numRuns: 1_000 },
  )
})
