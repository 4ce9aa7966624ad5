import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Pace } from './pace.ts'

test('over any run the pace is kept: never ahead of it by more than a slice', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 200 }), (rate, slices) => {
      const pace = new Pace(rate, 0)
      let nowMs = 0
      let rows = 0
      for (let slice = 0; slice < slices; slice++) {
        rows += pace.sliceRows
        nowMs += pace.take(pace.sliceRows, nowMs)
      }
      assert.ok(Math.abs(nowMs - (rows * 1000) / rate) < 0.001, `${rows} rows at ${rate}/s took ${nowMs} ms`)
    }),
  )
})

test('a pause is not made up for by a burst', async (t) => {
  const pace = new Pace(10, 0)
  t.equal(pace.take(1, 0), 100)
  t.equal(pace.take(1, 60_000), 0)
  t.equal(pace.take(1, 60_000), 100)
})

test('without a rate nothing waits', async (t) => {
  t.equal(new Pace(Infinity, 0).take(1e9, 0), 0)
})
