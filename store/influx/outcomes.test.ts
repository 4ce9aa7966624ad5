import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { type Outcome, Outcomes } from './outcomes.ts'

const outcome = fc.constantFrom<Outcome>('s', 'd', 'n', 'x')
/** Outcomes by offset, as a list of pairs; gaps are as likely as runs. */
const pairs = fc.array(fc.tuple(fc.constantFrom(1, 1, 1, 2, 50), outcome), { maxLength: 60 }).map((steps) => {
  let offset = 40
  return steps.map(([step, one]): [number, Outcome] => [(offset += step), one])
})

function outcomesOf(given: readonly (readonly [number, Outcome])[]): Outcomes {
  const outcomes = new Outcomes()
  for (const [offset, one] of given) outcomes.push(offset, one)
  return outcomes
}

test('outcomes are what a list of them is, also as text and in parts', async (t) => {
  fc.assert(
    fc.property(pairs, fc.nat(1200), fc.nat(1200), (given, a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      const outcomes = Outcomes.decode(outcomesOf(given).encode())
      for (let offset = 0; offset < 60; offset++)
        assert.equal(outcomes.at(offset), given.find(([own]) => own === offset)?.[1])
      const part = given.filter(([offset]) => offset >= from && offset < to)
      const count = (which: Outcome): number => part.filter(([, one]) => one === which).length
      assert.deepEqual(outcomes.between(from, to).counts(), {
        received: part.length,
        stored: count('s'),
        duplicate: count('d'),
        not_reported: count('n'),
        dead: count('x'),
      })
      const both = outcomes.between(0, from).with(outcomes.between(from, Infinity))
      assert.equal(both.encode(), outcomes.encode())
      assert.equal(outcomes.end, given.length === 0 ? 0 : (given.at(-1) as [number, Outcome])[0] + 1)
    }),
  )
  t.throws(
    () =>
      outcomesOf([
        [5, 's'],
        [5, 'd'],
      ]),
    { message: 'offset 5 after 5' },
  )
  t.throws(() => Outcomes.decode('nothing'), { message: /not the outcomes/ })
})

test('the intent of 100,000 records that go by turns fits into a field', async (t) => {
  const turns = Array.from(
    { length: 100_000 },
    (_, n) => [n, (['s', 'd', 'n'] as const)[(n % 7) % 3] as Outcome] as const,
  )
  const text = outcomesOf(turns).encode()
  t.ok(text.length < 64 * 1024, `${text.length} bytes`)
  t.equal(Outcomes.decode(text).encode(), text)
})
