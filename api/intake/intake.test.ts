import fc from 'fast-check'
import { test } from 'tap'
import { type Intake, intakeOf, parseLabels } from './intake.ts'
import { readTime } from '../ask/times.ts'
import { cursorOf, readCursor } from '../ask/cursor.ts'

test('labels_raw as the sources write it', (t) => {
  t.same(parseLabels(''), {})
  t.same(parseLabels('app=ml-training'), { app: 'ml-training' })
  t.same(parseLabels('a=1, b="x, y" ,c=""'), { a: '1', b: 'x, y', c: '' })
  t.same(parseLabels('v="535.129.03",say="a \\"b\\" \\\\ \\n"'), { v: '535.129.03', say: 'a "b" \\ \n' })
  t.same(parseLabels('v="he said ""no"""'), { v: 'he said "no"' })
  for (const wrong of ['app', '=x', 'a="x', 'a=1,,b=2', '1a=x', 'a=x"y']) t.equal(parseLabels(wrong), undefined, wrong)
  t.end()
})

test('labels as long as a body may be are read, or refused, in one go', (t) => {
  const n = 900_000
  for (const wrong of [`a=${' '.repeat(n)}"`, `a${' '.repeat(n)}`, `a="${'"'.repeat(n)}x`, `a="${'\\'.repeat(n)}`]) {
    t.equal(parseLabels(wrong), undefined)
  }
  t.same(parseLabels(`a=${' '.repeat(n)}1${' '.repeat(n)},b = ${' '.repeat(n)}"2"${' '.repeat(n)}`), { a: '1', b: '2' })
  t.equal(Object.keys(parseLabels('a="b",'.repeat(n / 6)) ?? {}).length, 1)
  t.end()
})

test('a label may have any name, __proto__ too', (t) => {
  const given = JSON.parse(
    '{"metric":"m","uuid":"u","value":1,"labels":{"__proto__":"a"},"labels_raw":"__proto__=b,x=1"}',
  )
  const { data } = intakeOf(given, 0) as Intake
  t.equal(data.slice(data.indexOf('"labels"')), '"labels":{"__proto__":"a","x":"1"}}')
  t.same(Object.entries(parseLabels('__proto__=b') ?? {}), [['__proto__', 'b']])
  t.end()
})

test('whatever labels hold, what was written is read', (t) => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/)
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ unit: 'grapheme' })), (labels) => {
      const escaped = (text: string) => text.replaceAll(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')
      const text = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`)
      t.same(parseLabels(text.join(',')), { ...labels })
    }),
  )
  t.end()
})

test('times of requests', (t) => {
  const nowMs = Date.parse('2025-07-18T20:43:00Z')
  const ms = (text: string) => readTime(text, nowMs)?.ms
  t.equal(ms('now'), nowMs)
  t.equal(ms('-15m'), nowMs - 900_000)
  t.equal(ms('-1.5h'), nowMs - 5_400_000)
  t.equal(ms('2025-07-18T20:42:34Z'), nowMs - 26_000)
  t.equal(ms('2025-07-18T22:42:34+02:00'), nowMs - 26_000)
  t.equal(ms('2025-07-18T22:42:34 02:00'), nowMs - 26_000, 'a plus that was not escaped')
  for (const epoch of ['1752871354', '1752871354000', '1752871354000000', '1752871354000000000']) {
    t.equal(ms(epoch), nowMs - 26_000, epoch)
  }
  for (const wrong of ['', '-', '-15', '-15x', 'yesterday', '2025-13-01T00:00:00Z', '-99999999d']) {
    t.equal(ms(wrong), undefined, wrong)
  }
  t.end()
})

test('a cursor is read as it was written, and nothing else is one', (t) => {
  const place = { time: '2025-07-18T20:42:34.000000001Z', id: 'a/b "c" ü' }
  t.match(readCursor(cursorOf(place)), { id: place.id, time: { ns: 1 } })
  for (const wrong of ['', 'x', btoa('[]'), btoa('["x","y"]'), btoa('["2025-07-18T20:42:34Z",3]'), btoa('{}')]) {
    t.equal(readCursor(wrong), undefined, wrong)
  }
  t.end()
})
