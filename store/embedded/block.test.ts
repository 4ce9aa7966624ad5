import assert from 'node:assert/strict'
import { crc32, inflateRawSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { test } from 'tap'
import { type RangeFunction, rangeFunctions } from '../store.ts'
import { windowsOf } from '../windows.ts'
import { DamagedBlock, decodeRollup, decodeRows, encodeRollup, encodeRows } from './block.ts'
import { ByteReader, ByteWriter } from './numbers.ts'
import { entriesFor, rollupOf } from './rollup.ts'
import { between, hourNs, merged, type Rows } from './rows.ts'
import { WindowsBuilder } from './windows.ts'

const anyNumber = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.integer({ min: -100_000, max: 100_000 }).map((whole) => whole / 1000),
  fc.constantFrom(0, -0, 2 ** 51, -(2 ** 51), 2 ** 51 + 1, 5e-324, 1.7976931348623157e308, 0.1, 1e-9, 1e-10),
)

/** Times of one unit, as sources have them, or any. */
const times = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 80 }))
    .map(([first, step, count]) => Array.from({ length: count }, (_, n) => (first + n * step) * 1e9)),
  fc
    .uniqueArray(fc.integer({ min: 0, max: 3_599_999 }), { minLength: 1, maxLength: 80 })
    .map((ms) => ms.map((t) => t * 1e6)),
  fc.uniqueArray(
    fc.oneof(
      fc.integer({ min: 0, max: hourNs / 1000 }).map((us) => us * 1000 - 1),
      fc.constant(hourNs - 1),
    ),
    {
      minLength: 1,
      maxLength: 80,
    },
  ),
)

const hours: fc.Arbitrary<Rows> = fc
  .tuple(times, fc.array(fc.option(anyNumber), { minLength: 80, maxLength: 80 }))
  .map(([given, values]) => {
    const sorted = given.map((time) => Math.max(0, time)).sort((a, b) => a - b)
    return { times: Float64Array.from(sorted), values: Float64Array.from(sorted, (_, n) => values[n] ?? NaN) }
  })

test('a list of numbers comes back bit by bit', async () => {
  const list = fc.oneof(fc.array(anyNumber), fc.array(fc.integer({ min: -50, max: 50 })), fc.array(fc.constant(7.25)))
  fc.assert(
    fc.property(list, (values) => {
      const writer = new ByteWriter()
      writer.numbers(values)
      const reader = new ByteReader(writer.take())
      const read = [...reader.numbers(values.length)]
      assert.ok(reader.isAtEnd)
      assert.equal(read.length, values.length)
      for (const [index, value] of values.entries())
        assert.ok(Object.is(read[index], value), `${read[index]}, ${value}`)
    }),
    { numRuns: 1000 },
  )
})

test('the rows of an hour come back as they were', async () => {
  fc.assert(
    fc.property(hours, (rows) => {
      const read = decodeRows(encodeRows(rows))
      assert.deepEqual([...read.times], [...rows.times])
      assert.ok(rows.values.every((value, index) => Object.is(read.values[index], value)))
    }),
    { numRuns: 1000 },
  )
})

test('small blocks are packed by deflate and large ones by zstd, which small ones of before still are', async (t) => {
  const rowsOf = (count: number) => ({
    times: Float64Array.from({ length: count }, (_, n) => n * 1e9),
    values: Float64Array.from({ length: count }, (_, n) => ((n * 7919) % 100) / 10),
  })
  const [deflated, large] = [encodeRows(rowsOf(80)), encodeRows(rowsOf(3600))]
  t.same([deflated[0], large[0]], [3, 2])
  t.same(decodeRows(large), rowsOf(3600))
  const before = Buffer.concat([
    Buffer.of(2),
    zstdCompressSync(inflateRawSync(deflated.subarray(1, -4))),
    Buffer.alloc(4),
  ])
  before.writeUInt32LE(crc32(before.subarray(0, -4)), before.length - 4)
  t.same(decodeRows(before), rowsOf(80))
})

test('a plain second of a steady series takes a fraction of a byte', async (t) => {
  const rows = {
    times: Float64Array.from({ length: 3600 }, (_, n) => n * 1e9),
    values: Float64Array.from({ length: 3600 }, () => 42),
  }
  t.ok(encodeRows(rows).length < 60, `${encodeRows(rows).length} bytes`)
})

