import fc from 'fast-check'
import { test } from 'tap'

import type { Offset, Partition } from '#wire/ids'

import { assignPartitions } from './assign.ts'
import { FakeLog, groupOf, member, take, type FakeMember } from './fakes.ts'
import type { Work } from './group.ts'
import { Intervals } from './intervals.ts'

test('records are delivered once, in order, and the floor follows the acknowledgements', (t) => {
  const group = groupOf(new FakeLog(0, 25))
  const one = member('one')
  group.join(one, 0)
  t.match(take(group, one, 0), { from: 0, next: 10, attempt: undefined })
  t.match(take(group, one, 0), { from: 10, next: 20 })
  t.match(group.figures(0 as Partition), { floor: 0, next: 20, lag: 25, inFlight: 20 })
  t.equal(group.acknowledgeUpTo(0 as Partition, 14 as Offset, 0), 'ok')
  t.match(group.figures(0 as Partition), { floor: 15, lag: 10, inFlight: 5 })
  t.equal(group.acknowledgeUpTo(0 as Partition, 3 as Offset, 0), 'ok', 'again and late: nothing changes')
  t.match(group.figures(0 as Partition), { floor: 15, lag: 10, inFlight: 5 })
  t.equal(group.acknowledgeUpTo(0 as Partition, 20 as Offset, 0), 'not_delivered')
  t.end()
})

test('single acknowledgements fill holes', (t) => {
  const group = groupOf(new FakeLog(0, 10))
  const one = member('one')
  group.join(one, 0)
  take(group, one, 0)
  for (const offset of [3, 1, 2]) group.acknowledge(0 as Partition, offset as Offset, 0)
  t.match(group.figures(0 as Partition), { floor: 0, inFlight: 7, lag: 7 })
  t.strictSame(group.progress(0 as Partition), { floor: 0, acknowledged: [[1, 4]] })
  group.acknowledge(0 as Partition, 0 as Offset, 0)
  t.match(group.figures(0 as Partition), { floor: 4, inFlight: 6 })
  t.end()
})

test('what is not acknowledged in time is delivered again, and only that', (t) => {
  const group = groupOf(new FakeLog(0, 10))
  const one = member('one')
  group.join(one, 0)
  take(group, one, 0)
  group.acknowledge(0 as Partition, 4 as Offset, 1000)
  group.tick(30_999)
  t.equal(group.next(one), undefined, 'not before its time')
  group.tick(31_000)
  t.match(take(group, one, 31_000), { from: 0, next: 1, until: 1, attempt: 2 }, 'it counts for the lowest')
  t.match(take(group, one, 31_000), { from: 1, next: 4, until: 4, attempt: 1 }, 'and not for those behind')
  t.equal(group.acknowledgeUpTo(0 as Partition, 8 as Offset, 31_000), 'lease_lost')
  t.match(take(group, one, 31_000), { from: 5, next: 10, until: 10, attempt: 1 })
  t.equal(group.acknowledgeUpTo(0 as Partition, 9 as Offset, 31_000), 'ok')
  t.match(group.figures(0 as Partition), { floor: 10, inFlight: 0, lag: 0 })
  t.end()
})

test('a consumer that leaves gives its records back at once', (t) => {
  const group = groupOf(new FakeLog(0, 5))
  const [one, two] = [member('one'), member('two')]
  group.join(one, 0)
  take(group, one, 0)
  group.leave(one, 1)
  group.join(two, 2)
  t.match(take(group, two, 2), { from: 0, attempt: 2 })
  t.end()
})

