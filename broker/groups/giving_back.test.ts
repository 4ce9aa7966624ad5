import { test } from 'tap'

import type { Offset, Partition } from '#wire/ids'

import { FakeLog, groupOf, member, take } from './fakes.ts'

test('what is given back comes again after its delay, by itself, and what is behind it goes on', (t) => {
  const log = new FakeLog(0, 10)
  const group = groupOf(log)
  const one = member('one')
  group.join(one, 0)
  take(group, one, 0)
  const say = (offset: number, delayMs: number) => group.giveBack(log.partition, offset as Offset, delayMs, 1_000)
  t.equal(say(3, 5_000), 'ok')
  t.equal(say(3, 0), 'ok', 'again is no error, and changes nothing')
  t.equal(say(7, 0), 'ok')
  t.equal(say(10, 0), 'not_delivered')
  t.match(group.figures(log.partition), { inFlight: 8, givenBack: 2, lag: 10 })
  t.match(take(group, one, 1_000), { from: 7, next: 8, attempt: 2 }, 'without a delay at once')
  t.equal(take(group, one, 1_000), undefined)
  t.equal(group.acknowledge(log.partition, 3 as Offset, 1_000), 'lease_lost', 'who gave it back does not have it')
  t.equal(group.extend(log.partition, 3 as Offset, 1_000), 'lease_lost')
  t.equal(group.acknowledgeUpTo(log.partition, 9 as Offset, 2_000), 'ok')
  t.match(group.figures(log.partition), { floor: 3, inFlight: 0, givenBack: 1, lag: 1 }, 'but for what was given back')
  t.equal(say(5, 0), 'not_delivered', 'it is acknowledged')
  log.end = 12 as Offset
  t.match(take(group, one, 2_000), { from: 10, attempt: undefined }, 'nobody waits for it')
  const before = one.wakes
  group.tick(5_999)
  t.equal(take(group, one, 5_999), undefined, 'not before its time')
  group.tick(6_000)
  t.ok(one.wakes > before)
  t.match(take(group, one, 6_000), { from: 3, next: 4, attempt: 2 })
  t.equal(say(3, 0), 'ok')
  t.match(take(group, one, 6_000), { from: 3, attempt: 3 })
  t.equal(group.acknowledge(log.partition, 3 as Offset, 6_000), 'ok')
  t.match(group.figures(log.partition), { floor: 10, givenBack: 0, inFlight: 10 })
  t.end()
})

test('what is given back goes to whoever holds the partition then, and its delay goes with it', (t) => {
  const group = groupOf(new FakeLog(0, 10))
  const [one, two] = [member('one'), member('two')]
  group.join(one, 0)
  take(group, one, 0)
  group.giveBack(0 as Partition, 4 as Offset, 5_000, 0)
  group.leave(one, 0)
  group.join(two, 0)
  const given = [take(group, two, 0), take(group, two, 0), take(group, two, 0), take(group, two, 0)]
  t.match(given, [
    { from: 0, next: 1, attempt: 2 },
    { from: 1, next: 4, attempt: 1 },
    { from: 5, next: 10, attempt: 1 },
    undefined,
  ])
  group.tick(5_000)
  t.match(take(group, two, 5_000), { from: 4, next: 5, attempt: 2 })
  t.end()
})

test('more time for one record is more time for the lease', (t) => {
  const group = groupOf(new FakeLog(0, 10))
  const one = member('one')
  group.join(one, 0)
  take(group, one, 0)
  t.equal(group.extend(0 as Partition, 9 as Offset, 20_000), 'ok')
  t.equal(group.extend(0 as Partition, 10 as Offset, 20_000), 'not_delivered')
  group.tick(49_999)
  t.equal(group.next(one), undefined)
  group.tick(50_000)
  t.match(group.next(one), { from: 0, attempt: 2 })
  t.equal(group.extend(0 as Partition, 9 as Offset, 50_000), 'lease_lost')
  t.end()
})
