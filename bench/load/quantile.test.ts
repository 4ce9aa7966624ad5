import { test } from 'tap'
import { latenciesOf, quantile } from './quantile.ts'

test('a quantile is a value that was measured: that share of the others lies below', (t) => {
  const sorted = Array.from({ length: 1000 }, (_, at) => at + 1)
  t.equal(quantile(sorted, 0), 1)
  t.equal(quantile(sorted, 0.5), 501)
  t.equal(quantile(sorted, 0.999), 1000)
  t.equal(quantile(sorted, 1), 1000, 'the highest, and not one beyond')
  t.same(quantile([], 0.5), NaN)
  t.end()
})

test('latencies come in any order', (t) => {
  const times = Float64Array.from({ length: 2000 }, (_, at) => (at * 7919) % 2000)
  t.same(latenciesOf(times), { p50_ms: 1000, p99_ms: 1980, p999_ms: 1998, max_ms: 1999 })
  t.end()
})
