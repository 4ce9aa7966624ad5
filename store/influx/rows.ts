/** The rows that a batch makes: of several records of one identity one row. Pure. */

import type { Instant } from '#telemetry/time'
import { timeDigits } from './lines.ts'
import { isBefore, isSameInstant, type SeriesState } from './memory.ts'
import type { Outcome } from './outcomes.ts'

interface Row {
  readonly state: SeriesState
  readonly at: Instant
  /** `null`: not reported. */
  value: number | null
  /** Whether it is written: not where the database has all that it says. */
  isWanted: boolean
  /** Whether the database has a number there, which `null` does not replace. */
  readonly hadValue: boolean
}

/** Of one series in this batch. */
interface OfSeries {
  newest: Row
  readonly rows: Row[]
  /** By the digits of the time; made with the first row that is not the newest. */
  byTime: Map<string, Row> | undefined
}

export class Rows {
  readonly #rows: Row[] = []
  readonly #series = new Map<SeriesState, OfSeries>()

  /**
   * Takes a record in.
   *
   * @param inDatabase whether the row there has a value; `undefined`: there is no such row
   */
  add(state: SeriesState, at: Instant, value: number | null, inDatabase: boolean | undefined): Outcome {
    const known = this.#series.get(state)
    const same = known === undefined ? undefined : rowAt(known, at)
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
    if (known === undefined) this.#series.set(state, { newest: row, rows: [row], byTime: undefined })
    else {
      known.rows.push(row)
      known.byTime?.set(timeDigits(at), row)
      if (isBefore(known.newest.at, at)) known.newest = row
    }
    if (inDatabase !== undefined) return 'd'
    return value === null ? 'n' : 's'
  }

  /** As line protocol. */
  lines(): string[] {
    const lines: string[] = []
    for (const { state, at, value, isWanted } of this.#rows) {
      if (isWanted)
        lines.push(`${state.head} ${value === null ? 'reported=false' : `value=${value}`} ${timeDigits(at)}`)
    }
    return lines
  }

  /** What is written now is known from here on. */
  commit(): void {
    for (const [state, { newest }] of this.#series) {
      if (isBefore(newest.at, state.newest)) continue
      const hadValue = isSameInstant(newest.at, state.newest) && state.hasValue === true
      state.newest = newest.at
      state.hasValue = hadValue || newest.hadValue || newest.value !== null
    }
  }
}

/** The row of this batch at a time. Nearly every record is newer than all before it, and is told so without a search. */
function rowAt(known: OfSeries, at: Instant): Row | undefined {
  if (isBefore(known.newest.at, at)) return undefined
  if (isSameInstant(known.newest.at, at)) return known.newest
  known.byTime ??= new Map(known.rows.map((row) => [timeDigits(row.at), row]))
  return known.byTime.get(timeDigits(at))
}
