import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { parseValue } from './value.ts'

test('every finite number is read back, but for the codes that mean blank', async () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: -1e300, max: 1e9 }), (given) => {
      const value = given + 0 // -0 is written as 0
      assert.equal(parseValue(String(value)), value)
      assert.equal(parseValue(` ${value} `), value)
    }),
  )
})

test('blanks and sentinels are not reported, never zero', async (t) => {
  const blanks = [
    '',
    ' ',
    'N/A',
    '[N/A]',
    '[Not Supported]',
    'NaN',
    'nan',
    'SKIPPING DCGM VALUE',
    'ERROR - FAILED TO CONVERT TO STRING',
    '9223372036854775792',
    '9223372036854775794',
    '2147483632',
    '2147483635',
    '140737488355328',
    '140737488355330.0',
  ]
  for (const text of blanks) t.equal(parseValue(text), null, text)
})

test('counters may run past the 32-bit and the floating-point blank', async (t) => {
  for (const value of [2_147_483_648, 5e9, 140_737_488_355_400, 1e17]) t.equal(parseValue(String(value)), value)
})

test('a text of a million digits that is no number is told as fast as it is read', async (t) => {
  const digits = '1'.repeat(1_000_000)
  for (const text of [`${digits}x`, `1.${digits}x`, `.${digits}x`, `1e${digits}x`]) t.equal(parseValue(text), undefined)
})

test('what is no number is told apart from a blank', async (t) => {
  for (const text of ['12 W', 'abc', '0x1f', '1,000', 'Infinity', '-inf', '1e999', '-1e999', '--1', '1.2.3']) {
    t.equal(parseValue(text), undefined, text)
  }
})
