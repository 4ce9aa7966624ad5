import { test } from 'tap'

import { lagOf } from './lag.ts'

test('a group has to acknowledge what it says of a log that it knows, and all of one that it does not', async (t) => {
  const logs = [
    { broker: 0, partition: 0, records: 100 },
    { broker: 1, partition: 0, records: 20 },
    { broker: 1, partition: 1, records: 7 },
    { broker: 2, partition: 0 },
  ]
  const group = [
    { broker: 0, partition: 0, lag: 3 },
    { broker: 1, partition: 1, lag: 0 },
    { broker: 5, partition: 0, lag: 1_000 },
  ]
  t.equal(lagOf(logs, group), 3 + 20)
  t.equal(lagOf(logs, []), 127, 'a group that knows none of them')
  t.equal(lagOf([], group), 0)
})
