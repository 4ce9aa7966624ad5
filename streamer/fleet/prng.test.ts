import fc from 'fast-check'
import { test } from 'tap'
import { Agenda } from './agenda.ts'
import { drift, exp, hashAt, keyOf, ln, Random } from './prng.ts'
import { formatStamp, formatTime } from './time.ts'

test('exp and ln agree with those of the engine', (t) => {
  fc.assert(
    fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => {
      return Math.abs(exp(x) / Math.exp(x) - 1) < 1e-12
    }),
  )
  fc.assert(
    fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (x) => {
      return Math.abs(ln(x) - Math.log(x)) <= 1e-12 * Math.max(1, Math.abs(Math.log(x)))
    }),
  )
  t.throws(() => exp(701), RangeError)
  t.throws(() => ln(0), RangeError)
  t.end()
})

test('the generator gives the same numbers for a key, even ones, and others for another key', (t) => {
  const numbers = (key: number): number[] => {
    const random = new Random(key)
    return Array.from({ length: 10_000 }, () => random.unit())
  }
  t.equal(numbers(7).join(), numbers(7).join())
  t.not(numbers(7).join(), numbers(8).join())
  const mean = numbers(7).reduce((sum, x) => sum + x, 0) / 10_000
  t.ok(Math.abs(mean - 0.5) < 0.02, `mean ${mean}`)
  const random = new Random(keyOf(1, 'test'))
  const gaps = Array.from({ length: 20_000 }, () => random.exponential(10))
  const meanGap = gaps.reduce((sum, x) => sum + x, 0) / gaps.length
  t.ok(Math.abs(meanGap - 10) < 0.4, `mean gap ${meanGap}`)
  const sizes = Array.from({ length: 10_001 }, () => random.logNormal(100, 1)).sort((a, b) => a - b)
  t.ok(Math.abs((sizes[5000] as number) / 100 - 1) < 0.06, `median ${sizes[5000]}`)
  const draws = Array.from({ length: 10_000 }, () => random.weighted([1, 0, 3]))
  t.notOk(draws.includes(1))
  t.ok(Math.abs(draws.filter((each) => each === 2).length / 10_000 - 0.75) < 0.03)
  t.end()
})

test('keys tell seeds, names and numbers apart, beyond 32 bits too', (t) => {
  const keys = new Set<number>()
  for (const seed of [0, 1, -1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
    for (const name of ['a', 'b', 'ab']) for (const index of [0, 1, 2]) keys.add(keyOf(seed, name, index))
  }
  t.equal(keys.size, 6 * 3 * 3)
  t.not(hashAt(1, 5), hashAt(1, 5 + 2 ** 32))
  t.end()
})

test('drift is smooth and stays in its bounds', (t) => {
  const values = Array.from({ length: 1000 }, (_, i) => drift(9, i * 100, 15_000))
  t.ok(values.every((value) => Math.abs(value) <= 1))
  const steps = values.slice(1).map((value, i) => Math.abs(value - (values[i] as number)))
  t.ok(Math.max(...steps) <= (2 * 100) / 15_000 + 1e-9)
  t.ok(Math.max(...steps) > 0)
  t.end()
})

test('the agenda runs events in the order of their times, and of their entry where these are equal', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
      const agenda = new Agenda()
      const seen: string[] = []
      for (const [order, ms] of times.entries()) agenda.at(ms, (at) => seen.push(`${at} ${order}`))
      agenda.run(10)
      agenda.run(20)
      const want = [...times.entries()]
        .sort((a, b) => a[1] - b[1] || a[0] - b[0])
        .map(([order, ms]) => `${ms} ${order}`)
      return JSON.stringify(seen) === JSON.stringify(want)
    }),
  )
  const agenda = new Agenda()
  const seen: number[] = []
  const again = (ms: number): void => {
    seen.push(ms)
    agenda.at(ms + 3, again)
  }
  agenda.at(1, again)
  agenda.run(8)
  t.same(seen, [1, 4, 7])
  t.end()
})

test('times are written as Date writes them', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (ms) => {
      return formatTime(ms) === new Date(ms).toISOString().replace('.000Z', 'Z')
    }),
  )
  t.equal(formatStamp(Date.UTC(2025, 6, 18, 20, 42, 34, 999)), '20250718_204234')
  t.end()
})
