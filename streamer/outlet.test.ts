import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { temporaryFolder } from '#test/start'
import { partitionOfKey } from '#wire/ids'
import { Problem } from '#wire/problems'
import { openCheckpoints } from './checkpoint-store.ts'
import { startFakeBroker, type Fate, type FakeBroker } from '#test/fake-broker'
import { outlet } from './outlet.ts'
import { Pace } from './pace.ts'
import { Streamer } from './streamer.ts'

const backoff = { firstMs: 1, longestMs: 2, random: () => 0, sleep: () => Promise.resolve() }
const noNumbers = { sequences: {}, deadSequence: 0 }

async function broker(t: Test, fateOf?: () => Fate): Promise<FakeBroker> {
  const started = await startFakeBroker(fateOf)
  t.teardown(() => started.close())
  return started
}

/** One fate after the other, over and over. */
function inTurn(...fates: Fate[]): () => Fate {
  let at = 0
  return () => fates[at++ % fates.length] as Fate
}

function recordsOf({ logs }: FakeBroker, topic: string): string[] {
  return [...logs].filter(([log]) => log.startsWith(`${topic}/`)).flatMap(([, records]) => records)
}

test('a record goes to the partition of its key, and numbers go on where an earlier life ended', async (t) => {
  const { url, logs } = await broker(t)
  const stop = new AbortController()
  const open = outlet({ url }, backoff, stop.signal)
  const first = await open('telemetry', 'p', noNumbers, stop.signal)
  await first.send(['a', 'b', 'c', 'a'].map((key, at) => ({ key, data: `"${at}"` })))
  await first.bury([{ reason: 'bad', line: 3, row: 'x' }], '/f.csv')
  const kept = first.numbers
  await first.close()
  const second = await open('telemetry', 'p', kept, stop.signal)
  await second.send([{ key: 'a', data: '"again"' }])
  await second.close()
  t.same(logs.get(`telemetry/${partitionOfKey('a', 3)}`)?.slice(-1), ['"again"'])
  t.equal([...logs.values()].flat().length, 6)
  t.same(
    logs.get('telemetry.dead/0')?.map((letter) => JSON.parse(letter) as unknown),
    [{ reason: 'bad', file: '/f.csv', line: 3, row: 'x' }],
  )
})

test('a topic that the broker has not is a problem that names those it has', async (t) => {
  const { url } = await broker(t)
  const stop = new AbortController()
  const open = outlet({ url }, backoff, stop.signal)
  await t.rejects(open('metrics', 'p', noNumbers, stop.signal), {
    message: /no topic metrics; there are telemetry, transfers/,
  })
})

test('dead letters that the broker knows in part are sent from where it stands', async (t) => {
  const started = await broker(t)
  const stop = new AbortController()
  const open = outlet({ url: started.url }, backoff, stop.signal)
  const rows = Array.from({ length: 5 }, (_, line) => ({ reason: 'bad', line, row: '' }))
  const first = await open('telemetry', 'p', noNumbers, stop.signal)
  await first.bury(rows.slice(0, 2), 'f')
  const second = await open('telemetry', 'p', noNumbers, stop.signal)
  await second.bury(rows, 'f')
  t.same(
    started.logs.get('telemetry.dead/0')?.map((text) => (JSON.parse(text) as { line: number }).line),
    [0, 1, 2, 3, 4],
  )
})

test('through a broker that refuses and loses answers, and kills, every row arrives once', async (t) => {
  const started = await broker(t, inTurn('served', 'refused', 'answer-lost', 'served', 'answer-lost'))
  const folder = temporaryFolder(t)
  const checkpoints = await openCheckpoints(join(folder, 'checkpoints'))
  t.teardown(() => checkpoints.close())
  const path = join(folder, 'a.csv')
  const rows = Array.from(
    { length: 600 },
    (_, at) => `2025-07-18T20:42:34.${String(at).padStart(3, '0')}Z,M,GPU-${at % 9},${at % 11 === 5 ? 'bad' : at}`,
  )
  writeFileSync(path, `timestamp,metric_name,uuid,value\n${rows.join('\n')}\n`)
  let kills = 0
  for (; kills < 200; kills++) {
    const stop = new AbortController()
    const killed = new Problem('stopping', 'killed')
    let written = 0
    const streamer = new Streamer({
      entries: [path],
      loop: false,
      rescanMs: 1,
      host: 'h0',
      topics: { dcgm: 'telemetry', 'nvidia-smi': 'telemetry', transfers: 'transfers' },
      openLane: outlet({ url: started.url, backoff }, backoff, stop.signal),
      checkpoints: {
        ...checkpoints,
        put: (...given) => {
          if (written++ < 4) return checkpoints.put(...given)
          stop.abort(killed)
          return Promise.reject(killed)
        },
      },
      pace: new Pace(400, 0),
      nowMs: () => 0,
      wait: () => Promise.resolve(),
      newProducer: () => `producer-${kills}`,
      onBatch: () => {},
      onError: (message) => t.fail(message),
      onDone: () => {},
    })
    await streamer.run(stop.signal).catch((error: unknown) => {
      if (error !== killed) throw error
    })
    if (streamer.done) break
  }
  t.ok(kills > 3, `${kills} kills`)
  t.ok(started.repeats > 0, `${started.repeats} requests were repeats`)
  const values = recordsOf(started, 'telemetry').map((data) => (JSON.parse(data) as { value: number }).value)
  t.same(
    values.sort((a, b) => a - b),
    Array.from({ length: 600 }, (_, at) => at).filter((at) => at % 11 !== 5),
  )
  t.equal(
    started.logs.get('telemetry.dead/0')?.length,
    Array.from({ length: 600 }, (_, at) => at).filter((at) => at % 11 === 5).length,
  )
})
