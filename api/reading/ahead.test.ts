import { setImmediate } from 'node:timers/promises'
import { test } from 'tap'
import { Ahead } from './ahead.ts'

test('one is made at a time, however long it takes', async (t) => {
  const turns: (() => void)[] = []
  const ahead = new Ahead(async (nowMs) => {
    await new Promise<void>((resolve) => turns.push(resolve))
    return nowMs
  })
  const answers = [0, 100, 600, 700].map((nowMs) => ahead.get(nowMs))
  let inFlightMax = 0
  const making = { isDone: false }
  const all = Promise.all(answers).finally(() => (making.isDone = true))
  while (!making.isDone) {
    await setImmediate()
    inFlightMax = Math.max(inFlightMax, turns.length)
    for (const turn of turns.splice(0)) turn()
  }
  t.same([await all, inFlightMax], [[0, 0, 600, 600], 1])
})

test('it is made anew before it is too old, out of the one before, and nobody waits for it', async (t) => {
  const befores: (number | undefined)[] = []
  let go = Promise.withResolvers<void>()
  const ahead = new Ahead<number>(async (nowMs, before) => {
    befores.push(before)
    if (before !== undefined) await go.promise
    return nowMs
  })
  t.equal(await ahead.get(1_000), 1_000)
  t.equal(await ahead.get(1_299), 1_000)
  t.equal(await ahead.get(1_300), 1_000, 'who has it made is given the one before')
  t.equal(await ahead.get(1_499), 1_000, 'and so are others meanwhile')
  const late = ahead.get(1_500)
  go.resolve()
  t.equal(await late, 1_300, 'never one that is too old')
  t.equal(await ahead.get(1_599), 1_300)
  t.same(befores, [undefined, 1_000])
  go = Promise.withResolvers()
  go.resolve()
  t.equal(await ahead.get(100), 100, 'a clock that was set back')
})

test('those who ask are told why none could be made, and the next one tries again', async (t) => {
  let fails = true
  const ahead = new Ahead(async (nowMs) => {
    if (fails) throw new Error('no store')
    return nowMs
  })
  await t.rejects(Promise.all([ahead.get(0), ahead.get(1)]), /no store/)
  fails = false
  t.equal(await ahead.get(2), 2)
  fails = true
  t.equal(await ahead.get(400), 2, 'made ahead, in vain')
  await setImmediate()
  await t.rejects(ahead.get(502), /no store/)
})
