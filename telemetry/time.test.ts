import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { epochNs, formatTime, parseTime, sourceTime } from './time.ts'

const instantMsMax = Date.parse('2262-01-01T00:00:00Z')
const instants = fc.record({
  ms: fc.integer({ min: 0, max: instantMsMax - 1 }),
  ns: fc.integer({ min: 0, max: 999_999 }),
})

test('an instant is written so that it is read back, and as Date writes it', async () => {
  fc.assert(
    fc.property(instants, (instant) => {
      assert.deepEqual(parseTime(formatTime(instant)), { ...instant })
      assert.equal(formatTime({ ...instant, ns: 0 }).slice(0, 19), new Date(instant.ms).toISOString().slice(0, 19))
    }),
  )
})

test('every day of the range is read as Date reads it', async (t) => {
  for (let ms = 0; ms < instantMsMax; ms += 86_400_000) {
    const text = new Date(ms).toISOString()
    if (parseTime(text)?.ms !== ms) t.equal(parseTime(text)?.ms, ms, text)
    if (formatTime({ ms, ns: 0 }).slice(0, 10) !== text.slice(0, 10)) t.equal(formatTime({ ms, ns: 0 }), text)
  }
})

test('offsets, fractions and letters are read as the moment they mean', async (t) => {
  const ms = Date.parse('2025-07-18T20:42:34Z')
  t.same(parseTime('2025-07-18T20:42:34Z'), { ms, ns: 0 })
  t.same(parseTime('2025-07-18t20:42:34z'), { ms, ns: 0 })
  t.same(parseTime('2025-07-18 20:42:34Z'), { ms, ns: 0 })
  t.same(parseTime('2025-07-19T02:12:34+05:30'), { ms, ns: 0 })
  t.same(parseTime('2025-07-18T13:42:34.5-07:00'), { ms: ms + 500, ns: 0 })
  t.same(parseTime('2025-07-18T20:42:34.123456789Z'), { ms: ms + 123, ns: 456_789 })
  t.same(parseTime('2025-07-18T20:42:34.1234567891234Z'), { ms: ms + 123, ns: 456_789 })
  t.equal(epochNs({ ms, ns: 7 }), BigInt(ms) * 1_000_000n + 7n)
})

test('what is no moment is refused', async (t) => {
  const wrong = [
    '',
    'now',
    '2025-07-18',
    '2025-07-18T20:42:34',
    '2025-02-29T00:00:00Z',
    '2025-13-01T00:00:00Z',
    '2025-00-01T00:00:00Z',
    '2025-07-18T24:00:00Z',
    '2025-07-18T20:60:00Z',
    '2025-07-18T20:42:34.Z',
    '2025-07-18T20:42:34Zz',
    '1969-12-31T23:59:59Z',
    '2025-07-18T20:42:34+0530',
    '2025-07-18T20:42:34+24:00',
    '2262-01-01T00:00:00Z',
    '2025-7-18T20:42:34Z',
    '１025-07-18T20:42:34Z',
  ]
  for (const text of wrong) t.equal(parseTime(text), undefined, text)
})

test('times of source files become RFC 3339', async (t) => {
  t.equal(sourceTime(' 2025-07-18T20:42:34+02:00 '), '2025-07-18T20:42:34+02:00', 'kept as given')
  t.equal(sourceTime('2025/07/18 20:42:34.123'), '2025-07-18 20:42:34.123Z')
  t.equal(sourceTime('1752871354'), '2025-07-18T20:42:34Z')
  t.equal(sourceTime('1752871354.25'), '2025-07-18T20:42:34.250Z')
  t.equal(sourceTime('1752871354123'), '2025-07-18T20:42:34.123Z')
  t.equal(sourceTime('1752871354123456789'), '2025-07-18T20:42:34.123456789Z')
  t.equal(sourceTime('yesterday'), undefined)
  t.equal(sourceTime(''), undefined)
})
