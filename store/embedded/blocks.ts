import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { DamagedBlock, decodeRollup, decodeRows } from './block.ts'
import type { Rollup } from './rollup.ts'
import { type Rows, hourS } from './rows.ts'
import { timeOf } from './instants.ts'

/** Reads sealed hours. An hour is known by its number since 1970. */
export class BlockReader {
  readonly #rows: StatementSync

  constructor(db: DatabaseSync) {
    this.#rows = db.prepare('SELECT rows AS blob FROM blocks WHERE hour = ? AND series = ?')
  }

  /** @throws DamagedBlock, which names it */
  rows(hour: number, series: number): Rows | undefined {
    const row = this.#rows.get(hour, series) as { readonly blob: Uint8Array } | undefined
    return row && named(hour, series, () => decodeRows(row.blob))
  }
}

/** Reads the rollups of sealed hours, of all series of a query by one statement an hour: one a series takes thrice as long. */
export class RollupReader {
  readonly #statement: StatementSync
  readonly #parameters: Record<string, string>
  #hour: number | undefined
  #blobs: ReadonlyMap<number, Uint8Array> = new Map()

  /** @param wanted the series, as what stands in an IN of SQL, with its parameters */
  constructor(db: DatabaseSync, wanted: string, parameters: Record<string, string>) {
    this.#statement = db.prepare(`SELECT series, rollup FROM blocks WHERE hour = :hour AND series IN (${wanted})`)
    this.#statement.setReturnArrays(true)
    this.#parameters = parameters
  }

  /**
   * Stands until the next one is read.
   *
   * @throws DamagedBlock, which names it
   */
  rollup(hour: number, series: number, columns: number): Rollup | undefined {
    if (hour !== this.#hour) {
      const rows = this.#statement.all({ hour, ...this.#parameters }) as unknown as [number, Uint8Array][]
      this.#blobs = new Map(rows)
      this.#hour = hour
    }
    const blob = this.#blobs.get(series)
    return blob && named(hour, series, () => decodeRollup(blob, columns))
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

/** The hours that have blocks, rising. */
export function sealedHours(db: DatabaseSync): number[] {
  return (db.prepare('SELECT hour FROM hours ORDER BY hour').all() as { hour: number }[]).map(({ hour }) => hour)
}
