import { test } from 'tap'
import { goalOf, isReached } from './goals.ts'
import { merged, page, type Kept } from './page.ts'

function kept(work: string, extra: Readonly<Record<string, unknown>>): Kept {
  const measured = { suite: 'broker', unit: 'records/s', value: 2_000_000, spread: 0.1 }
  return { ...measured, date: '2026-11-22', machine: '2 x Some CPU', commit: 'abc1234', others: 0.07, work, ...extra }
}

const overRedis = {
  engine: 'uws',
  peer: 'redis',
  peer_value: 400_000,
  peer_spread: 0.05,
  peer_how: 'redis-benchmark -P 512',
}

test('what is measured again takes the place of what was, of the same work and number of partitions', (t) => {
  const old = [
    kept('a', { engine: 'node' }),
    kept('b', {}),
    kept('c', { partitions: 1 }),
    kept('c', { partitions: 100 }),
  ]
  const fresh = [kept('a', { engine: 'uws' }), kept('c', { partitions: 100, value: 7 })]
  t.same(merged(old, fresh), [old[1], old[2], ...fresh])
  t.end()
})

test('a goal is told beside the figure, and a missed one plainly', (t) => {
  const reached = page([kept('produce-batch-disk', overRedis)])
  t.match(reached.text, /\| 5\.00 x \| 4 x \|/)
  t.match(reached.text, /Every goal that was measured is reached\./)
  const missed = page([kept('produce-batch-disk', { ...overRedis, value: 1_200_000 })])
  t.match(missed.text, /\*\*4 x: missed\*\*/)
  t.match(missed.text, /- `produce-batch-disk`, uws: 3\.00 x Redis Streams, where 4 x is the goal\./)
  t.end()
})

test('a reader is to get 2 GB/s, or what the loopback gives', (t) => {
  const beside = { engine: 'uws', peer: 'loopback', peer_value: 4_000_000 }
  const missed = /Missed:[^]*`consume-memory`, uws: 1\.50 GB\/s/
  t.match(page([kept('consume-memory', { ...beside, gb_per_s: 1.5 })]).text, missed)
  t.notMatch(page([kept('consume-memory', { ...beside, gb_per_s: 2.1 })]).text, /Missed/)
  t.notMatch(page([kept('consume-memory', { ...beside, peer_value: 2_100_000, gb_per_s: 1.5 })]).text, /Missed/)
  t.end()
})

test('times and memory are to be low', (t) => {
  const latency = goalOf('latency-20k', 'node', 'jetstream')
  const resident = goalOf('backlog-resident', 'uws', 'MEMORY_BYTES + 100 MiB', 10_000)
  if (latency === undefined || resident === undefined) return t.fail('no goal')
  t.ok(isReached(latency, 0.9) && !isReached(latency, 1.1))
  t.ok(isReached(resident, 0.9) && !isReached(resident, 1.1))
  t.equal(goalOf('backlog-resident', 'uws', 'MEMORY_BYTES + 100 MiB', 100), undefined, 'of 10,000 partitions only')
  t.equal(goalOf('produce-single-disk', 'node', 'redis'), undefined)
  t.end()
})

test('the page says where, when and how, has what is there, and nothing of what is not', (t) => {
  const rate = {
    engine: 'node',
    durability: 'disk',
    records_per_s: 5000,
    p50_ms: 1,
    p999_ms: 4,
    unit: 'ms p99',
    value: 2,
  }
  const { text, plots } = page([
    kept('produce-batch-disk', overRedis),
    kept('batches', { ...overRedis, batch: 1, value: 30_000 }),
    kept('batches', { ...overRedis, batch: 100 }),
    kept('rates', rate),
    kept('latency-20k', { ...rate, records_per_s: 20_000 }),
    kept('sizes', { engine: 'node', record_bytes: 100 }),
    kept('backlog-resident', { engine: 'node', partitions: 1, unit: 'MiB', value: 300 }),
  ])
  t.match(text, /2 x Some CPU/)
  t.match(text, /2026-11-22, at abc1234/)
  t.match(text, /Not measured yet: `produce-batch-fsync`, .*`groups`\./)
  t.match(text, /Others took 7 % of its processors/)
  t.match(text, /redis-benchmark -P 512/)
  t.match(text, /\| 5,000 \| disk \| node \| 1\.0 \/ 2\.0 \/ 4\.0 \|/)
  t.match(text, /\| 1 \| node \|  \|  \| 300 MiB \|/, 'a column that was not measured is empty')
  t.same([...plots.keys()], ['produce-batches', 'batches', 'rates'])
  for (const name of plots.keys()) t.match(text, `(figures/${name}.svg)`)
  t.notMatch(text, 'figures/sizes.svg', 'one size is no line')
  t.notMatch([...plots.values()].join(''), 'NaN')
  t.notMatch(text, '## Groups')
  t.notMatch(text, 'undefined')
  t.notMatch(text, 'NaN')
  t.end()
})