test('damage is found, wherever it is', async () => {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(hours, change, fc.nat(4), (rows, [at, bits], cut) => {
      for (const [encode, decode] of [
        [() => encodeRows(rows), decodeRows],
        [() => encodeRollup(rollupOf(rows)), decodeRollup],
      ] as const) {
        const blob = encode()
        const place = at % blob.length
        blob[place] = (blob[place] as number) ^ bits
        assert.throws(() => decode(blob), DamagedBlock)
        assert.throws(() => decode(encode().subarray(0, -1 - cut)), DamagedBlock)
      }
    }),
  )
})

test('merging: by time, the upper row stands, and "not reported" never replaces a number', async () => {
  fc.assert(
    fc.property(hours, hours, (under, over) => {
      const model = new Map<number, number>()
      for (const { times, values } of [under, over]) {
        for (const [index, time] of times.entries()) {
          const value = values[index] as number
          model.set(time, Number.isNaN(value) ? (model.get(time) ?? NaN) : value)
        }
      }
      const result = merged(under, over)
      assert.deepEqual(
        [...result.times].map((time, index) => [time, result.values[index]]),
        [...model].sort(([a], [b]) => a - b),
      )
    }),
  )
})

test('windows of rows, and of rollups in their place, are what the rows say one by one', async () => {
  const smallNumber = fc.option(fc.integer({ min: -1000, max: 1000 }).map((whole) => whole / 10))
  const someHours = fc.array(fc.tuple(times, fc.array(smallNumber, { minLength: 80, maxLength: 80 }), fc.boolean()), {
    minLength: 1,
    maxLength: 4,
  })
  const windowMs = fc.constantFrom(1, 7000, 60_000, 120_000, 900_000, 3_600_000, 7_200_000, 5_400_000)
  fc.assert(
    fc.property(someHours, windowMs, fc.constantFrom(...rangeFunctions), (given, windowMs, fn: RangeFunction) => {
      const builder = new WindowsBuilder(windowMs, fn)
      const all: { ms: number; ns: number; value: number | null }[] = []
      for (const [hour, [some, values, asRollup]] of given.entries()) {
        const sorted = some.map((time) => Math.max(0, time)).sort((a, b) => a - b)
        const rows = { times: Float64Array.from(sorted), values: Float64Array.from(sorted, (_, n) => values[n] ?? NaN) }
        const hourMs = (480_000 + hour) * 3_600_000
        for (const [index, time] of rows.times.entries()) {
          const ms = Math.floor(time / 1e6)
          all.push({ ms: hourMs + ms, ns: time - ms * 1e6, value: values[index] as number | null })
        }
        const rollup = decodeRollup(encodeRollup(rollupOf(rows)), builder.columns)
        const entries = asRollup && builder.takesRollups ? entriesFor(rollup, windowMs, fn) : undefined
        if (entries === undefined) builder.addRows(hourMs, rows)
        else builder.addRollup(hourMs, rollup, ...entries)
      }
      const [made, wanted] = [builder.finish(), windowsOf(all, windowMs, fn)]
      const places = (windows: typeof wanted) => windows.map(({ place, value }) => [place, value === null])
      assert.deepEqual(places(made), places(wanted))
      for (const [index, { value }] of wanted.entries()) {
        const own = made[index]?.value ?? 0
        // Sums in another order differ in their last digits.
        assert.ok(Math.abs(own - (value ?? 0)) <= 1e-9 * Math.max(1, Math.abs(own)), `${own}: want ${value}`)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a rate over the nanosecond between two hours is exact', async (t) => {
  const builder = new WindowsBuilder(1, 'rate')
  builder.addRows(0, { times: Float64Array.of(hourNs - 1), values: Float64Array.of(0) })
  builder.addRows(3_600_000, { times: Float64Array.of(0), values: Float64Array.of(1) })
  t.equal(builder.finish().at(-1)?.value, 1 / 1e-9)
})

test('rows between two times', async () => {
  fc.assert(
    fc.property(hours, fc.integer({ min: 0, max: hourNs }), fc.integer({ min: 0, max: hourNs }), (rows, from, to) => {
      const inside = [...rows.times].filter((time) => time >= from && time < to)
      assert.deepEqual([...between(rows, from, Math.max(from, to)).times], inside)
    }),
  )
})
