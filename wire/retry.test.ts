import fc from 'fast-check'
import { test } from 'tap'

import { backoffMs, retry, sleep, type Backoff, type RetryOptions } from './retry.ts'

const largest = 1 - Number.EPSILON

/** Waits that take no time and are written down. */
function recorded(random: () => number = () => largest): { readonly waits: number[]; readonly backoff: Backoff } {
  const waits: number[] = []
  const backoff: Backoff = {
    firstMs: 100,
    longestMs: 1000,
    random,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      waits.push(ms)
    },
  }
  return { waits, backoff }
}

/** Work that fails so many times and then says how often it was called. */
function failing(times: number): () => Promise<number> {
  let calls = 0
  return async () => {
    calls++
    if (calls <= times) throw new Error(`failure ${calls}`)
    return calls
  }
}

const always: RetryOptions['again'] = () => 0

test('a wait is anywhere from none to a bound that doubles up to the longest', (t) => {
  const bounds = [1, 2, 3, 4, 5, 6, 2000].map((tries) => backoffMs(recorded().backoff, tries))
  t.same(bounds, [99, 199, 399, 799, 999, 999, 999], 'with the largest chance')
  t.equal(backoffMs(recorded(() => 0).backoff, 5), 0, 'with the smallest')
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.double({ min: 0, max: largest, noNaN: true }),
      fc.integer({ min: 0, max: 300_000 }),
      (tries, chance, atLeastMs) => {
        const waitMs = backoffMs(recorded(() => chance).backoff, tries, atLeastMs)
        const bound = Math.min(1000, 100 * 2 ** (tries - 1))
        return Number.isInteger(waitMs) && waitMs >= atLeastMs && waitMs <= atLeastMs + bound
      },
    ),
  )
  t.end()
})

test('work is tried until it succeeds, and each failure is told before its wait', async (t) => {
  const { waits, backoff } = recorded()
  const told: unknown[] = []
  const calls = await retry(failing(3), {
    backoff,
    again: always,
    onFailure: (error, tries, waitMs) => told.push([(error as Error).message, tries, waitMs, waits.length]),
  })
  t.equal(calls, 4)
  t.same(waits, [99, 199, 399])
  t.same(told, [
    ['failure 1', 1, 99, 0],
    ['failure 2', 2, 199, 1],
    ['failure 3', 3, 399, 2],
  ])
})

test('what the server asks for is the least, and the jitter comes on top', async (t) => {
  const { waits, backoff } = recorded()
  await retry(failing(2), { backoff, again: () => 5000 })
  t.same(waits, [5099, 5199])
})

test('what cannot get better is thrown at once', async (t) => {
  const { waits, backoff } = recorded()
  await t.rejects(retry(failing(1), { backoff, again: () => false }), { message: 'failure 1' })
  t.same(waits, [])
})

test('a wait that would end after the time that was given is not begun', async (t) => {
  const { waits, backoff } = recorded()
  await t.rejects(retry(failing(9), { backoff, again: () => 60_000, forMs: 60_000 }), { message: 'failure 1' })
  t.same(waits, [])
})

test('an abort ends the waiting and the trying, with its reason', async (t) => {
  const reason = new Error('enough')
  const during = new AbortController()
  const waiting = retry(failing(9), {
    backoff: { firstMs: 1, longestMs: 1, random: () => 0, sleep: (_, signal) => sleep(1_000_000, signal) },
    again: always,
    signal: during.signal,
    onFailure: () => queueMicrotask(() => during.abort(reason)),
  })
  await t.rejects(waiting, reason, 'in the middle of a wait')
  let calls = 0
  const before = retry(async () => calls++, { backoff: recorded().backoff, again: always, signal: during.signal })
  await t.rejects(before, reason, 'before the first try')
  t.equal(calls, 0)
  await t.rejects(sleep(1_000_000, during.signal), reason, 'before a wait')
})
