import { test } from 'tap'
import type { Backoff } from '#wire/retry'
import { StoreError } from '#store/errors'
import { Gate } from './gate.ts'
import { storeMayRepeat } from './settle.ts'

class Away extends Error {}

const mayRepeat = (error: unknown): number | false => (error instanceof Away ? 0 : false)

/** Sleeps that the test ends, one at a time. */
function manualBackoff() {
  const asleep: { readonly ms: number; readonly wake: () => void }[] = []
  const backoff: Backoff = {
    firstMs: 100,
    longestMs: 1000,
    random: () => 0.999_999,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        asleep.push({ ms, wake: resolve })
      }),
  }
  return { asleep, backoff }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

test('while it is away one of many tries, with growing waits; then all pass', async (t) => {
  const { asleep, backoff } = manualBackoff()
  const said: string[] = []
  const gate = new Gate(backoff, mayRepeat, {
    onFailure: (_error, failures, waitMs) => said.push(`${failures} ${waitMs}`),
    onRecovered: (failures) => said.push(`well after ${failures}`),
  })
  const { signal } = new AbortController()
  let isAway = true
  let calls = 0
  const work = (n: number) => async () => {
    calls++
    if (isAway) throw new Away('no answer')
    return n
  }
  const all = Promise.all([1, 2, 3].map((n) => gate.pass(work(n), signal)))
  await turns()
  t.equal(calls, 3, 'all that were under way when it went')
  t.equal(asleep.length, 1, 'one waits to try again')
  t.equal(gate.trouble, 'no answer')
  for (let tries = 1; tries <= 4; tries++) {
    asleep[tries - 1]?.wake()
    await turns()
    t.equal(calls, 3 + tries)
    t.equal(asleep.length, tries + 1)
  }
  const waits = asleep.map(({ ms }) => ms)
  t.ok(waits.every((ms, at) => at === 0 || ms >= (waits[at - 1] as number)))
  t.equal(waits.at(-1), 999, 'and no longer than the longest')
  isAway = false
  asleep.at(-1)?.wake()
  t.same(await all, [1, 2, 3])
  t.equal(calls, 10)
  t.equal(gate.trouble, undefined)
  t.equal(said.at(-1), 'well after 5', 'those that failed together count as one')
})

test('what is refused for good is thrown at once, and says that the other side is there', async (t) => {
  const { asleep, backoff } = manualBackoff()
  const gate = new Gate(backoff, mayRepeat)
  const { signal } = new AbortController()
  let isAway = true
  const first = gate.pass(async () => {
    if (isAway) throw new Away('no answer')
    throw new Error('no')
  }, signal)
  await turns()
  isAway = false
  asleep[0]?.wake()
  await t.rejects(first, { message: 'no' })
  t.equal(gate.trouble, undefined)
  t.equal(await gate.pass(async () => 7, signal), 7)
})

test('a stop ends the waits, and lets each try once more', async (t) => {
  const { backoff } = manualBackoff()
  const gate = new Gate(backoff, mayRepeat)
  const stop = new AbortController()
  const away = async () => {
    throw new Away('no answer')
  }
  const ends = Promise.allSettled([gate.pass(away, stop.signal), gate.pass(away, stop.signal)])
  await turns()
  stop.abort(new Error('stopping'))
  t.match(await ends, [{ reason: { message: 'stopping' } }, { reason: { message: 'stopping' } }])
  await t.rejects(gate.pass(away, stop.signal), { message: 'no answer' })
  t.equal(await gate.pass(async () => 1, stop.signal), 1)
})

test('a probe that is given up leaves the turn to the next', async (t) => {
  const { asleep, backoff } = manualBackoff()
  const gate = new Gate(backoff, mayRepeat)
  const [one, two] = [new AbortController(), new AbortController()]
  let isAway = true
  const work = async () => {
    if (isAway) throw new Away('no answer')
    return 'done'
  }
  const first = gate.pass(work, one.signal)
  await turns()
  const second = gate.pass(work, two.signal)
  await turns()
  t.equal(asleep.length, 1)
  one.abort(new Error('stopping'))
  await t.rejects(first, { message: 'stopping' })
  await turns()
  t.equal(asleep.length, 2)
  isAway = false
  asleep[1]?.wake()
  t.equal(await second, 'done')
})

test('a store that asks for time gets it, and is asked once when that is over', async (t) => {
  const { asleep, backoff } = manualBackoff()
  const gate = new Gate(backoff, storeMayRepeat)
  const { signal } = new AbortController()
  let calls = 0
  const work = async (): Promise<string> => {
    if (++calls <= 2) throw new StoreError('away', 'too many requests', undefined, 7_000)
    return 'written'
  }
  const both = Promise.all([gate.pass(work, signal), gate.pass(work, signal)])
  await turns()
  t.equal(calls, 2, 'both were under way')
  t.equal(asleep.length, 1)
  t.ok((asleep[0]?.ms ?? 0) >= 7_000, `waits ${asleep[0]?.ms} ms, and not up to 100`)
  asleep[0]?.wake()
  t.same(await both, ['written', 'written'])
  t.equal(gate.trouble, undefined)
})
