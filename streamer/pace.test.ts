import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Pace, Replay } from './pace.ts'

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

/** When each row goes, by a clock that moves by what is waited for. */
function play(replay: Replay, times: readonly number[], clock = { ms: 0 }): number[] {
  return times.map((timeMs) => {
    clock.ms += replay.waitMs(timeMs, clock.ms)
    return clock.ms
  })
}

test('rows go as far apart as their times, over any file and speed, but for what is too near to tell', async () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 100 })
  fc.assert(
    fc.property(gaps, fc.constantFrom(0.5, 1, 10, 1000), (gapsMs, speed) => {
      let timeMs = 1_795_348_800_000
      const times = [timeMs, ...gapsMs.map((gap) => (timeMs += gap))]
      for (const [index, atMs] of play(new Replay(speed, Infinity), times).entries()) {
        const wantedMs = ((times[index] as number) - (times[0] as number)) / speed
        assert.ok(atMs <= wantedMs + 0.001 && atMs >= wantedMs - 50.001, `row ${index} at ${atMs}, due at ${wantedMs}`)
      }
    }),
  )
})

test('times that go back hold nothing up, and those that go on from there are due with the latest', async (t) => {
  t.same(play(new Replay(1, Infinity), [5000, 6000, 1000, 2000, 6000, 7000]), [0, 1000, 1000, 1000, 1000, 2000])
  t.equal(new Replay(1, Infinity).waitMs(Number.NaN, 0), 0, 'a row without a time')
})

test('a gap that is too long is shortened to its bound, at any speed', async (t) => {
  t.same(play(new Replay(1, 2000), [0, 1000, 3_600_000, 3_601_000]), [0, 1000, 3000, 4000])
  t.same(play(new Replay(10, 2000), [0, 10_000, 3_600_000]), [0, 1000, 3000])
})

test('a file that begins earlier than the last has ended is played in its own time; one that begins later goes on', async (t) => {
  const replay = new Replay(1, Infinity)
  const clock = { ms: 0 }
  t.same(play(replay, [10_000, 11_000], clock), [0, 1000])
  replay.begin()
  t.same(play(replay, [10_000, 11_000], clock), [1000, 2000], 'another host in the same hour')
  replay.begin()
  t.same(play(replay, [14_000], clock), [5000], 'the next hour')
})

test('a pause of the replay is not made up for by a burst', async (t) => {
  const replay = new Replay(1, Infinity)
  t.equal(replay.waitMs(0, 0), 0)
  t.equal(replay.waitMs(1000, 60_000), 0)
  t.equal(replay.waitMs(2000, 60_000), 1000)
})
