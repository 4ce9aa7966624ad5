import { test } from 'tap'

import { parallel } from './parallel.ts'

test('work begins in order, some at a time, and results keep the order', async (t) => {
  const begun: number[] = []
  const ends: (() => void)[] = []
  const run = parallel([0, 1, 2, 3, 4], 2, async (item) => {
    begun.push(item)
    await new Promise<void>((resolve) => (ends[item] = resolve))
    return item * 10
  })
  t.strictSame(begun, [0, 1])
  // The later one ends first.
  for (const item of [1, 0, 3, 2, 4]) {
    while (ends[item] === undefined) await Promise.resolve()
    t.ok(begun.length - begun.indexOf(item) <= 3, 'no more than two are under way')
    ends[item]()
  }
  t.strictSame(await run, [0, 10, 20, 30, 40])
  t.strictSame(begun, [0, 1, 2, 3, 4])
  t.strictSame(await parallel([], 2, async () => 1), [])
})

test('after an error nothing more is begun, and what was begun is waited for', async (t) => {
  let isEnded = false
  const begun: number[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const run = parallel([0, 1, 2, 3], 2, async (item) => {
    begun.push(item)
    if (item === 1) throw new Error('the second')
    await promise
    isEnded = true
  })
  setImmediate(resolve)
  await t.rejects(run, { message: 'the second' })
  t.ok(isEnded)
  t.strictSame(begun, [0, 1])
})