test('a partition is handed over after what is in flight is acknowledged', (t) => {
  const logs = Array.from({ length: 4 }, (_, partition) => new FakeLog(partition, 10))
  const group = groupOf(...logs)
  const [one, two] = [member('one'), member('two')]
  group.join(one, 0)
  for (const _ of logs) take(group, one, 0)
  group.join(two, 1)
  t.equal(one.lost.length, 2, 'two of four move')
  t.equal(group.next(two), undefined, 'nothing before the old holder is done')
  for (const partition of one.lost) {
    t.equal(group.figures(partition as Partition).holder, 'one')
    group.acknowledgeUpTo(partition as Partition, 9 as Offset, 2)
    t.equal(group.figures(partition as Partition).holder, 'two')
    logs[partition]!.end = 11 as Offset
  }
  t.match(take(group, two, 3), { from: 10, attempt: undefined }, 'first deliveries go on where they stopped')
  t.end()
})

test('who hands a partition over has room for its others', (t) => {
  const logs = Array.from({ length: 4 }, (_, partition) => new FakeLog(partition, 10))
  const group = groupOf(...logs)
  const [one, two] = [member('one', 10), member('two')]
  group.join(one, 0)
  take(group, one, 0)
  group.join(two, 1)
  const held = logs.find(({ partition }) => group.figures(partition).inFlight > 0)?.partition
  t.equal(group.next(one), undefined, 'it has as many in flight as it may')
  const before = one.wakes
  group.acknowledgeUpTo(held as Partition, 9 as Offset, 2)
  t.ok(one.wakes > before, 'it is told')
  const work = group.next(one)
  t.ok(work !== undefined && !one.lost.includes(work.partition), 'and is sent what it kept')
  t.end()
})

test('nobody gets more than max_in_flight', (t) => {
  const group = groupOf(new FakeLog(0, 100))
  const one = member('one', 15)
  group.join(one, 0)
  take(group, one, 0)
  take(group, one, 0)
  t.equal(group.next(one), undefined, 'checked between batches')
  group.acknowledgeUpTo(0 as Partition, 9 as Offset, 0)
  t.ok(one.wakes > 0)
  t.match(group.next(one), { from: 20 })
  t.end()
})

test('work that went stale while it was read is not sent', (t) => {
  const group = groupOf(new FakeLog(0, 10))
  const one = member('one')
  group.join(one, 0)
  const work = group.next(one) as Work
  group.leave(one, 0)
  t.equal(group.delivered(one, work, 10 as Offset, 0), false)
  t.match(group.figures(0 as Partition), { inFlight: 0 })
  t.end()
})

