import fc from 'fast-check'
import { test } from 'tap'

import type { Offset, Partition } from '#wire/ids'

import { FakeLog, groupOfKind, member, type FakeMember } from './fakes.ts'
import type { Group, GroupKind } from './group.ts'
import { NaiveGroup } from './naive.ts'

const names = ['one', 'two', 'three']
const partitions = 3

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('take' as const), who: fc.nat(2), records: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'ack' as const,
        'ack' as const,
        'upTo' as const,
        'nack' as const,
        'nack' as const,
        'extend' as const,
      ),
      partition: fc.nat(partitions - 1),
      offset: fc.nat(40),
      delayMs: fc.constantFrom(0, 0, 500, 5_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass time' as const), ms: fc.constantFrom(1, 300, 2_000, 31_000) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), who: fc.nat(2) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      partition: fc.nat(partitions - 1),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bury' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** Both groups, the real and the naive, take the same steps. */
class Pair {
  readonly kind: GroupKind
  readonly logs = [12, 20, 5].map((count, partition) => new FakeLog(partition, count))
  readonly group: Group
  readonly naive: NaiveGroup
  members: FakeMember[]
  nowMs = 1_000

  constructor(kind: GroupKind) {
    this.kind = kind
    this.group = groupOfKind(kind, ...this.logs)
    this.naive = new NaiveGroup(
      kind,
      this.logs.map(({ end }) => end),
    )
    this.members = names.map((name, at) => member(name, [4, 15, 1_000][at]))
  }

  take(who: FakeMember, records: number): boolean {
    const work = this.group.next(who)
    if (work === undefined) return false
    const end = (this.logs[work.partition] as FakeLog).end
    const next = Math.min(work.from + records, work.until, end) as Offset
    if (!this.group.delivered(who, work, next, this.nowMs)) throw new Error('what was just next is not the member’s')
    const wrong = this.naive.send(who, work, next, this.nowMs)
    if (wrong !== undefined) throw new Error(wrong)
    return true
  }

  run(what: Step): void {
    const { group, naive, nowMs } = this
    if (what.do === 'take') this.take(this.members[what.who] as FakeMember, what.records)
    else if (what.do === 'pass time') {
      this.nowMs += what.ms
      group.tick(this.nowMs)
      naive.tick(this.nowMs)
    } else if (what.do === 'join') group.join(this.members[what.who] as FakeMember, nowMs)
    else if (what.do === 'leave') {
      const who = this.members[what.who] as FakeMember
      group.leave(who, nowMs)
      naive.leave(who)
      this.members = this.members.map((each) => (each === who ? member(who.name, who.maxInFlight) : each))
    } else if (what.do === 'append') {
      const log = this.logs[what.partition] as FakeLog
      log.end = (log.end + what.count) as Offset
      naive.append(what.partition, what.count)
    } else if ('offset' in what) this.say(what)
    else this.bury()
    this.compare()
  }

  bury(): void {
    for (const { partition, offset } of this.group.hopeless) {
      this.group.pass(partition, offset, (offset + 1) as Offset)
      this.naive.bury(partition, offset)
    }
  }

  say({ do: what, partition: at, offset: place, delayMs }: Extract<Step, { offset: number }>): void {
    const [partition, offset] = [at as Partition, place as Offset]
    const { group, naive, nowMs } = this
    if (what === 'ack') {
      if (group.acknowledge(partition, offset, nowMs) === 'ok') naive.acknowledge(at, place, place + 1, nowMs)
    } else if (what === 'upTo') {
      if (this.kind.mode === 'shared') return
      if (group.acknowledgeUpTo(partition, offset, nowMs) === 'ok') naive.acknowledge(at, 0, place + 1, nowMs)
    } else if (what === 'nack') {
      if (group.giveBack(partition, offset, delayMs, nowMs) === 'ok') naive.giveBack(at, place, nowMs + delayMs, nowMs)
    } else if (group.extend(partition, offset, nowMs) === 'ok') naive.extend(at, place, nowMs)
  }

  compare(): void {
    const hopeless = this.group.hopeless
    for (const { partition } of this.logs) {
      const { floor, lag, inFlight, givenBack } = this.group.figures(partition)
      const found = JSON.stringify({ floor, lag, inFlight, givenBack })
      const expected = JSON.stringify(this.naive.figures(partition))
      if (found !== expected) throw new Error(`partition ${partition}: expected ${expected}, found ${found}`)
      const offsets = hopeless.filter((each) => each.partition === partition).map(({ offset }) => offset as number)
      offsets.sort((a, b) => a - b)
      if (String(offsets) !== String(this.naive.exhausted(partition)))
        throw new Error(
          `partition ${partition}: ${String(offsets)} are exhausted, not ${String(this.naive.exhausted(partition))}`,
        )
    }
  }

  /** Whatever happened, a consumer that stays and acknowledges gets everything. */
  finish(): void {
    for (const at of names.keys()) this.run({ do: 'leave', who: at })
    this.run({ do: 'pass time', ms: 31_000 })
    const last = member('last', 1_000)
    this.group.join(last, this.nowMs)
    for (let turn = 0; turn < 500 && this.take(last, 10); turn++) {
      for (const { partition } of this.logs) {
        for (let offset = 0; offset < 120; offset++) {
          this.say({ do: 'ack', partition, offset, delayMs: 0 })
        }
      }
      this.compare()
    }
    this.bury()
    for (const { partition } of this.logs) {
      const { lag } = this.group.figures(partition)
      if (lag > 0) throw new Error(`${lag} records of partition ${partition} never came`)
    }
  }
}

for (const mode of ['exclusive', 'shared'] as const) {
  for (const attemptsMax of [Infinity, 3, 2]) {
    const numRuns = process.env['PENSTOCK_TEST_FULL'] === '1' ? 1_000 : 300
    test(`${mode}, ${attemptsMax} attempts: each step as a group that keeps a state a record`, (t) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          const pair = new Pair({ mode, attemptsMax })
          pair.group.join(pair.members[0] as FakeMember, pair.nowMs)
          for (const each of steps) pair.run(each)
          pair.finish()
        }),
        { numRuns },
      )
      t.pass(`${numRuns} histories`)
      t.end()
    })
  }
}
