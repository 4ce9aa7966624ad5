/**
 * A partition has one holder. Its lease is one for all that it has in flight there: any acknowledgement renews it, and when it
 * ends all of that is delivered again. A holder that another one follows keeps the partition until nothing is in flight.
 */

import type { Offset, Partition } from '#wire/ids'

import { assignPartitions } from './assign.ts'
import type { GroupedLog, Member, Sharing } from './sharing.ts'

interface Lease {
  holder: Member | undefined
  /** Who holds it next, once what is in flight is settled. */
  heir: Member | undefined
  /** When it ends, on the monotonic clock; Infinity when nothing is in flight. */
  deadlineMs: number
}

export class Exclusive implements Sharing {
  /** What is read for one piece is sent, as far as there is room for the first record. */
  readonly pieceRecords = Infinity
  readonly #topic: string
  readonly #logs: readonly GroupedLog[]
  readonly #leases: Lease[] = []
  readonly #held = new Map<Member, Partition[]>()

  /** @param logs by partition; they become more */
  constructor(topic: string, logs: readonly GroupedLog[]) {
    this.#topic = topic
    this.#logs = logs
  }

  partitionsOf(member: Member): readonly Partition[] {
    return this.#held.get(member) ?? []
  }

  mayTake(member: Member, partition: Partition): boolean {
    const lease = this.#leases[partition]
    return lease?.holder === member && lease.heir === undefined
  }

  inFlightOf(member: Member): number {
    let sum = 0
    for (const partition of this.#held.get(member) ?? []) sum += this.#log(partition).progress.inFlight
    return sum
  }

  holderOf(partition: Partition): Member | undefined {
    return this.#leases[partition]?.holder
  }

  share(members: ReadonlySet<Member>): void {
    for (const { log } of this.#logs) this.#lease(log.partition)
    const byName = new Map([...members].map((member) => [member.name, member]))
    const owners = assignPartitions(this.#topic, this.#logs.length, [...byName.keys()], (name, partition) => {
      const wanted = byName.get(name)?.partition
      return wanted === undefined || wanted === partition
    })
    for (const [partition, lease] of this.#leases.entries()) {
      const name = owners[partition]
      const owner = name === undefined ? undefined : byName.get(name)
      if (lease.holder === owner) {
        lease.heir = undefined
      } else if (lease.heir !== owner) {
        if (lease.holder !== undefined && lease.heir === undefined) lease.holder.revoked(partition as Partition)
        lease.heir = owner
      }
    }
    this.#handOver()
  }

  left(member: Member): void {
    for (const [partition, lease] of this.#leases.entries()) {
      if (lease.heir === member) lease.heir = undefined
      if (lease.holder !== member) continue
      lease.holder = undefined
      this.#lose(partition as Partition)
    }
    this.#held.delete(member)
  }

  sent(member: Member, partition: Partition, _from: Offset, _to: Offset, nowMs: number): void {
    this.#lease(partition).deadlineMs = nowMs + member.visibilityMs
  }

  settled(partition: Partition, _from: Offset, _to: Offset, nowMs?: number): void {
    this.#renew(partition, nowMs)
  }

  extended(partition: Partition, _offset: Offset, nowMs: number): void {
    this.#renew(partition, nowMs)
  }

  expire(nowMs: number): boolean {
    let changed = false
    for (const [partition, lease] of this.#leases.entries()) {
      if (lease.deadlineMs > nowMs) continue
      this.#lose(partition as Partition)
      changed = true
    }
    if (changed) this.#handOver()
    return changed
  }

  #renew(partition: Partition, nowMs: number | undefined): void {
    const lease = this.#lease(partition)
    const { holder } = lease
    const isDone = this.#log(partition).progress.inFlight === 0
    if (holder === undefined || isDone) lease.deadlineMs = Infinity
    else if (nowMs !== undefined) lease.deadlineMs = nowMs + holder.visibilityMs
    if (isDone && lease.heir !== undefined) this.#handOver()
    // Also one that has just given the log away: it has room now for its others.
    holder?.wake()
  }

  #lose(partition: Partition): void {
    this.#lease(partition).deadlineMs = Infinity
    this.#log(partition).progress.lose()
  }

  /** Gives each log whose old holder has nothing in flight to its heir. */
  #handOver(): void {
    for (const [partition, lease] of this.#leases.entries()) {
      const { holder, heir } = lease
      if (heir === undefined) continue
      if (holder !== undefined && this.#log(partition as Partition).progress.inFlight > 0) continue
      lease.holder = heir
      lease.heir = undefined
      this.#note(holder, heir, partition as Partition)
      heir.wake()
    }
  }

  #note(before: Member | undefined, holder: Member, partition: Partition): void {
    if (before !== undefined) {
      this.#held.set(
        before,
        (this.#held.get(before) ?? []).filter((each) => each !== partition),
      )
    }
    const held = this.#held.get(holder) ?? []
    held.push(partition)
    this.#held.set(holder, held)
  }

  #lease(partition: Partition): Lease {
    // Those before it too: after a start, the first that is heard of may be any of them.
    while (this.#leases.length <= partition) {
      this.#leases.push({ holder: undefined, heir: undefined, deadlineMs: Infinity })
    }
    return this.#leases[partition] as Lease
  }

  #log(partition: Partition): GroupedLog {
    return this.#logs[partition] as GroupedLog
  }
}
