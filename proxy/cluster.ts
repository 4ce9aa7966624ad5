/**
 * The brokers as a whole: members, ring and topics, and the walk from a partition's owner to those that stand in for it.
 */

import type { Clock } from '#lib/clock'
import type { Ordinal, Partition } from '#wire/ids'

import { Members, type Member } from './members.ts'
import { Ring } from './ring.ts'
import { StrictGates } from './strict.ts'

/** A topic, as far as routing needs it. */
export interface TopicTable {
  readonly partitions: number
  /** The owner of each partition, by number. */
  readonly owners: readonly Ordinal[]
  /** Nobody stands in for the owner of a partition. */
  readonly strict: boolean
}

/** What the brokers say of a topic. */
export interface TopicSaid {
  readonly partitions: number
  /** Nobody stands in for the owner of a partition. */
  readonly strict?: boolean | undefined
  readonly groups?: readonly string[] | undefined
}

export class Cluster {
  readonly members: Members
  readonly gates = new StrictGates()
  readonly #virtualNodes: number
  #ring: Ring
  #topics = new Map<string, TopicSaid>()
  #tables = new Map<string, TopicTable>()
  #version = 0
  #turn = 0

  /** @param expected how many brokers there are at least; by default as many as there are addresses */
  constructor(
    clock: Clock,
    urls: readonly string[],
    virtualNodes: number,
    onChange: (member: Member) => void,
    expected = urls.length,
  ) {
    this.#virtualNodes = virtualNodes
    const changed = (member: Member): void => {
      this.#renew()
      onChange(member)
    }
    this.members = new Members(clock, urls, changed, expected)
    this.#ring = new Ring(this.members.ordinals, virtualNodes)
  }

  /** Rises whenever the table of owners may have changed. */
  get version(): number {
    return this.#version
  }

  /** What the table of owners is made of: where it is the same, the tables are. */
  get recipe(): readonly unknown[] {
    const topics = [...this.#topics]
      .map(([name, { partitions, strict = false }]) => [name, partitions, strict] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    return [this.#virtualNodes, this.#ring.brokers, topics]
  }

  get topics(): Iterable<string> {
    return this.#topics.keys()
  }

  /**
   * Whether every broker has told its number, or has been waited for long enough, and the topics are known: a ring made of a
   * part of them would send records to the wrong owner.
   */
  get complete(): boolean {
    return this.members.complete && this.#topics.size > 0
  }

  /** Takes over what the brokers say that there is: for each topic the largest number of partitions. */
  learn(topics: ReadonlyMap<string, TopicSaid>): void {
    const isSame =
      topics.size === this.#topics.size &&
      [...topics].every(([name, { partitions, strict }]) => {
        const known = this.#topics.get(name)
        return known?.partitions === partitions && known.strict === strict
      })
    this.#topics = new Map(topics)
    if (isSame) return
    this.#tables.clear()
    this.#version++
  }

  isStrict(name: string): boolean {
    return this.#topics.get(name)?.strict === true
  }

  /** Whether some broker knows the group. */
  hasGroup(name: string, group: string): boolean {
    return this.#topics.get(name)?.groups?.includes(group) === true
  }

  topic(name: string): TopicTable | undefined {
    const partitions = this.#topics.get(name)?.partitions
    if (partitions === undefined) return undefined
    let table = this.#tables.get(name)
    if (table === undefined) {
      table = { partitions, owners: this.#ring.owners(name, partitions), strict: this.isStrict(name) }
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
  *writersOf(name: string, partition: Partition): Generator<Member> {
    const owner = this.topic(name)?.owners[partition]
    const isStrict = this.isStrict(name)
    if (owner !== undefined && (!isStrict || this.gates.isOpen(name, partition, owner))) {
      const member = this.#writer(owner)
      if (member !== undefined) yield member
    }
    if (isStrict) return
    // Walked only when the owner takes nothing: hardly ever.
    for (const broker of this.#ring.walk(name, partition)) {
      const member = broker === owner ? undefined : this.#writer(broker)
      if (member !== undefined) yield member
    }
  }

  /** Why nobody may take a record of this partition now, in a few words. */
  whyNoWriter(name: string, partition: Partition): string {
    const owner = this.topic(name)?.owners[partition]
    if (!this.isStrict(name) || owner === undefined) return 'no broker takes records now'
    const why = this.gates.isOpen(name, partition, owner)
      ? `its owner, broker ${owner}, takes no records now`
      : this.gates.reason(name, partition)
    return `${name} is strict, and partition ${partition} waits: ${why}`
  }

  #writer(ordinal: Ordinal): Member | undefined {
    const member = this.members.byOrdinal(ordinal)
    return member !== undefined && member.state === 'up' && member.writable ? member : undefined
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