test('any course of events: every record arrives, in order at first, and the pending count is right', (t) => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('deliver'), who: fc.nat(2), records: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ do: fc.constant('ack'), partition: fc.nat(2), offset: fc.nat(40) }),
    fc.record({ do: fc.constant('ackUpTo'), partition: fc.nat(2), offset: fc.nat(40) }),
    fc.record({
      do: fc.constant('nack'),
      partition: fc.nat(2),
      offset: fc.nat(40),
      ms: fc.constantFrom(0, 0, 100, 50_000),
    }),
    fc.record({ do: fc.constant('extend'), partition: fc.nat(2), offset: fc.nat(40) }),
    fc.record({ do: fc.constant('join'), who: fc.nat(2) }),
    fc.record({ do: fc.constant('leave'), who: fc.nat(2) }),
    fc.record({ do: fc.constant('wait'), ms: fc.nat(40_000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const logs = [0, 1, 2].map((partition) => new FakeLog(partition, 30))
      const group = groupOf(...logs)
      const members = [member('a', 20), member('b', 20), member('c', 20)]
      const seen = logs.map(() => new Set<number>())
      const acknowledged = logs.map(() => new Set<number>())
      let now = 0
      const deliver = (who: FakeMember, records: number): boolean => {
        const work = take(group, who, now, records)
        if (work === undefined) return false
        for (let offset = work.from as number; offset < Math.min(work.next, 30); offset++) {
          const set = seen[work.partition] as Set<number>
          if (work.attempt === undefined && (set.has(offset) || set.size !== offset))
            throw new Error(`${offset} out of order`)
          if (acknowledged[work.partition]?.has(offset)) throw new Error(`${offset} was acknowledged`)
          set.add(offset)
        }
        return true
      }
      for (const log of logs) log.end = 30 as Offset
      for (const now_ of steps) {
        const who = members['who' in now_ ? now_.who : 0] as FakeMember
        if (now_.do === 'deliver' && 'records' in now_) {
          const before = group.next(who)
          if (before !== undefined && before.from + now_.records <= 30) deliver(who, now_.records)
        } else if ((now_.do === 'ack' || now_.do === 'ackUpTo') && 'offset' in now_) {
          const partition = now_.partition as Partition
          const offset = now_.offset as Offset
          const set = acknowledged[partition] as Set<number>
          if (now_.do === 'ack') {
            if (group.acknowledge(partition, offset, now) === 'ok') set.add(offset)
          } else {
            const { lag, givenBack } = group.figures(partition)
            if (group.acknowledgeUpTo(partition, offset, now) === 'ok') {
              // All that is not given back: which that is, the progress says; how many, the figures of before.
              const { floor, acknowledged: ranges } = group.progress(partition)
              for (let at = 0; at <= offset; at++)
                if (at < floor || ranges.some(([from, to]) => at >= from && at < to)) set.add(at)
              if (30 - set.size > lag) throw new Error('more is to do than before')
              if (offset + 1 - [...set].filter((at) => at <= offset).length > givenBack)
                throw new Error('less than asked')
            }
          }
        } else if ((now_.do === 'nack' || now_.do === 'extend') && 'offset' in now_) {
          const [partition, offset] = [now_.partition as Partition, now_.offset as Offset]
          const { inFlight } = group.figures(partition)
          const outcome =
            'ms' in now_ ? group.giveBack(partition, offset, now_.ms, now) : group.extend(partition, offset, now)
          if (now_.do === 'nack' && outcome === 'ok' && acknowledged[partition]?.has(offset))
            throw new Error(`${offset} was acknowledged and is given back`)
          const change = inFlight - group.figures(partition).inFlight
          if (change !== 0 && (now_.do !== 'nack' || outcome !== 'ok' || change !== 1))
            throw new Error(`${now_.do}: ${outcome}, ${change} less in flight`)
        } else if (now_.do === 'join' && !group.members.has(who)) group.join(who, now)
        else if (now_.do === 'leave' && group.members.has(who)) group.leave(who, now)
        else if ('ms' in now_) group.tick((now += now_.ms))
        for (const log of logs) {
          const figures = group.figures(log.partition)
          const set = acknowledged[log.partition] as Set<number>
          if (figures.lag !== 30 - set.size) throw new Error(`lag ${figures.lag}, acknowledged ${set.size}`)
          if (figures.inFlight < 0) throw new Error('in flight below nothing')
          for (let at = 0; at < figures.floor; at++) if (!set.has(at)) throw new Error(`the floor passed ${at}`)
        }
      }
      // Whatever happened, a consumer that stays gets everything.
      group.tick((now += 100_000))
      for (const who of members) if (group.members.has(who)) group.leave(who, now)
      const last = member('last', 1000)
      group.join(last, now)
      for (let turn = 0; turn < 500; turn++) {
        const work = group.next(last)
        if (work === undefined) break
        const next = Math.min(work.until, 30)
        for (let at = work.from as number; at < next; at++) seen[work.partition]?.add(at)
        if (!group.delivered(last, work, next as Offset, now)) throw new Error('not delivered')
        group.acknowledgeUpTo(work.partition, (next - 1) as Offset, now)
      }
      for (const set of seen) if (set.size !== 30) throw new Error(`${30 - set.size} records never arrived`)
    }),
    { numRuns: 2_000 },
  )
  t.end()
})

