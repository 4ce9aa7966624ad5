import { test } from 'tap'

import { youngBytes, YoungGeneration } from './heap.ts'

test('what survives makes the young generation grow to its bound, and not at all while it is held', (t) => {
  const start = youngBytes()
  const young = new YoungGeneration()
  young.hold()
  churn(100)
  t.equal(youngBytes(), start, 'held')
  young.tend(2 * start)
  grow(start)
  t.ok(youngBytes() > start, 'it may grow')
  young.tend(2 * start)
  const grown = youngBytes()
  churn(100)
  t.equal(youngBytes(), grown, 'and not beyond its bound')
  t.end()
})

/** Until the young generation is larger than that, or for long. */
function grow(bytes: number): void {
  for (let times = 0; times < 100 && youngBytes() <= bytes; times++) churn(1)
}

/** Each time as much that survives for a while as a topic of some hundred partitions. */
function churn(times: number): void {
  for (let time = 0; time < times; time++) {
    const kept: unknown[] = []
    for (let at = 0; at < 20_000; at++) kept.push({ at, of: [at] })
  }
}
