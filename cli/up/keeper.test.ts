import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Keeper, type Exit, type Timers } from './keeper.ts'

/** Time that stands still until it is moved. */
class ManualTimers implements Timers {
  #nowMs = 0
  readonly #waiting = new Set<{ readonly atMs: number; readonly callback: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  after(ms: number, callback: () => void): () => void {
    const entry = { atMs: this.#nowMs + ms, callback }
    this.#waiting.add(entry)
    return () => this.#waiting.delete(entry)
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = [...this.#waiting].sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#nowMs = next.atMs
      this.#waiting.delete(next)
      next.callback()
    }
    this.#nowMs = untilMs
  }
}

const killed: Exit = { code: null, signal: 'SIGKILL' }
const failed: Exit = { code: 1, signal: null }

function setUp() {
  const timers = new ManualTimers()
  const waits: number[] = []
  const gaveUp: Exit[] = []
  const signals: string[] = []
  let started = 0
  let running: ((exit: Exit) => void) | undefined
  const keeper = new Keeper(
    timers,
    (onExit) => {
      if (running !== undefined) throw new Error('two at once')
      started++
      running = onExit
      return { kill: (signal) => signals.push(signal) }
    },
    { onDown: (_exit, waitMs) => waits.push(waitMs), onGivenUp: (exit) => gaveUp.push(exit) },
    { firstWaitMs: 200, longestWaitMs: 1_000, provenMs: 10_000, graceMs: 5_000 },
  )
  return {
    timers,
    keeper,
    waits,
    gaveUp,
    signals,
    started: () => started,
    isRunning: () => running !== undefined,
    die(exit: Exit) {
      const end = running
      running = undefined
      end?.(exit)
    },
  }
}

test('a process that dies is started again, later each time, up to a bound', async (t) => {
  const { timers, keeper, waits, die, started } = setUp()
  keeper.start()
  keeper.isUp()
  for (let deaths = 0; deaths < 5; deaths++) {
    die(killed)
    timers.advance(1_000)
  }
  t.strictSame(waits, [200, 400, 800, 1_000, 1_000])
  t.equal(started(), 6)
})

test('one that has run for a while begins anew with the waits', async (t) => {
  const { timers, keeper, waits, die } = setUp()
  keeper.start()
  keeper.isUp()
  die(killed)
  timers.advance(200)
  timers.advance(10_000)
  die(failed)
  t.strictSame(waits, [200, 200])
})

test('one that ends by itself before it ever worked is given up: it would do so again', async (t) => {
  const { timers, keeper, gaveUp, die, started } = setUp()
  keeper.start()
  die(failed)
  timers.advance(60_000)
  t.strictSame(gaveUp, [failed])
  t.equal(started(), 1)
})

test('a kill before it ever worked is no reason to give up', async (t) => {
  const { timers, keeper, gaveUp, die, started } = setUp()
  keeper.start()
  die(killed)
  timers.advance(200)
  t.strictSame(gaveUp, [])
  t.equal(started(), 2)
})

test('wrong settings are given up, whenever they show', async (t) => {
  const { keeper, gaveUp, die } = setUp()
  keeper.start()
  keeper.isUp()
  die({ code: 2, signal: null })
  t.equal(gaveUp.length, 1)
})

test('a stop asks, and kills after the grace', async (t) => {
  const { timers, keeper, signals, die } = setUp()
  keeper.start()
  const stopped = keeper.stop()
  timers.advance(4_999)
  t.strictSame(signals, ['SIGTERM'])
  timers.advance(1)
  t.strictSame(signals, ['SIGTERM', 'SIGKILL'])
  die(killed)
  await stopped
  timers.advance(60_000)
  t.equal(signals.length, 2)
})

test('in any order of events there is one process at most, and none after a stop', async () => {
  const event = fc.oneof(
    fc.constantFrom('killed', 'failed', 'up', 'stop'),
    fc.nat(3_000).map((ms) => ms),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(event), async (events) => {
      const { timers, keeper, die, started, isRunning } = setUp()
      keeper.start()
      let startedAtStop: number | undefined
      for (const next of events) {
        if (typeof next === 'number') timers.advance(next)
        else if (next === 'killed') die(killed)
        else if (next === 'failed') die(failed)
        else if (next === 'up') keeper.isUp()
        else {
          void keeper.stop()
          startedAtStop ??= started()
        }
      }
      const stopped = keeper.stop()
      startedAtStop ??= started()
      die(killed)
      await stopped
      timers.advance(60_000)
      assert.equal(started(), startedAtStop)
      assert.equal(isRunning(), false)
    }),
    { numRuns: 200 },
  )
})
