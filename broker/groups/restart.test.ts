/** What a group makes of the state that it finds when its broker starts. */

import { test } from 'tap'

import type { Offset, Partition } from '#wire/ids'

import { FakeLog, member, take } from './fakes.ts'
import { Group } from './group.ts'

test('a group that comes back behind what was removed is told so', (t) => {
  const log = new FakeLog(0, 30)
  log.first = 20 as Offset
  const group = new Group('telemetry', 'g')
  group.addLog(log, { floor: 12 as Offset, acknowledged: [[15, 22]] })
  const a = member('a')
  group.join(a, 0)
  t.match(group.next(a), { from: 22, gone: [{ from: 12, to: 20 }] })
  t.equal(group.figures(log.partition).lag, 8)
  t.end()
})

test('after a restart what was acknowledged does not come again, also from the middle of a batch', (t) => {
  const group = new Group('telemetry', 'g')
  group.addLog(new FakeLog(0, 30), {
    floor: 5 as Offset,
    acknowledged: [
      [7, 8],
      [10, 12],
    ],
  })
  const a = member('a')
  group.join(a, 0)
  const given = [take(group, a, 0), take(group, a, 0), take(group, a, 0)]
  t.strictSame(
    given.map((work) => [work?.from, work?.next]),
    [
      [5, 7],
      [8, 10],
      [12, 22],
    ],
  )
  t.match(given[0], { attempt: 1 }, 'attempts are counted anew')
  t.equal(group.figures(0 as Partition).inFlight, 14)
  t.end()
})

test('after a restart a late acknowledgement may be the first that is heard of a group, of whichever log', (t) => {
  const group = new Group('telemetry', 'g')
  for (const partition of [0, 1, 2]) {
    group.addLog(new FakeLog(partition, 30), { floor: 12 as Offset, acknowledged: [] })
  }
  // Its answer was lost when the broker was killed, and the consumer has not come back yet.
  t.equal(group.acknowledgeUpTo(2 as Partition, 11 as Offset, 0), 'ok')
  group.tick(1_000)
  group.removed(1 as Partition, 20 as Offset)
  group.tick(2_000)
  const a = member('a')
  group.join(a, 2_000)
  t.strictSame(
    [take(group, a, 0), take(group, a, 0), take(group, a, 0)].map((work) => [work?.partition, work?.from]),
    [
      [0, 12],
      [1, 20],
      [2, 12],
    ],
  )
  t.end()
})

test('holes that a start has found are told with the first delivery behind them, and are no lag', (t) => {
  const group = new Group('telemetry', 'g')
  const holes = [
    { from: 2 as Offset, to: 4 as Offset, reason: 'damaged' as const },
    { from: 8 as Offset, to: 20 as Offset, reason: 'unclean_stop' as const },
  ]
  group.addLog(Object.assign(new FakeLog(0, 30), { holes }), { floor: 3 as Offset, acknowledged: [[6, 20]] })
  const a = member('a')
  group.join(a, 0)
  t.equal(group.figures(0 as Partition).lag, 12)
  const given = [take(group, a, 0), take(group, a, 0), take(group, a, 0)]
  t.match(given, [
    { from: 4, next: 6, until: 6, gone: [{ from: 3, to: 4 }] },
    { from: 20, next: 30, attempt: undefined, gone: [{ from: 8, to: 20 }] },
    undefined,
  ])
  group.leave(a, 0)
  group.join(a, 0)
  t.equal(take(group, a, 0)?.gone?.length ?? 0, 0, 'told once')
  t.end()
})
