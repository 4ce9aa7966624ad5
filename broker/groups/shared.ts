/**
 * Records go to whoever is free. Each piece of work is a lease of its own: when its time comes, or its consumer goes, what is not
 * settled of it is delivered again, and the others keep theirs.
 */

import type { Offset, Partition } from '#wire/ids'

import type { GroupedLog, Member, Sharing } from './sharing.ts'

/** Records in flight of one piece of work; those that are settled are cut out. */
interface Lease {
  readonly from: number
  readonly to: number
  readonly member: Member
  readonly deadlineMs: number
}

/** The leases of one log, in the order of their offsets. They do not overlap. */
interface LogLeases {
  leases: Lease[]
  /** No lease ends before that. */
  earliestMs: number
}

export class Shared implements Sharing {
  /** Few enough that consumers take turns, many enough that a turn is worth its price. */
  readonly pieceRecords = 100
  readonly #logs: readonly GroupedLog[]
  readonly #byLog: LogLeases[] = []
  readonly #inFlight = new Map<Member, number>()
  #members: ReadonlySet<Member> = new Set()
  #all: readonly Partition[] = []

  /** @param logs by partition; they become more */
  constructor(logs: readonly GroupedLog[]) {
    this.#logs = logs
  }

  partitionsOf(member: Member): readonly Partition[] {
    return member.partition === undefined ? this.#all : [member.partition]
  }

  mayTake(member: Member, partition: Partition): boolean {
    return this.#members.has(member) && (member.partition === undefined || member.partition === partition)
  }

  inFlightOf(member: Member): number {
    return this.#inFlight.get(member) ?? 0
  }

  holderOf(): undefined {
    return undefined
  }

  share(members: ReadonlySet<Member>): void {
    this.#all = this.#logs.map(({ log }) => log.partition)
    this.#members = members
  }

  left(member: Member): void {
    for (const partition of this.#all) this.#lose(partition, (lease) => lease.member === member)
  }

  sent(member: Member, partition: Partition, from: Offset, to: Offset, nowMs: number): void {
    this.#add(partition, { from, to, member, deadlineMs: nowMs + member.visibilityMs })
  }

  settled(partition: Partition, from: Offset, to: Offset): void {
    const holders = new Set(this.#cut(partition, from, to).map(({ member }) => member))
    for (const holder of holders) holder.wake()
    // What was given back is for anybody.
    for (const member of this.#members) if (!holders.has(member)) member.wake()
  }

  extended(partition: Partition, offset: Offset, nowMs: number): void {
    for (const lease of this.#cut(partition, offset, offset + 1)) {
      this.#add(partition, { ...lease, deadlineMs: nowMs + lease.member.visibilityMs })
    }
  }

  expire(nowMs: number): boolean {
    let changed = false
    for (const partition of this.#all) {
      if (this.#leasesOf(partition).earliestMs > nowMs) continue
      if (this.#lose(partition, ({ deadlineMs }) => deadlineMs <= nowMs)) changed = true
    }
    return changed
  }

  /** Takes the leases of one kind away; their records come again. The lowest of each consumer counts. */
  #lose(partition: Partition, isLost: (lease: Lease) => boolean): boolean {
    const log = this.#leasesOf(partition)
    const lost = new Map<Member, [number, number][]>()
    const kept: Lease[] = []
    for (const lease of log.leases) {
      if (!isLost(lease)) {
        kept.push(lease)
        continue
      }
      this.#count(lease.member, lease.from - lease.to)
      const ranges = lost.get(lease.member) ?? []
      ranges.push([lease.from, lease.to])
      lost.set(lease.member, ranges)
    }
    log.leases = kept
    log.earliestMs = kept.reduce((earliest, { deadlineMs }) => Math.min(earliest, deadlineMs), Infinity)
    const { progress } = this.#logs[partition] as GroupedLog
    for (const ranges of lost.values()) progress.loseSome(ranges)
    return lost.size > 0
  }

  #add(partition: Partition, lease: Lease): void {
    const log = this.#leasesOf(partition)
    log.leases.splice(firstFrom(log.leases, lease.from), 0, lease)
    log.earliestMs = Math.min(log.earliestMs, lease.deadlineMs)
    this.#count(lease.member, lease.to - lease.from)
  }

  /** Takes offsets out of the leases. Returns what was taken out. */
  #cut(partition: Partition, from: number, to: number): Lease[] {
    const { leases } = this.#leasesOf(partition)
    let first = firstFrom(leases, from)
    const before = leases[first - 1]
    if (before !== undefined && before.to > from) first--
    let last = first
    const taken: Lease[] = []
    const rest: Lease[] = []
    for (; last < leases.length && (leases[last] as Lease).from < to; last++) {
      const lease = leases[last] as Lease
      if (lease.from < from) rest.push({ ...lease, to: from })
      if (lease.to > to) rest.push({ ...lease, from: to })
      taken.push({ ...lease, from: Math.max(lease.from, from), to: Math.min(lease.to, to) })
    }
    leases.splice(first, last - first, ...rest)
    for (const lease of taken) this.#count(lease.member, lease.from - lease.to)
    return taken
  }

  #leasesOf(partition: Partition): LogLeases {
    return (this.#byLog[partition] ??= { leases: [], earliestMs: Infinity })
  }

  #count(member: Member, change: number): void {
    const count = this.inFlightOf(member) + change
    if (count === 0) this.#inFlight.delete(member)
    else this.#inFlight.set(member, count)
  }
}

/** Where the first lease stands that begins at an offset or behind it. */
function firstFrom(leases: readonly Lease[], offset: number): number {
  let low = 0
  let high = leases.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((leases[middle] as Lease).from < offset) low = middle + 1
    else high = middle
  }
  return low
}
