/**
 * What has to be true of one log, kept the naive way: a line for each record that anybody was ever told of.
 *
 * It knows nothing of segments, batches in memory or commits, only of what was sent, answered, shown and survived.
 */

import type { Durability } from '../log/types.ts'

/** What ends a life of the broker. */
export type Ending = 'stop' | 'kill' | 'power loss'

/** One batch that a client sends, maybe several times. */
export interface Attempt {
  readonly log: LogModel
  readonly records: readonly string[]
  readonly numbered: { readonly producer: string; readonly sequence: number } | undefined
  state: 'new' | 'sent' | 'answered' | 'refused'
  /** In which life of the broker it was refused. */
  life: number
  /** Refused by a log that takes more: what it wrote is cut off again, and stays so while the machine runs. */
  isCut: boolean
}

interface Bound {
  readonly attempt: Attempt
  readonly index: number
  /** It must be there: it was answered or shown, and nothing has come since that it need not survive. */
  required: boolean
  /** A graceful stop has put it where nothing but its retention takes it away. */
  safe: boolean
}

/** Told of what is wrong. */
export type Complain = (expected: string, found: string) => void

export class LogModel {
  readonly topic: string
  readonly partition: number
  readonly durability: Durability
  readonly #complain: Complain
  /** Every record that was sent, by its text, which no other has. */
  readonly #sent = new Map<string, { readonly attempt: Attempt; readonly index: number }>()
  /** What each offset was ever answered or shown as. An offset never becomes another record. */
  readonly #bound = new Map<number, Bound>()
  /** Where each batch stands, as far as anybody knows. */
  readonly #places = new Map<Attempt, number>()
  /** Gaps told in this life. */
  #gaps: (readonly [from: number, to: number])[] = []
  /** The lowest offset that must still be there. */
  #first = 0
  #mayDrop = 0
  life = 0

  constructor(topic: string, partition: number, durability: Durability, complain: Complain) {
    this.topic = topic
    this.partition = partition
    this.durability = durability
    this.#complain = complain
  }

  get name(): string {
    return `${this.topic}/partition-${this.partition}`
  }

