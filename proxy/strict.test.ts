import { test } from 'tap'

import { manualClock } from '#lib/clock'
import type { Ordinal, Partition } from '#wire/ids'

import { Cluster } from './cluster.ts'
import { unacknowledged } from './strict.ts'

test('a strict partition takes records when others hold nothing of it that waits, and by its owner alone', (t) => {
  const cluster = new Cluster(manualClock(0), ['http://a', 'http://b'], 150, () => {})
  const { members, gates } = cluster
  cluster.learn(new Map([['notes', { partitions: 1, strict: true }]]))
  for (const [url, ordinal] of [
    ['http://a', 0],
    ['http://b', 1],
  ] as const) {
    members.probed(url, { kind: 'ready', ordinal: ordinal as Ordinal })
  }
  const owner = cluster.topic('notes')?.owners[0] as Ordinal
  const partition = 0 as Partition
  const writers = (): unknown[] => [...cluster.writersOf('notes', partition)].map(({ ordinal }) => ordinal)
  t.strictSame(writers(), [], 'nobody knows yet what others hold')
  t.match(cluster.whyNoWriter('notes', partition), /not every broker can be asked/)
  gates.judge({ topic: 'notes', partition, owner, waiting: 3 })
  t.strictSame(writers(), [])
  t.match(cluster.whyNoWriter('notes', partition), /3 records on other brokers/)
  gates.judge({ topic: 'notes', partition, owner, waiting: 0 })
  t.strictSame(writers(), [owner])
  members.requestFailed(owner === 0 ? 'http://a' : 'http://b', 'gone', true)
  t.strictSame(writers(), [], 'nobody stands in')
  t.match(cluster.whyNoWriter('notes', partition), /its owner, broker \d, takes no records now/)
  cluster.learn(new Map([['notes', { partitions: 1, strict: false }]]))
  t.equal(writers().length, 1, 'where it is not strict another one does')
  t.end()
})

test('what waits is what the slowest group has not acknowledged; a group that does not know a log has all of it to read', (t) => {
  const logs = [
    { broker: 0, partition: 0, records: 10 },
    { broker: 1, partition: 0, records: 7 },
    { broker: 1, partition: 1, records: 99 },
  ]
  const ofOthers = ({ broker, partition }: { broker: number; partition: number }): boolean =>
    broker !== 0 && partition === 0
  const lag = (broker: number, partition: number, count: number) => ({ broker, partition, lag: count })
  t.equal(unacknowledged(logs, [], ofOthers), 0, 'nobody reads')
  t.equal(unacknowledged(logs, [[lag(0, 0, 5), lag(1, 0, 0), lag(1, 1, 9)]], ofOthers), 0)
  t.equal(unacknowledged(logs, [[lag(1, 0, 0)], [lag(1, 0, 4)]], ofOthers), 4)
  t.equal(unacknowledged(logs, [[lag(1, 0, 0)], [lag(0, 0, 0)]], ofOthers), 7)
  t.end()
})
