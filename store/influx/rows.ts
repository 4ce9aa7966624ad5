/** The rows that a batch makes: of several records of one identity one row. Pure. */

import type { Instant } from '#telemetry/time'
import { timeDigits } from './lines.ts'
import { isBefore, isSameInstant, type SeriesState } from './memory.ts'
import type { Outcome } from './outcomes.ts'

/** A row of a batch. */
export interface Row {
  readonly state: SeriesState
  readonly at: Instant
  /** `null`: not reported. */
  value: number | null
  /** Whether it is written: not where the database has all that it says. */
  isWanted: boolean
  /** Whether the database has a number there, which `null` does not replace. */
  readonly hadValue: boolean
}

export class Rows {
  readonly #rows: Row[] = []
  /** The rows of series of which not all come in order, by the digits of their times. */
  readonly #byTime = new Map<SeriesState, Map<string, Row>>()

  /**
   * Takes a record in.
   *
   * @param inDatabase whether the row there has a value; `undefined`: there is no such row
   */
  add(state: SeriesState, at: Instant, value: number | null, inDatabase: boolean | undefined): Outcome {
    const same = this.#rowAt(state, at)
    if (same !== undefined) {
      if (value === null) return 'd'
      same.value = value
      same.isWanted = true
      return 'd'
    }
    // "Not reported" says nothing about a row that is there.
    const isWanted = value !== null || inDatabase === undefined
    const row: Row = { state, at, value, isWanted, hadValue: inDatabase === true }
    this.#rows.push(row)
    if (this.#byTime.size > 0) this.#byTime.get(state)?.set(timeDigits(at), row)
    if (state.row === undefined || isBefore(state.row.at, at)) state.row = row
    if (inDatabase !== undefined) return 'd'
    return value === null ? 'n' : 's'
  }

  get all(): readonly Row[] {
    return this.#rows
  }

  /** What is written now is known from here on. */
  commit(): void {
    for (const { state } of this.#rows) {
      const newest = state.row
      if (newest === undefined) continue
      state.row = undefined
      if (isBefore(newest.at, state.newest)) continue
      const hadValue = isSameInstant(newest.at, state.newest) && state.hasValue === true
      state.newest = newest.at
      state.hasValue = hadValue || newest.hadValue || newest.value !== null
    }
  }

  /** The row of this batch at a time. Nearly every record is newer than all before it, and is told so without a search. */
  #rowAt(state: SeriesState, at: Instant): Row | undefined {
    const newest = state.row
    if (newest === undefined || isBefore(newest.at, at)) return undefined
    if (isSameInstant(newest.at, at)) return newest
    let own = this.#byTime.get(state)
    if (own === undefined) {
      own = new Map()
      for (const row of this.#rows) if (row.state === state) own.set(timeDigits(row.at), row)
      this.#byTime.set(state, own)
    }
    return own.get(timeDigits(at))
  }
}
