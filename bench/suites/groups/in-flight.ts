/**
 * A group with a million records in flight: the classes alone, without a disk or a network. The peer is as many records in
 * groups that have a thousand each.
 *
 * - Bytes of heap a record, when they were sent, and when every second one is acknowledged: the most ranges that there can be.
 * - Microseconds an acknowledgement: in order, of records anywhere, and of records anywhere between such ranges.
 * - Microseconds a piece of work when their time is over and they are sent again, between such ranges.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { FakeLog, groupOfKind, member, take, type FakeMember } from '#broker/groups/fakes'
import type { Group } from '#broker/groups/group'
import type { Mode } from '#broker/groups/sharing'
import type { Offset, Partition } from '#wire/ids'

import type { Bench } from '../../measure.ts'
import { report, takeTurns } from '../../load/rounds.ts'
import { batchRecords } from '../../load/records.ts'

const many = 1_000_000
const few = 1000

const partition = 0 as Partition

/** A measurement is over after so many calls, or so many ms. */
const callsMax = 2000
const callsMsMax = 5000

interface Held {
  readonly group: Group
  readonly reader: FakeMember
  readonly records: number
}

export async function inFlight(bench: Bench): Promise<void> {
  const rounds = bench.quick ? 1 : 5
  for (const mode of ['exclusive', 'shared'] as const) {
    bench.say(`in flight: ${many.toLocaleString('en-US')} records, ${mode}`)
    for (const [state, prepare] of Object.entries(states)) {
      const figures = await takeTurns(bench, rounds, {
        many: async () => heapBytesOf(mode, many, prepare) / many,
        few: async () => heapBytesOf(mode, few, prepare) / many,
      })
      report(bench, `heap-${mode}-${state}`, 'bytes a record', figures.many, peersOf(figures.few), { mode })
    }
    for (const [work, { prepare, callsOf }] of Object.entries(works)) {
      const measure = (records: number) => async () => microsecondsOf(mode, records, prepare, callsOf)
      // Compiled by the first calls.
      await measure(few)()
      const figures = await takeTurns(bench, rounds, { many: measure(many), few: measure(few) })
      report(bench, `${work}-${mode}`, 'us', figures.many, peersOf(figures.few), { mode })
    }
  }
}

function peersOf<T>(figure: T): Record<string, T> {
  return { [`${few.toLocaleString('en-US')} in flight`]: figure }
}

/** What is done with the records once they are in flight. */
const states: Readonly<Record<string, (held: Held) => void>> = {
  sent: () => {},
  holes: punch,
}

/** What is measured, call by call. */
const works: Readonly<Record<string, { prepare(held: Held): void; callsOf(held: Held): Iterable<() => unknown> }>> = {
  'ack-in-order': { prepare: () => {}, callsOf: (held) => acksOf(held, (at) => at) },
  'ack-anywhere': { prepare: () => {}, callsOf: (held) => acksOf(held, anywhere(held.records)) },
  'ack-between-holes': {
    prepare: punch,
    callsOf: (held) => acksOf(held, (at) => anywhere(held.records / 2)(at) * 2),
  },
  'redeliver-between-holes': {
    prepare(held) {
      punch(held)
      held.group.tick(2 * held.reader.visibilityMs)
    },
    *callsOf({ group, reader, records }) {
      for (let done = 0; done < records / 4; done++) yield () => take(group, reader, 0, batchRecords)
    },
  },
}

/** A group whose only consumer was sent all records, and has acknowledged none. */
function holding(mode: Mode, records: number): Held {
  const group = groupOfKind({ mode, attemptsMax: Infinity }, new FakeLog(partition, records))
  const reader = member('reader', records)
  group.join(reader, 0)
  while (take(group, reader, 0, batchRecords) !== undefined);
  const { inFlight: sent } = group.figures(partition)
  if (sent !== records) throw new Error(`${sent} of ${records} records are in flight`)
  return { group, reader, records }
}

/** Acknowledges every second record: the odd ones. */
function punch({ group, records }: Held): void {
  for (let offset = 1; offset < records; offset += 2) group.acknowledge(partition, offset as Offset, 0)
}

function* acksOf({ group, records }: Held, offsetOf: (at: number) => number): Iterable<() => unknown> {
  for (let at = 0; at < records / 4; at++) {
    yield () => {
      const outcome = group.acknowledge(partition, offsetOf(at) as Offset, 0)
      if (outcome !== 'ok') throw new Error(outcome)
    }
  }
}

/** The numbers below a round one in an order that looks like none: 7919 is a prime that divides none of them. */
function anywhere(below: number): (at: number) => number {
  return (at) => (at * 7919 + 1) % below
}

/** Bytes of heap of so many groups as hold a million records. */
function heapBytesOf(mode: Mode, records: number, prepare: (held: Held) => void): number {
  const before = heapBytes()
  const all: Held[] = []
  for (let held = 0; held < many; held += records) {
    const one = holding(mode, records)
    prepare(one)
    all.push(one)
  }
  const bytes = heapBytes() - before
  if (all.some(({ group }) => group.figures(partition).inFlight === 0)) throw new Error('nothing is in flight')
  return bytes
}

/** Of one call, in new groups until there were enough. */
function microsecondsOf(
  mode: Mode,
  records: number,
  prepare: (held: Held) => void,
  callsOf: (held: Held) => Iterable<() => unknown>,
): number {
  let calls = 0
  let ms = 0
  while (calls < callsMax && ms < callsMsMax) {
    const held = holding(mode, records)
    prepare(held)
    const startedMs = performance.now()
    for (const call of callsOf(held)) {
      call()
      calls++
      if (calls >= callsMax || (calls % 16 === 0 && performance.now() - startedMs + ms >= callsMsMax)) break
    }
    ms += performance.now() - startedMs
  }
  return (1000 * ms) / calls
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heapBytes(): number {
  collect()
  return process.memoryUsage().heapUsed
}
