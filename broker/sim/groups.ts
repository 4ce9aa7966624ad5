/** What has to be true of one group and one log: what was acknowledged stays so, and nothing else is. */

import type { Progress } from '../groups/progress.ts'
import { survives, type Complain, type Ending, type LogModel } from './model.ts'

export class GroupModel {
  readonly log: LogModel
  readonly name: string
  readonly #complain: Complain
  /** Whether it must be there. */
  required = false
  /** Where it began, once anybody knows. */
  #start: number | undefined
  readonly #asked = new Set<number>()
  readonly #answered = new Set<number>()
  readonly #delivered = new Set<number>()
  readonly #givenUp = new Set<number>()
  /** Of these, the ones whose letters no crash may have taken. */
  readonly #kept = new Set<number>()
  /** A seek takes back what was acknowledged; acknowledgements of before it say nothing of after. */
  seeks = 0

  constructor(log: LogModel, name: string, complain: Complain) {
    this.log = log
    this.name = `${name} of ${log.name}`
    this.#complain = complain
  }

  /** A client has the group: it must not go any more. */
  told(): void {
    this.required = true
  }

  /** The group is there: it was made, or came back with the broker. */
  found(progress: Progress, end: number): void {
    this.#start ??= progress.floor
    this.check(progress, end)
    for (const offset of this.#answered) {
      if (isAcknowledged(progress, offset)) continue
      this.#complain(`${this.name} keeps the answered acknowledgement of ${offset}`, describe(progress))
      return
    }
  }

  missing(): void {
    if (this.required) this.#complain(`${this.name} is there, as was answered`, 'there is no such group')
    this.#start = undefined
  }

  /** What holds at any time. */
  check(progress: Progress, end: number): void {
    if (progress.floor > end)
      this.#complain(`the floor of ${this.name} is not beyond its end, ${end}`, describe(progress))
    for (const offset of this.log.required) {
      if (
        offset < (this.#start ?? 0) ||
        this.#asked.has(offset) ||
        this.#givenUp.has(offset) ||
        !isAcknowledged(progress, offset)
      )
        continue
      this.#complain(`${this.name} keeps ${offset} for whoever acknowledges it`, describe(progress))
      return
    }
  }

  /** A new record at `first` must not be acknowledged before it is there. */
  issued(first: number, count: number, progress: Progress): void {
    for (let offset = first; offset < first + count; offset++) {
      if (!isAcknowledged(progress, offset)) continue
      this.#complain(`${offset} is a new record, which ${this.name} has not seen`, describe(progress))
      return
    }
  }

  delivered(offset: number): void {
    this.#delivered.add(offset)
  }

  asked(offset: number): void {
    this.#asked.add(offset)
  }

  answered(offset: number): void {
    this.#answered.add(offset)
  }

  /** It became a dead letter. */
  givenUp(offset: number): void {
    this.#givenUp.add(offset)
    this.#kept.add(offset)
  }

  /** Somebody asked it to go on from an offset: until that is answered it may be there, or where it was. */
  seeking(floor: number, end: number): void {
    this.seeks++
    for (let offset = 0; offset < end; offset++) {
      if (offset >= floor) this.#answered.delete(offset)
      else {
        this.#asked.add(offset)
        this.#delivered.add(offset)
      }
    }
  }

  ended(ending: Ending): void {
    // Unlike a log, a journal is not synced at a stop: what it forgets is delivered again.
    if (survives(this.log.durability, ending)) return
    this.#answered.clear()
    this.#kept.clear()
    this.required = false
  }

  /**
   * All has come to rest: every record has been delivered, and what was given up has a letter.
   *
   * @param letters the offsets of this log that this group's dead letters name
   */
  atRest(letters: ReadonlySet<number>): void {
    if (this.#start === undefined) return
    for (const offset of this.#kept) {
      if (letters.has(offset)) continue
      this.#complain(`${this.name} has a dead letter of ${offset}, which it gave up`, 'there is none')
    }
    for (const offset of this.log.required) {
      // What was given up may have been sent on connections alone that ended before it was read.
      if (offset < this.#start || this.#delivered.has(offset) || this.#givenUp.has(offset)) continue
      this.#complain(`${this.name} is sent ${offset}`, 'it never was')
      return
    }
  }
}

function isAcknowledged({ floor, acknowledged }: Progress, offset: number): boolean {
  return offset < floor || acknowledged.some(([from, to]) => offset >= from && offset < to)
}

function describe({ floor, acknowledged }: Progress): string {
  return `floor ${floor}, acknowledged ${JSON.stringify(acknowledged)}`
}
