import fc from 'fast-check'
import { test } from 'tap'
import { gapAfterMs, History, type Point, pointsMax, usualInterval } from './history.ts'

const value = fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: null })
const step = fc.record({ afterMs: fc.integer({ min: -5, max: 20 }), value })

test('keeps the newest points in order, as a plain array would', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const history = new History()
      let obvious: Point[] = []
      let now = 1_000
      for (const { afterMs, value } of steps) {
        const timeMs = now + afterMs
        history.push(timeMs, value)
        const last = obvious.at(-1)
        if (last !== undefined && timeMs < last.timeMs) continue
        if (timeMs === last?.timeMs) obvious.pop()
        obvious = [...obvious, { timeMs, value }].slice(-pointsMax)
        now = timeMs
      }
      t.strictSame(history.points(), obvious)
      return history.length === obvious.length
    }),
    { numRuns: 60 },
  )
  t.end()
})

test('older points go before those it has, and never push a newer one out', (t) => {
  const history = new History()
  for (let at = 100; at < 110; at++) history.push(at, at)
  history.prepend(Array.from({ length: 200 }, (_, at) => ({ timeMs: at - 101, value: null })))
  const points = history.points()
  t.equal(points.length, pointsMax)
  t.strictSame(points.at(-1), { timeMs: 109, value: 109 })
  t.strictSame(points.at(-11), { timeMs: 98, value: null })
  t.end()
})

test('the usual interval shrugs off one long silence, and is not known of two points', (t) => {
  t.equal(usualInterval([0, 5, 10, 15, 500, 505]), 5)
  t.equal(usualInterval([0, 5]), undefined)
  t.equal(gapAfterMs(undefined), Infinity)
  t.equal(gapAfterMs(10), 35)
  t.end()
})
