import fc from 'fast-check'
import { test } from 'tap'

import type { Offset } from '#wire/ids'

import {
  planRetention,
  type GroupFloor,
  type KeptSegment,
  type RetentionInput,
  type RetentionLimits,
} from './retention.ts'

const unlimited: RetentionLimits = {
  retention: 'time',
  retentionBytes: Infinity,
  retentionAgeMs: Infinity,
  maxBytes: Infinity,
}

/** Files of ten records and 100 bytes, the newest of file N appended at N seconds. */
function files(count: number): KeptSegment[] {
  return Array.from({ length: count }, (_, at) => ({
    first: (10 * at) as Offset,
    next: (10 * at + 10) as Offset,
    records: 10,
    bytes: 100,
    lastMs: 1000 * at,
  }))
}

function group(name: string, floor: number, acknowledged: [number, number][] = []): GroupFloor {
  return { name, floor: floor as Offset, acknowledged }
}

function plan(input: Partial<Omit<RetentionInput, 'limits'>> & { readonly limits?: Partial<RetentionLimits> }) {
  const { segments = files(5), groups = [], nowMs = 10_000, isPressed = false } = input
  return planRetention({
    segments,
    groups,
    nowMs,
    isPressed,
    limits: { ...unlimited, ...input.limits },
  })
}

test('without a limit all stays', (t) => {
  t.strictSame(plan({}), { roll: false, dropBefore: undefined, lost: new Map() })
  t.strictSame(plan({ segments: [] }), { roll: false, dropBefore: undefined, lost: new Map() })
  t.end()
})

test('over the size the oldest go, but not what a group has still to get', (t) => {
  const limits = { retentionBytes: 250 }
  t.equal(plan({ limits }).dropBefore, 30, 'two files are within 250 bytes')
  t.equal(plan({ limits, groups: [group('g', 25)] }).dropBefore, 20)
  t.equal(plan({ limits, groups: [group('g', 25), group('h', 3)] }).dropBefore, undefined)
  t.end()
})

test('the age takes what nobody acknowledged, and tells how much that is', (t) => {
  const groups = [
    group('behind', 5, [
      [7, 9],
      [12, 14],
    ]),
    group('done', 50),
  ]
  const { dropBefore, lost } = plan({ limits: { retentionAgeMs: 9_000 }, groups })
  t.equal(dropBefore, 20, 'files 0 and 1 were last written 10 s and 9 s ago')
  t.strictSame(lost, new Map([['behind', 11]]))
  t.end()
})

test('by acknowledgement a file goes when the last group is done with it, and never without a group', (t) => {
  const limits = { retention: 'acknowledged' as const }
  t.equal(plan({ limits }).dropBefore, undefined)
  t.equal(plan({ limits, groups: [group('g', 39), group('h', 50)] }).dropBefore, 30)
  t.equal(plan({ limits, groups: [group('g', 50)] }).dropBefore, 40, 'the file that is written stays')
  t.end()
})

test('the file that is written is closed when it could go', (t) => {
  t.ok(plan({ limits: { retentionAgeMs: 6_000 } }).roll, 'its newest record is past the age')
  t.notOk(plan({ limits: { retentionAgeMs: 6_001 } }).roll)
  t.ok(plan({ segments: files(1), limits: { retentionBytes: 199 } }).roll, 'it alone is half of the limit')
  t.notOk(plan({ segments: files(1), limits: { retentionBytes: 200 } }).roll)
  const acknowledged = { retention: 'acknowledged' as const }
  const groups = [group('g', 10)]
  t.notOk(plan({ segments: files(1), limits: acknowledged, groups }).roll)
  t.ok(plan({ segments: files(1), limits: acknowledged, groups, isPressed: true }).roll, 'there is no room else')
  t.notOk(plan({ segments: files(1), limits: acknowledged, groups: [group('g', 9)], isPressed: true }).roll)
  const empty = { ...(files(1)[0] as KeptSegment), records: 0 }
  t.notOk(plan({ segments: [empty], limits: { retentionAgeMs: 1 } }).roll, 'nothing is in it')
  t.end()
})

