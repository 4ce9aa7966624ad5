import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { FakeBroker, header, rows, scene, stream } from './fakes.ts'
import { Replay } from './pace.ts'
import { conflictsOf } from './settings.ts'

function times(broker: FakeBroker, topic = 'telemetry'): number[] {
  return broker.topic(topic).map((data) => Date.parse((JSON.parse(data) as { time: string }).time))
}

const first = Date.UTC(2025, 6, 18)

test('in real time each row goes when it is due, and no earlier', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  // A second apart; after ten rows a minute of nothing.
  writeFileSync(path, header + rows(10, 0, 1000) + rows(10, 69, 1000))
  const clock = { ms: 1_000_000 }
  const went: [wallS: number, timeS: number][] = []
  const replay = new Replay(2, Infinity)
  await stream({
    entries: [path],
    broker,
    checkpoints,
    clock,
    replay,
    onBatch({ records }) {
      for (const { data } of records) {
        const timeMs = Date.parse((JSON.parse(data) as { time: string }).time)
        went.push([(clock.ms - 1_000_000) / 1000, (timeMs - first) / 1000])
      }
    },
  })
  t.same(
    went,
    [...Array(10).keys(), ...Array.from({ length: 10 }, (_, at) => at + 69)]
      // The third row is a dead letter.
      .filter((timeS) => timeS !== 3)
      .map((timeS) => [timeS / 2, timeS]),
  )
  t.equal(broker.dead.length, 1)
})

test('killed while it waits for a row, it goes on with that row', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  writeFileSync(path, header + rows(60, 0, 1000))
  for (let kill = 0; kill < 200; kill++) {
    const replay = new Replay(1, Infinity)
    const { streamer } = await stream({ entries: [path], broker, checkpoints, clock: { ms: 0 }, replay, killAt: 3 })
    if (streamer.done) break
  }
  t.same(
    times(broker).map((ms) => (ms - first) / 1000),
    [...Array(60).keys()].filter((at) => at !== 3),
  )
})

test('shifted to now: the first row is of now, the others as far from it as they were, in all files and after a kill', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const paths = ['a.csv', 'b.csv'].map((name) => join(folder, name))
  writeFileSync(paths[0] as string, header + rows(400, 0, 10_000))
  writeFileSync(paths[1] as string, header + rows(400, 400, 10_000))
  let startMs = Date.UTC(2026, 10, 22, 12)
  const clock = { ms: startMs }
  let kills = 0
  for (; kills < 500; kills++) {
    // Also before the shift is kept, and right behind that, before a row is settled.
    const killAt = [1, 2, 4][kills % 3]
    const { streamer } = await stream({
      entries: paths,
      broker,
      checkpoints,
      clock,
      isNow: true,
      killAt: killAt as number,
    })
    if (streamer.done) break
    if (broker.topic('telemetry').length === 0) startMs += 3_600_000
    clock.ms += 3_600_000
  }
  t.ok(kills > 3, `${kills} kills`)
  t.ok(broker.repeats > 0)
  t.same(
    times(broker).toSorted((a, b) => a - b),
    [...Array(800).keys()].filter((at) => at !== 3).map((at) => startMs + at * 1000),
  )
})

test('shifted to now and looped, the passes join; transfers are other ones', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  writeFileSync(path, header + rows(50, 0, 1000))
  const clock = { ms: Date.UTC(2026, 10, 22, 12) }
  const enough = (): boolean => broker.topic('telemetry').length >= 200
  await stream({ entries: [path], broker, checkpoints, clock, isNow: true, loop: true, killAt: 4 })
  clock.ms += 60_000
  await stream({ entries: [path], broker, checkpoints, clock, isNow: true, loop: true, stopWhen: enough })
  const found = times(broker)
  t.ok(found.length >= 200)
  t.same(
    found,
    Array.from({ length: found.length + 20 }, (_, at) => at)
      .filter((at) => at % 50 !== 3)
      .slice(0, found.length)
      .map((at) => Date.UTC(2026, 10, 22, 12) + at * 1000),
  )

  const log = join(folder, 't.csv')
  writeFileSync(
    log,
    'id,time,started,bytes,status\n7,2025-07-18T00:00:10Z,2025-07-18T00:00:02Z,1,success\n8,2025-07-18T00:00:20Z,,1,success\n',
  )
  await stream({ entries: [log], broker, checkpoints, clock: { ms: first + 3_610_000 }, isNow: true })
  t.match(
    broker.topic('transfers').map((data) => JSON.parse(data) as unknown),
    [
      { id: '7~3600000ms', time: '2025-07-18T01:00:10Z', started: '2025-07-18T01:00:02Z' },
      { id: '8~3600000ms', time: '2025-07-18T01:00:20Z' },
    ],
  )
})

test('paces that contradict each other are refused', async (t) => {
  const settings = {
    csv: ['a.csv'],
    loop: false,
    rate: undefined,
    realtime: false,
    speed: undefined,
    gapMsMax: undefined,
  }
  t.same(conflictsOf({ ...settings, realtime: true, gapMsMax: 1 }), [])
  t.same(conflictsOf({ ...settings, realtime: true, speed: 2 }), ['--realtime with --speed: want one of them'])
  t.same(conflictsOf({ ...settings, rate: 5, speed: 2 }), ['--rate with --speed: want one of them'])
  t.same(conflictsOf({ ...settings, rate: 5, gapMsMax: 1 }), ['--gap-max wants --realtime or --speed'])
})
