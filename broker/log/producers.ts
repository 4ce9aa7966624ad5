/**
 * What a log remembers of its producers, so that a batch that is sent twice is written once.
 *
 * A producer numbers its records, in its stream to one partition. The number of a batch is that of its first record.
 */

import type { Offset } from '#wire/ids'

/** Batches whose answers are remembered, a producer: more than one client has in flight. */
const rememberedMax = 8

/** Producers that are remembered, a log: the ones that wrote last. */
const producersMax = 10_000

/** Where the records of an earlier batch stand. */
export interface WrittenBatch {
  readonly sequence: number
  readonly first: Offset
  readonly count: number
}

/** The last batch of each producer, by name, as it is kept on disk: `[sequence, first offset, count]`. */
export type ProducerStates = ReadonlyMap<string, readonly [number, number, number]>

interface Producer {
  /** The number of the next record, of those that are committed. */
  committed: number
  /** The same, of those that are still being written too. */
  expected: number
  recent: WrittenBatch[]
}

/** What to do with a numbered batch. */
export type Verdict =
  | { readonly kind: 'append' }
  /** Written before, or being written; where, when it is still known. */
  | { readonly kind: 'duplicate'; readonly written: WrittenBatch | undefined }
  | { readonly kind: 'overlap'; readonly expected: number }

/** Of logs without any: an empty map takes 200 bytes, and most of ten thousand logs have no producer with a name. */
const none: ReadonlyMap<string, Producer> = new Map()

export class Producers {
  #producers = none as Map<string, Producer>

  judge(name: string, sequence: number, count: number): Verdict {
    const producer = this.#producers.get(name)
    // Numbers may be left out (a record that was refused keeps its number), never used twice.
    if (producer === undefined || sequence >= producer.expected) return { kind: 'append' }
    if (sequence + count > producer.expected) return { kind: 'overlap', expected: producer.expected }
    const written = producer.recent.find((batch) => batch.sequence === sequence && batch.count === count)
    return { kind: 'duplicate', written }
  }

  /** Notes a batch that is being written. */
  appended(name: string, batch: WrittenBatch): void {
    if (this.#producers === none) this.#producers = new Map()
    let producer = this.#producers.get(name)
    if (producer === undefined) {
      producer = { committed: 0, expected: 0, recent: [] }
      if (this.#producers.size >= producersMax) this.#forgetOldest()
    } else {
      this.#producers.delete(name)
    }
    // Set anew, so that the map's order is that of the last write.
    this.#producers.set(name, producer)
    producer.expected = batch.sequence + batch.count
    producer.recent.push(batch)
    if (producer.recent.length > rememberedMax) producer.recent.shift()
  }

  committed(name: string, sequence: number, count: number): void {
    const producer = this.#producers.get(name)
    if (producer !== undefined) producer.committed = Math.max(producer.committed, sequence + count)
  }

  /** Forgets what was being written from this offset on: it was not committed. */
  rewind(next: Offset): void {
    for (const producer of this.#producers.values()) {
      producer.expected = producer.committed
      producer.recent = producer.recent.filter((batch) => batch.first + batch.count <= next)
    }
  }

  /** What is committed, for a trailer. */
  get states(): ProducerStates {
    const states = new Map<string, readonly [number, number, number]>()
    for (const [name, { recent, committed }] of this.#producers) {
      const last = recent.findLast((batch) => batch.sequence + batch.count <= committed)
      // What is remembered of a producer with nothing but a number is still that number.
      if (committed > 0)
        states.set(name, last === undefined ? [committed, 0, 0] : [last.sequence, last.first, last.count])
    }
    return states
  }

  /** Takes over what a trailer kept. */
  restore(states: ProducerStates): void {
    for (const [name, [sequence, first, count]] of states) {
      this.appended(name, { sequence, first: first as Offset, count })
      this.committed(name, sequence, count)
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#producers.keys()
    if (oldest !== undefined) this.#producers.delete(oldest)
  }
}