test('intervals are a set of offsets', (t) => {
  const change = fc.tuple(fc.constantFrom('add', 'add', 'remove', 'below'), fc.nat(60), fc.nat(10))
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const intervals = new Intervals()
      const model = new Set<number>()
      for (const [what, from, length] of changes) {
        if (what === 'add') {
          intervals.add(from, from + length)
          for (let at = from; at < from + length; at++) model.add(at)
        } else if (what === 'remove') {
          intervals.remove(from, from + length)
          for (let at = from; at < from + length; at++) model.delete(at)
        } else {
          intervals.removeBelow(from)
          for (const at of model) if (at < from) model.delete(at)
        }
        const held = intervals.ranges.flatMap(([a, b]) => Array.from({ length: b - a }, (_, index) => a + index))
        t.strictSame(
          held,
          [...model].sort((a, b) => a - b),
        )
        if (intervals.count !== model.size) throw new Error('count')
        for (let at = 0; at < 72; at++) {
          if (intervals.countBelow(at) !== held.filter((offset) => offset < at).length) throw new Error(`below ${at}`)
        }
        for (let at = 0; at < 72; at++) {
          let end = at
          while (model.has(end)) end++
          if (intervals.endOfRangeAt(at) !== end) throw new Error(`endOfRangeAt ${at}`)
          const start = intervals.ranges.find(([a]) => a > at)?.[0] ?? Infinity
          if (intervals.nextStartAfter(at) !== start) throw new Error(`nextStartAfter ${at}`)
        }
      }
    }),
    { numRuns: 200 },
  )
  t.end()
})

test('each consumer holds floor or ceil of the partitions, and few move', (t) => {
  for (let partitions = 1; partitions <= 24; partitions++) {
    for (let count = 1; count <= 8; count++) {
      const names = Array.from({ length: count }, (_, index) => `consumer-${index}`)
      const owners = assignPartitions('telemetry', partitions, names)
      for (const name of names) {
        const held = owners.filter((owner) => owner === name).length
        t.ok(held >= Math.floor(partitions / count) && held <= Math.ceil(partitions / count))
      }
      const same = assignPartitions('telemetry', partitions, [...names].reverse())
      t.strictSame(same, owners, 'whatever the order they came in')
    }
  }
  t.strictSame(assignPartitions('telemetry', 3, []), [undefined, undefined, undefined])
  t.strictSame(
    assignPartitions('t', 2, ['one'], (_, partition) => partition === 1),
    [undefined, 'one'],
  )
  t.end()
})

test('records that were removed count as acknowledged, and whoever reads next is told which it never got', (t) => {
  const log = new FakeLog(0, 30)
  const group = groupOf(log)
  const a = member('a')
  group.join(a, 0)
  take(group, a, 0, 10)
  log.first = 20 as Offset
  group.removed(log.partition, 20 as Offset)
  t.match(group.figures(log.partition), { floor: 20, next: 20, lag: 10, inFlight: 0 })
  t.match(group.next(a), { from: 20, gone: [{ from: 10, to: 20 }] }, 'the first ten were sent')
  t.equal(group.acknowledgeUpTo(log.partition, 5 as Offset, 0), 'ok', 'late is no error')
  take(group, a, 0, 5)
  t.match(group.next(a), { from: 25, gone: undefined }, 'told once')
  group.removed(log.partition, 15 as Offset)
  t.equal(group.figures(log.partition).floor, 20, 'never back')
  t.end()
})

test('logs that come later are shared out from their first record', (t) => {
  const group = groupOf(new FakeLog(0))
  const [a, b] = [member('a'), member('b')]
  group.join(a, 0)
  group.join(b, 0)
  group.grow([new FakeLog(1, 5), new FakeLog(2, 5), new FakeLog(3, 5)], 0)
  const held = [0, 1, 2, 3].map((partition) => group.figures(partition as Partition).holder)
  t.equal(held.filter((name) => name === 'a').length, 2)
  t.equal(held.filter((name) => name === 'b').length, 2)
  for (const who of [a, b]) t.equal(take(group, who, 0)?.from, 0)
  t.end()
})
