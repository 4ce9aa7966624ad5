import { join } from 'node:path'
import { test } from 'tap'
import { temporaryFolder } from '#test/start'
import { openCheckpoints } from './checkpoint-store.ts'
import { Demo } from './demo.ts'
import type { OpenLane } from './lane.ts'

test('the demo begins some time back, and goes on with the same fleet where it was', async (t) => {
  const checkpoints = await openCheckpoints(join(temporaryFolder(t), 'checkpoints'))
  t.teardown(() => checkpoints.close())
  const sent: { time: string; uuid?: string }[] = []
  const openLane: OpenLane = async (_topic, _producer, numbers) => {
    let next = numbers.sequences[0] ?? 0
    return {
      send: async (records) => {
        next += records.length
        for (const { data } of records) sent.push(JSON.parse(data) as { time: string })
      },
      bury: () => Promise.reject(new Error('a model makes no bad rows')),
      get numbers() {
        return { sequences: { 0: next }, deadSequence: 0 }
      },
      bufferedBytes: 0,
      close: () => Promise.resolve(),
    }
  }
  let nowMs = Date.UTC(2025, 0, 1)
  const demoUntil = async (untilMs: number): Promise<Demo> => {
    const stop = new AbortController()
    const demo = new Demo({
      model: { seed: 1, hosts: 1, stepMs: 5000 },
      historyMs: 60_000,
      topics: { dcgm: 'telemetry', transfers: 'transfers' },
      openLane,
      checkpoints,
      nowMs: () => nowMs,
      wait: async (ms) => {
        nowMs += ms
        if (nowMs > untilMs) stop.abort()
      },
      newProducer: () => 'p',
      onBatch: () => {},
    })
    await demo.run(stop.signal)
    return demo
  }
  const first = await demoUntil(nowMs + 20_000)
  t.equal(first.status.rows, sent.length)
  const gpuTimes = (): number[] => [
    ...new Set(sent.filter(({ uuid }) => uuid !== undefined).map(({ time }) => Date.parse(time))),
  ]
  t.equal(gpuTimes()[0], Date.UTC(2025, 0, 1) - 60_000)
  const uuids = new Set(sent.map(({ uuid }) => uuid))

  const second = await demoUntil(nowMs + 20_000)
  t.equal(second.status.rows, sent.length, 'rows count over both lives')
  t.same(new Set(sent.map(({ uuid }) => uuid)), uuids)
  const times = gpuTimes()
  t.same(
    times,
    times.map((_, at) => (times[0] as number) + at * 5000),
    'each moment once, without a hole',
  )

  nowMs += 3_600_000
  await demoUntil(nowMs + 10_000)
  const afterPause = gpuTimes().slice(times.length)
  t.equal(afterPause[0], Math.ceil((nowMs - 15_000 - 60_000) / 5000) * 5000, 'a long pause is made up for in part')
})
