/** Logs and consumers for the tests of groups: a log is an end, a consumer counts what it is told. */

import type { Offset, Partition } from '#wire/ids'

import { Group, type GroupKind, type Work } from './group.ts'
import type { Member } from './sharing.ts'

const fromStart = { floor: 0 as Offset, acknowledged: [] }

/** A log that only has an end. */
export class FakeLog {
  readonly partition: Partition
  first = 0 as Offset
  end = 0 as Offset

  constructor(partition: number, end = 0) {
    this.partition = partition as Partition
    this.end = end as Offset
  }
}

export interface FakeMember extends Member {
  wakes: number
  readonly lost: number[]
  isDismissed: boolean
}

export function member(name: string, maxInFlight = 100): FakeMember {
  return {
    name,
    partition: undefined,
    maxInFlight,
    visibilityMs: 30_000,
    wakes: 0,
    lost: [],
    isDismissed: false,
    wake() {
      this.wakes++
    },
    revoked(partition) {
      this.lost.push(partition)
    },
    dismissed() {
      this.isDismissed = true
    },
  }
}

export function groupOf(...logs: FakeLog[]): Group {
  return groupOfKind({ mode: 'exclusive', attemptsMax: Infinity }, ...logs)
}

export function groupOfKind(kind: GroupKind, ...logs: FakeLog[]): Group {
  const group = new Group('telemetry', 'g', kind)
  for (const log of logs) group.addLog(log, fromStart)
  return group
}

/** Takes what is next, all of it, up to a bound of records. */
export function take(group: Group, who: Member, nowMs: number, records = 10): (Work & { next: number }) | undefined {
  const work = group.next(who)
  if (work === undefined) return undefined
  const next = Math.min(work.from + records, work.until)
  return group.delivered(who, work, next as Offset, nowMs) ? { ...work, next } : undefined
}
