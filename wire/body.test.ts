import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Bodies } from './body.ts'

const text = fc.string({ unit: fc.constantFrom('a', 'é', '\u2028', '😀', '\ud83d', 'x'.repeat(40_000)), maxLength: 6 })

test('a body is the bytes of its lines, in whatever memory it is written', (t) => {
  const property = fc.property(fc.array(fc.array(text, { maxLength: 5 }), { maxLength: 8 }), (batches) => {
    const bodies = new Bodies()
    for (const batch of batches) {
      const body = bodies.take(batch.map((data) => ({ data })))
      assert.deepEqual(Buffer.from(body), Buffer.from(batch.map((data) => data + '\n').join('')))
      bodies.give(body)
    }
  })
  fc.assert(property, { numRuns: 100 })
  t.end()
})
