import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { gpuRecord } from '../samples.ts'
import { bodiesOf, bodyBytesMax, linesMax, precisionOf } from './bodies.ts'
import { timeDigits } from './lines.ts'
import type { SeriesState } from './memory.ts'
import type { Row } from './rows.ts'
import type { Instant } from '#telemetry/time'

function stateOf(head: string): SeriesState {
  const newest = { ms: 0, ns: 0 }
  const empty = { gpu: undefined, newest, hasValue: undefined, row: undefined, next: undefined, claim: undefined }
  return { head, like: gpuRecord(), ...empty }
}

function rowOf(head: string, at: Instant, value: number | null, isWanted = true): Row {
  return { state: stateOf(head), at, value, isWanted, hadValue: false }
}

/** The bodies as texts; their memory serves again at once, as it does when each is sent before the next is made. */
function textsOf(rows: readonly Row[], precision = precisionOf(rows)): string[] {
  const memory = Buffer.alloc(bodyBytesMax)
  return Array.from(
    bodiesOf(rows, precision, () => memory),
    (body) => body.toString(),
  )
}

/** Line protocol as texts, in nanoseconds. */
function obvious({ state, at, value }: Row): string {
  return `${state.head} ${value === null ? 'reported=false' : `value=${value}`} ${BigInt(timeDigits(at))}`
}

test('bodies hold what the obvious lines do, in their order, in a precision that loses nothing', async (t) => {
  const zeros = { ns: '', ms: '000000', s: '000000000' }
  const instant = fc.oneof(
    fc.record({ ms: fc.nat(2e9).map((s) => s * 1000), ns: fc.constant(0) }),
    fc.record({ ms: fc.nat(2e9), ns: fc.constant(0) }),
    fc.record({ ms: fc.nat(2e9), ns: fc.nat(999_999) }),
  )
  const value = fc.oneof(
    fc.constant(null),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -0, 9, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 1e21, 5e-324),
  )
  const row = fc
    .tuple(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).map((text) => text.replace(/\s/g, '_')),
      instant,
      value,
      fc.boolean(),
    )
    .map(([head, at, given, isWanted]) => rowOf(head, at, given, isWanted))
  const rows = fc.oneof(
    fc.array(row, { maxLength: 20 }),
    // All in whole seconds, or in whole milliseconds: else a list nearly always has nanoseconds.
    fc.array(row, { maxLength: 20 }).map((all) => all.filter(({ at }) => at.ns === 0)),
    fc.array(row, { maxLength: 20 }).map((all) => all.filter(({ at }) => at.ns === 0 && at.ms % 1000 === 0)),
  )
  fc.assert(
    fc.property(rows, (rows) => {
      const precision = precisionOf(rows)
      const lines = textsOf(rows, precision)
        .join('')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.replace(/ (\d+)$/, (_, digits: string) => ` ${BigInt(digits + zeros[precision])}`))
      assert.deepEqual(lines, rows.filter(({ isWanted }) => isWanted).map(obvious))
    }),
  )
  t.pass()
})

test('a body ends where it has enough lines, or bytes', async (t) => {
  const at = { ms: 1000, ns: 0 }
  const many = Array.from({ length: 2 * linesMax + 1 }, (_, index) => rowOf('gpu', at, index))
  t.same(
    textsOf(many).map((text) => text.split('\n').length - 1),
    [linesMax, linesMax, 1],
  )
  const long = Array.from({ length: 100 }, (_, index) => rowOf('é'.repeat(60_000), at, index))
  const texts = textsOf(long)
  t.ok(texts.length > 1)
  t.ok(texts.every((text) => Buffer.byteLength(text) <= bodyBytesMax))
  t.equal(texts.join('').split('\n').length - 1, 100)
  t.same(textsOf([]), [])
  t.same(textsOf([rowOf('gpu', at, 1, false)]), [], 'nothing that is wanted, no request')
})
