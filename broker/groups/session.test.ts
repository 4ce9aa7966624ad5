import { test } from 'tap'

import type { Offset, Partition } from '#wire/ids'

import { PlainSession, type PlainLog } from './session.ts'

/** A log that only has an end, and counts how often somebody looks at it. */
class QuietLog implements PlainLog {
  readonly partition: Partition
  first = 0 as Offset
  looks = 0
  readonly listeners = new Set<() => void>()
  #end = 0 as Offset

  constructor(partition: number) {
    this.partition = partition as Partition
  }

  get end(): Offset {
    this.looks++
    return this.#end
  }

  onVisible(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  grow(records: number): void {
    this.#end = (this.#end + records) as Offset
    for (const listener of this.listeners) listener()
  }
}

function opened(count: number) {
  const logs = Array.from({ length: count }, (_, partition) => new QuietLog(partition))
  let wakes = 0
  const session = new PlainSession(logs, new Map(logs.map((log) => [log.partition, log.first])), () => wakes++)
  /** Takes one record, and tells of which partition. */
  const take = (same?: Partition): number | undefined => {
    const work = session.next(same)
    if (work !== undefined) session.delivered(work, (work.from + 1) as Offset)
    return work?.partition
  }
  return { logs, session, take, wakes: () => wakes }
}

test('a plain reader takes one piece of each log in turn, until there is none', (t) => {
  const { logs, take, wakes } = opened(3)
  t.equal(take(), undefined)
  logs[2]?.grow(2)
  logs[0]?.grow(3)
  t.equal(wakes(), 2)
  t.strictSame([take(), take(), take(), take(), take(), take()], [2, 0, 2, 0, 0, undefined])
  logs[1]?.grow(1)
  t.equal(take(0 as Partition), undefined, 'the same log again, when that is asked for')
  t.equal(take(1 as Partition), 1)
  t.equal(take(), undefined)
  t.end()
})

test('work that was not delivered is told again, and a log that came later is read from its first record', (t) => {
  const { logs, session, take, wakes } = opened(1)
  logs[0]?.grow(1)
  t.match([session.next(), session.next()], [{ from: 0 }, { from: 0 }])
  const later = new QuietLog(7)
  later.grow(1)
  session.grow([later])
  t.equal(wakes(), 2)
  t.strictSame([take(), take(), take()], [0, 7, undefined])
  session.close()
  t.strictSame([logs[0]?.listeners.size, later.listeners.size], [0, 0])
  t.end()
})

test('a piece of work costs as much with ten thousand quiet logs as with one', (t) => {
  const { logs, take } = opened(10_000)
  take()
  const before = logs.reduce((sum, { looks }) => sum + looks, 0)
  for (let n = 0; n < 100; n++) {
    logs[n * 97]?.grow(1)
    t.equal(take(), n * 97)
    t.equal(take(), undefined)
  }
  t.equal(logs.reduce((sum, { looks }) => sum + looks, 0) - before, 200, 'two looks a record')
  t.end()
})
