/**
 * The brokers as a whole: members, ring and topics, and the walk from a partition's owner to those that stand in for it.
 */

import type { Clock } from '#lib/clock'
import type { Ordinal, Partition } from '#wire/ids'

import { Members, type Member } from './members.ts'
import { Ring } from './ring.ts'

/** A topic, as far as routing needs it. */
export interface TopicTable {
  readonly partitions: number
  /** The owner of each partition, by number. */
  readonly owners: readonly Ordinal[]
}

export class Cluster {
  readonly members: Members
  readonly #virtualNodes: number
  #ring: Ring
  #partitions = new Map<string, number>()
  #tables = new Map<string, TopicTable>()
  #version = 0
  #turn = 0

  constructor(clock: Clock, urls: readonly string[], virtualNodes: number, onChange: (member: Member) => void) {
    this.#virtualNodes = virtualNodes
    this.#ring = new Ring([], virtualNodes)
    this.members = new Members(clock, urls, (member) => {
      this.#renew()
      onChange(member)
    })
  }

  /** Rises whenever the table of owners may have changed. */
  get version(): number {
    return this.#version
  }

  /** What the table of owners is made of: where it is the same, the tables are. */
  get recipe(): readonly unknown[] {
    const topics = [...this.#partitions].sort(([a], [b]) => (a < b ? -1 : 1))
    return [this.#virtualNodes, this.#ring.brokers, topics]
  }

  get topics(): Iterable<string> {
    return this.#partitions.keys()
  }

  /**
   * Whether every broker has told its number, and the topics are known: a ring made of a part of them would send records to
   * the wrong owner.
   */
  get complete(): boolean {
    return this.members.complete && this.#partitions.size > 0
  }

  /** Takes over what the brokers say that there is: for each topic the largest number of partitions. */
  learn(topics: ReadonlyMap<string, number>): void {
    const same =
      topics.size === this.#partitions.size &&
      [...topics].every(([name, count]) => this.#partitions.get(name) === count)
    if (same) return
    this.#partitions = new Map(topics)
    this.#tables.clear()
    this.#version++
  }

  topic(name: string): TopicTable | undefined {
    const partitions = this.#partitions.get(name)
    if (partitions === undefined) return undefined
    let table = this.#tables.get(name)
    if (table === undefined) {
      table = { partitions, owners: this.#ring.owners(name, partitions) }
      this.#tables.set(name, table)
    }
    return table
  }

  /** The next partition for a record without a key. */
  turn(partitions: number): Partition {
    this.#turn = (this.#turn + 1) % partitions
    return this.#turn as Partition
  }

  /** The brokers that may take a record of this partition, the owner first, then those that would stand in for it. */
  writersOf(name: string, partition: Partition): Member[] {
    const owner = this.topic(name)?.owners[partition]
    const walk = [...this.#ring.walk(name, partition)]
    const order = owner === undefined ? walk : [owner, ...walk.filter((broker) => broker !== owner)]
    return order.flatMap((ordinal) => {
      const member = this.members.byOrdinal(ordinal)
      return member !== undefined && member.state === 'up' && member.writable ? [member] : []
    })
  }

  #renew(): void {
    this.#version++
    const ordinals = this.members.ordinals
    if (ordinals.length === this.#ring.brokers.length && ordinals.every((each) => this.#ring.brokers.includes(each)))
      return
    this.#ring = new Ring(ordinals, this.#virtualNodes)
    this.#tables.clear()
  }
}
