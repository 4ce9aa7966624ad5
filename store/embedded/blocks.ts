import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { DamagedBlock, decodeRollup, decodeRows } from './block.ts'
import { prepared } from './kept.ts'
import type { Rollup } from './rollup.ts'
import { type Rows, hourS } from './rows.ts'
import { timeOf } from './instants.ts'

/**
 * Rows of a block in so few bytes come along with its rollup where they are likely to be asked for: a search of their own takes as
 * long again. More of them would be read in vain, since a rollup with minutes serves most windows.
 */
const rowsAlongBytesMax = 512

/** The series of a question. */
export interface Wanted {
  /** What stands in an `IN` of SQL. */
  readonly sql: string
  readonly parameters: Readonly<Record<string, string | number>>
  /** One series: a parameter, by which the text is the same for every question. */
  readonly isOne: boolean
  /** Kept where the text is. Rows are lists. */
  statement(db: DatabaseSync, text: string): StatementSync
}

/** Beyond so many, all series of the metric are read; those that are not asked for are left out afterwards. */
const idsMax = 500

export function wantedOf(metric: string, ids: readonly number[]): Wanted {
  const [only] = ids
  if (ids.length > idsMax) {
    return {
      sql: 'SELECT id FROM series WHERE metric = :metric',
      parameters: { metric },
      isOne: false,
      statement: kept,
    }
  }
  if (ids.length === 1) return { sql: ':series', parameters: { series: only as number }, isOne: true, statement: kept }
  return { sql: ids.join(', '), parameters: {}, isOne: false, statement: once }
}

const kept = (db: DatabaseSync, text: string): StatementSync => prepared(db, text, 'array')

function once(db: DatabaseSync, text: string): StatementSync {
  const statement = db.prepare(text)
  statement.setReturnArrays(true)
  return statement
}

/** Reads sealed hours. An hour is known by its number since 1970. */
export class BlockReader {
  readonly #rows: StatementSync

  constructor(db: DatabaseSync) {
    this.#rows = prepared(db, 'SELECT rows AS blob FROM blocks WHERE hour = ? AND series = ?')
  }

  /** @throws DamagedBlock, which names it */
  rows(hour: number, series: number): Rows | undefined {
    const row = this.#rows.get(hour, series) as { readonly blob: Uint8Array } | undefined
    return row && named(hour, series, () => decodeRows(row.blob))
  }
}

type Blobs = [rollup: Uint8Array, rows: Uint8Array | null]

/** Reads the rollups of sealed hours, of all series of a query by one statement an hour: one a series takes thrice as long. */
export class RollupReader {
  readonly #statement: StatementSync
  readonly #wanted: Wanted
  #hour: number | undefined
  #blobs: ReadonlyMap<number, Blobs> = new Map()

  constructor(db: DatabaseSync, wanted: Wanted) {
    const rows = wanted.isOne ? `CASE WHEN length(rows) <= ${rowsAlongBytesMax} THEN rows END` : 'NULL'
    this.#statement = wanted.statement(
      db,
      `SELECT series, rollup, ${rows} FROM blocks WHERE hour = :hour AND series IN (${wanted.sql})`,
    )
    this.#wanted = wanted
  }

  /**
   * Stands until the next one is read.
   *
   * @throws DamagedBlock, which names it
   */
  rollup(hour: number, series: number, columns: number): Rollup | undefined {
    if (hour !== this.#hour) {
      const found = this.#statement.all({ hour, ...this.#wanted.parameters }) as unknown as [number, ...Blobs][]
      this.#blobs = new Map(found.map(([id, rollup, rows]) => [id, [rollup, rows]]))
      this.#hour = hour
    }
    const blob = this.#blobs.get(series)?.[0]
    return blob && named(hour, series, () => decodeRollup(blob, columns))
  }

  /** Those that came along with the rollup that was asked for last; `undefined`: ask the {@link BlockReader}. */
  rowsAlong(hour: number, series: number): Rows | undefined {
    const blob = hour === this.#hour ? this.#blobs.get(series)?.[1] : undefined
    return blob ? named(hour, series, () => decodeRows(blob)) : undefined
  }
}

function named<T>(hour: number, series: number, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new DamagedBlock(`the block of series ${series} from ${timeOf(hour * hourS, 0)} on is damaged, ${text}`, {
      cause: error,
    })
  }
}

/** The hours that have blocks, rising; from one to another, both included. */
export function sealedHours(db: DatabaseSync, first = 0, last = Number.MAX_SAFE_INTEGER): number[] {
  const statement = prepared(db, 'SELECT hour FROM hours WHERE hour BETWEEN ? AND ? ORDER BY hour')
  return (statement.all(first, last) as { hour: number }[]).map(({ hour }) => hour)
}
