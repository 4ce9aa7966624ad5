import { test } from 'tap'
import { aborted } from './stop.ts'

test('resolves at the abort, and at once after it', async (t) => {
  const controller = new AbortController()
  let is = false
  const waiting = aborted(controller.signal).then(() => (is = true))
  await Promise.resolve()
  t.equal(is, false)
  controller.abort()
  await waiting
  await aborted(controller.signal)
})