/** Record by record, file by file: what may go, and what a group loses by it. */
function obviousPlan({ segments, limits, groups, nowMs }: RetentionInput) {
  const isAcknowledged = (offset: number, { floor, acknowledged }: GroupFloor) =>
    offset < floor || acknowledged.some(([from, to]) => from <= offset && offset < to)
  const lost = new Map<string, number>()
  let left = [...segments]
  while (left.length > 1) {
    const oldest = left[0] as KeptSegment
    const offsets = Array.from({ length: oldest.next - oldest.first }, (_, at) => oldest.first + at)
    const isDone = groups.every((one) => offsets.every((offset) => isAcknowledged(offset, one)))
    const isOld = nowMs - oldest.lastMs >= limits.retentionAgeMs
    const isTooMuch = left.reduce((sum, one) => sum + one.bytes, 0) > limits.retentionBytes
    const isUnneeded = limits.retention === 'acknowledged' && groups.length > 0
    if (!isOld && !(isDone && (isTooMuch || isUnneeded))) break
    for (const one of groups) {
      const missed = offsets.filter((offset) => !isAcknowledged(offset, one)).length
      if (missed > 0) lost.set(one.name, (lost.get(one.name) ?? 0) + missed)
    }
    left = left.slice(1)
  }
  return { dropBefore: left.length === segments.length ? undefined : left[0]?.first, lost }
}

const someSegments = fc
  .array(fc.record({ records: fc.integer({ min: 0, max: 6 }), bytes: fc.nat(50), laterMs: fc.nat(20) }), {
    maxLength: 7,
  })
  .map((sizes) => {
    let first = 100
    let lastMs = 0
    return sizes.map(({ records, bytes, laterMs }): KeptSegment => {
      const segment = {
        first: first as Offset,
        next: (first + records) as Offset,
        records,
        bytes,
        lastMs: (lastMs += laterMs),
      }
      first += records
      return segment
    })
  })

const someGroup = fc.record({
  floor: fc.integer({ min: 95, max: 145 }),
  steps: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 8 }),
})

test('as the obvious model, record by record', (t) => {
  const input = fc.record({
    segments: someSegments,
    limits: fc.record({
      retention: fc.constantFrom('time' as const, 'acknowledged' as const),
      retentionBytes: fc.oneof(fc.nat(200), fc.constant(Infinity)),
      retentionAgeMs: fc.oneof(fc.nat(100), fc.constant(Infinity)),
      maxBytes: fc.constant(Infinity),
    }),
    groups: fc.array(someGroup, { maxLength: 3 }).map((groups) =>
      groups.map(({ floor, steps }, at) => {
        const acknowledged: [number, number][] = []
        let edge = floor
        for (let step = 0; step + 1 < steps.length; step += 2) {
          const from = edge + (steps[step] as number)
          edge = from + (steps[step + 1] as number)
          acknowledged.push([from, edge])
        }
        return group(`g${at}`, floor, acknowledged)
      }),
    ),
    nowMs: fc.nat(150),
    isPressed: fc.boolean(),
  })
  fc.assert(
    fc.property(input, (given) => {
      // A floor stands at the first record that is not acknowledged: a group moves it when its ranges reach it.
      const { dropBefore, lost } = planRetention(given)
      const obvious = obviousPlan(given)
      t.equal(dropBefore, obvious.dropBefore)
      t.strictSame(lost, obvious.lost)
    }),
    { numRuns: 300 },
  )
  t.end()
})

test('a hole is no record that is lost', (t) => {
  const [segment, next] = files(2) as [KeptSegment, KeptSegment]
  const { lost } = plan({
    segments: [{ ...segment, records: 4 }, next],
    limits: { retentionAgeMs: 10_000 },
    groups: [group('g', 0)],
  })
  t.strictSame(lost, new Map([['g', 4]]))
  t.end()
})
