import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { type Key, pageOf } from './pages.ts'

const key = fc.tuple(fc.constantFrom('a', 'b', 'é'), fc.nat({ max: 9 }), fc.constantFrom('', 'x', 'y'))

test('pages follow one another and hold everything once, in order', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(key, { selector: String }), fc.integer({ min: 1, max: 7 }), (items, limit) => {
      const seen: Key[] = []
      let cursor: string | undefined
      do {
        const page = pageOf(items, (item) => item, { limit, cursor })
        assert.ok(page.items.length <= limit && page.truncated === (page.cursor !== null))
        seen.push(...page.items)
        cursor = page.cursor ?? undefined
      } while (cursor !== undefined)
      assert.deepEqual(new Set(seen.map(String)), new Set(items.map(String)))
      assert.equal(seen.length, items.length)
    }),
  )
})

test('what comes and goes between two pages moves nothing', (t) => {
  const numbers = (...list: number[]) => list.map((each): Key => ['gpu', each])
  const first = pageOf(numbers(1, 2, 10, 3), (item) => item, { limit: 2, cursor: undefined })
  t.same(first.items, numbers(1, 2))
  const cursor = first.cursor as string
  t.same(
    pageOf(numbers(0, 1, 3, 10), (item) => item, { limit: 2, cursor }).items,
    numbers(3, 10),
    '2 is gone, 0 is new',
  )
  t.same(
    pageOf([], (item: Key) => item, { limit: 2, cursor }),
    { items: [], truncated: false, cursor: null },
  )
  t.end()
})

test('what is no cursor of the list is refused', (t) => {
  const items: Key[] = [
    ['a', 1],
    ['b', 2],
  ]
  const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const cursor of ['', 'x', text({}), text(['a']), text([1, 'a']), text(['a', null]), text('ab')]) {
    t.throws(() => pageOf(items, (item) => item, { limit: 1, cursor }), { code: 'bad_parameter' }, cursor)
  }
  t.end()
})
