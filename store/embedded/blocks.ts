import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { DamagedBlock, decodeRollup, decodeRows } from './block.ts'
import type { Rollup } from './rollup.ts'
import { type Rows, hourS } from './rows.ts'
import { timeOf } from './instants.ts'

/** Reads sealed hours. An hour is known by its number since 1970. */
export class BlockReader {
  readonly #rows: StatementSync
  readonly #rollup: StatementSync

  constructor(db: DatabaseSync) {
    this.#rows = db.prepare('SELECT rows AS blob FROM blocks WHERE hour = ? AND series = ?')
    this.#rollup = db.prepare('SELECT rollup AS blob FROM blocks WHERE hour = ? AND series = ?')
  }

  /** @throws DamagedBlock, which names it */
  rows(hour: number, series: number): Rows | undefined {
    return read(this.#rows, hour, series, decodeRows)
  }

  /** @throws DamagedBlock, which names it */
  rollup(hour: number, series: number, columns: number): Rollup | undefined {
    return read(this.#rollup, hour, series, (blob) => decodeRollup(blob, columns))
  }
}

function read<T>(
  statement: StatementSync,
  hour: number,
  series: number,
  decode: (blob: Uint8Array) => T,
): T | undefined {
  const row = statement.get(hour, series) as { readonly blob: Uint8Array } | undefined
  if (row === undefined) return undefined
  try {
    return decode(row.blob)
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