  /** The offset after the highest one that anybody knows of. */
  get known(): number {
    let known = 0
    for (const offset of this.#bound.keys()) known = Math.max(known, offset + 1)
    return known
  }

  /** The offsets that must be there, rising. */
  get required(): readonly number[] {
    const offsets: number[] = []
    for (const [offset, { required }] of this.#bound) if (required && offset >= this.#first) offsets.push(offset)
    return offsets.sort((a, b) => a - b)
  }

  attempt(records: readonly string[], numbered: Attempt['numbered']): Attempt {
    const attempt: Attempt = { log: this, records, numbered, state: 'new', life: this.life, isCut: false }
    for (const [index, record] of records.entries()) this.#sent.set(record, { attempt, index })
    return attempt
  }

  /** The log took a batch and gave it offsets; nobody is told of them yet. */
  issued(attempt: Attempt, first: number): void {
    const place = this.#requiredPlaceOf(attempt)
    if (place !== undefined) {
      this.#complain(`${describe(attempt)} is known to stand at ${place} and is not taken again`, `taken at ${first}`)
    }
    for (let offset = first; offset < first + attempt.records.length; offset++) {
      const bound = this.#bound.get(offset)
      if (bound === undefined) continue
      this.#complain(
        `offset ${offset} of ${this.name} is that of ${describe(bound.attempt)} for ever`,
        `issued again, to ${describe(attempt)}`,
      )
    }
  }

  answered(attempt: Attempt, first: number): void {
    this.#bind(attempt, first, 'answered')
  }

  /** A reader was given a record. */
  shown(offset: number, record: string, by: string): void {
    const sent = this.#sent.get(record)
    if (sent === undefined) {
      this.#complain(`${by} gets records that were sent to ${this.name}`, `${offset}: ${record.slice(0, 120)}`)
      return
    }
    const { attempt, index } = sent
    if (attempt.state === 'refused' && (attempt.isCut || attempt.life === this.life)) {
      this.#complain(`${describe(attempt)} was refused and leaves no trace`, `${by} gets it at ${offset}`)
    }
    const gap = this.#gaps.find(([from, to]) => offset >= from && offset < to)
    if (gap !== undefined) {
      this.#complain(`${this.name} lacks ${gap[0]} to ${gap[1] - 1}, as was told`, `${by} gets ${offset}`)
    }
    this.#bind(attempt, offset - index, `shown to ${by}`)
  }

  /** A reader was told that the offsets from `from` to `to` (exclusive) are not there. */
  gap(from: number, to: number, by: string): void {
    // What retention removes may still be on its way to another reader.
    if (to > this.#first) this.#gaps.push([Math.max(from, this.#first), to])
    for (let offset = from; offset < to; offset++) {
      const bound = this.#bound.get(offset)
      if (bound?.required !== true || offset < this.#first) continue
      this.#complain(
        `${describe(bound.attempt)} is at ${offset} of ${this.name}`,
        `${by} is told of a gap from ${from} to ${to - 1}`,
      )
      return
    }
  }

  /** A look at all that there is finds exactly what must be there, and each batch once. */
  whole(found: ReadonlyMap<number, string>, when: string): void {
    const places = new Map<Attempt, number>()
    for (const [offset, record] of found) {
      this.shown(offset, record, when)
      const sent = this.#sent.get(record)
      if (sent === undefined) continue
      const first = offset - sent.index
      const place = places.get(sent.attempt) ?? first
      if (place !== first) this.#complain(`${describe(sent.attempt)} stands once`, `at ${place} and at ${first}`)
      places.set(sent.attempt, place)
    }
    for (const [offset, bound] of this.#bound) {
      if (!bound.required || offset < this.#first || found.has(offset)) continue
      this.#complain(`${describe(bound.attempt)} is at ${offset} of ${this.name}`, `it is not there ${when}`)
      return
    }
  }

  /** Records below may be dropped from now on. */
  mayDrop(before: number): void {
    this.#mayDrop = Math.max(this.#mayDrop, before)
  }

  /** The log begins here. */
  begins(first: number): void {
    for (const offset of this.required) {
      if (offset >= first) break
      if (offset >= this.#mayDrop) this.#complain(`${offset} of ${this.name} is kept`, `the log begins at ${first}`)
    }
    this.#first = Math.max(this.#first, first)
  }

  /** The records of these offsets were spoiled where they stand: they may be gone, and are not to be served. */
  spoiled(from: number, to: number): void {
    for (let offset = from; offset < to; offset++) {
      const bound = this.#bound.get(offset)
      if (bound === undefined) continue
      bound.required = false
      bound.safe = false
    }
  }

  ended(ending: Ending): void {
    this.life++
    this.#gaps = []
    if (ending === 'power loss') for (const { attempt } of this.#sent.values()) attempt.isCut = false
    const kept = survives(this.durability, ending)
    for (const bound of this.#bound.values()) {
      if (ending === 'stop') bound.safe ||= bound.required
      if (!kept && !bound.safe) bound.required = false
    }
  }

  #bind(attempt: Attempt, first: number, how: string): void {
    const place = this.#requiredPlaceOf(attempt)
    if (place !== undefined && place !== first) {
      this.#complain(`${describe(attempt)} stands once, at ${place}`, `${how} at ${first}`)
    }
    this.#places.set(attempt, first)
    for (let index = 0; index < attempt.records.length; index++) {
      const offset = first + index
      const known = this.#bound.get(offset)
      if (known === undefined) {
        this.#bound.set(offset, { attempt, index, required: true, safe: false })
      } else if (known.attempt !== attempt || known.index !== index) {
        this.#complain(
          `offset ${offset} of ${this.name} is that of ${describe(known.attempt)} for ever`,
          `${describe(attempt)} ${how}`,
        )
        return
      } else {
        known.required = true
      }
    }
  }

  #requiredPlaceOf(attempt: Attempt): number | undefined {
    const place = this.#places.get(attempt)
    return place !== undefined && this.#bound.get(place)?.required === true ? place : undefined
  }
}

/** Whether what was answered is still there after an ending. */
export function survives(durability: Durability, ending: Ending): boolean {
  if (ending === 'stop') return true
  return durability === 'fsync' || (durability === 'disk' && ending === 'kill')
}

export function describe({ records, numbered }: Attempt): string {
  const number = numbered === undefined ? '' : ` (${numbered.producer} ${numbered.sequence})`
  return `${(records[0] as string).slice(0, 24)}… of ${records.length}${number}`
}
