import { test } from 'tap'
import { manualClock, systemClock } from './clock.ts'

test('a manual clock stands still until it is moved', (t) => {
  const clock = manualClock(1_000)
  t.equal(clock.wallMs(), 1_000)
  t.equal(clock.monotonicMs(), 0)
  clock.advance(250)
  t.equal(clock.wallMs(), 1_250)
  t.equal(clock.monotonicMs(), 250)
  t.throws(() => clock.advance(-1), RangeError)
  t.end()
})

test('the wall clock can jump back, and the monotonic one does not', (t) => {
  const clock = manualClock(1_000)
  clock.advance(10)
  clock.setWall(5)
  t.equal(clock.wallMs(), 5)
  t.equal(clock.monotonicMs(), 10)
  t.end()
})

test('the system clock tells the time', (t) => {
  t.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1_000)
  const before = systemClock.monotonicMs()
  t.ok(systemClock.monotonicMs() >= before)
  t.end()
})
