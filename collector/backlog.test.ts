import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Backlog, runsOf, type Taken } from './backlog.ts'
import type { Delivered } from './batch.ts'

const limits = { records: 10, bytes: 1000 }
const waitMs = 100

function delivered(partition: number, offset: number): Delivered {
  return { id: `0/${partition}/${offset}`, broker: 0, partition, offset, data: 'x' }
}

function offsetsOf({ batch }: Taken): readonly (readonly [number, readonly number[]])[] {
  return batch.parts.map(({ partition, messages }) => [partition, messages.map(({ offset }) => offset)] as const)
}

test('each log comes whole and in its order, in one write at a time, whatever is written beside it', async (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), partition: fc.nat(3), count: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ kind: fc.constant('take' as const), isDue: fc.boolean() }),
    fc.record({ kind: fc.constant('done' as const), which: fc.nat(5) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 4), (steps, growth) => {
      const backlog = new Backlog(limits, waitMs, growth)
      const [given, written] = [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ]
      const open: Taken[] = []
      let nowMs = 0
      const take = (isDue: boolean): boolean => {
        const taken = backlog.take(nowMs, isDue)
        if (typeof taken !== 'object') return false
        for (const place of taken.places) assert.ok(!open.some(({ places }) => places.includes(place)), 'one at a time')
        for (const [partition, offsets] of offsetsOf(taken)) {
          for (const offset of offsets) {
            assert.equal(offset, written[partition])
            written[partition] = offset + 1
          }
        }
        open.push(taken)
        return true
      }
      for (const step of steps) {
        nowMs++
        if (step.kind === 'add') {
          const { partition, count } = step
          const messages = Array.from({ length: count }, () => delivered(partition, (given[partition] as number)++))
          backlog.add(messages, (place) => place, nowMs)
        } else if (step.kind === 'take') take(step.isDue)
        else for (const done of open.splice(step.which, 1)) backlog.done(done)
        const waiting = given.reduce((sum, count, at) => sum + count - (written[at] as number), 0)
        assert.equal(backlog.records, waiting)
      }
      for (const done of open.splice(0)) backlog.done(done)
      while (take(true)) for (const done of open.splice(0)) backlog.done(done)
      assert.deepEqual(written, given)
      assert.equal(backlog.records, 0)
    }),
  )
  t.pass()
})

test('little goes together after a wait; a log with enough for a write goes alone, and leaves the next write to others', async (t) => {
  const backlog = new Backlog(limits, waitMs)
  const add = (partition: number, from: number, count: number, nowMs: number): void =>
    backlog.add(
      Array.from({ length: count }, (_, at) => delivered(partition, from + at)),
      (place) => place,
      nowMs,
    )
  add(0, 0, 2, 0)
  add(1, 0, 2, 50)
  t.equal(backlog.take(60, false), 40, 'until the oldest has waited')
  const both = backlog.take(100, false) as Taken
  t.same(both.places, ['0/0', '0/1'])
  add(0, 2, 10, 110)
  add(2, 0, 10, 120)
  const third = backlog.take(120, false) as Taken
  t.same(third.places, ['0/2'], 'the first is being written')
  t.equal(backlog.take(120, false), undefined)
  backlog.done(both)
  add(1, 2, 10, 130)
  t.same((backlog.take(130, false) as Taken).places, ['0/0'])
  t.same((backlog.take(130, false) as Taken).places, ['0/1'])
})

test('a log that waits for its turn gathers more than is enough, as far as it may grow, and takes nobody with it', async (t) => {
  const backlog = new Backlog(limits, waitMs, 3)
  const add = (partition: number, from: number, count: number): void =>
    backlog.add(
      Array.from({ length: count }, (_, at) => delivered(partition, from + at)),
      (place) => place,
      0,
    )
  add(0, 0, 10)
  t.ok(backlog.isEnough)
  const first = backlog.take(0, false) as Taken
  t.equal(first.batch.records, 10, 'enough is enough while nothing else waits')
  t.notOk(backlog.isEnough)
  for (let from = 10; from < 50; from += 5) add(0, from, 5)
  add(1, 0, 2)
  backlog.done(first)
  const second = backlog.take(0, false) as Taken
  t.same([second.places, second.batch.records], [['0/0'], 30])
  backlog.done(second)
  const rest = [backlog.take(0, true), backlog.take(0, true)] as Taken[]
  t.same(
    rest.map(({ places, batch }) => [places, batch.records]),
    [
      [['0/0'], 10],
      [['0/1'], 2],
    ],
  )
})

test('runs are the neighbours of one log', async (t) => {
  const messages = [delivered(0, 0), delivered(0, 1), delivered(1, 0), delivered(0, 2)]
  t.same(runsOf(messages), [messages.slice(0, 2), messages.slice(2, 3), messages.slice(3)])
  t.same(runsOf([]), [])
})
