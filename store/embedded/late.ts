import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { hourS, placeOf, type Rows } from './rows.ts'
import type { Sealer } from './sealer.ts'

/**
 * Takes rows whose hour is sealed, and tells those that are in its blocks already from new ones. A row with another value
 * than its block's goes to `points`, where it stands before the block's until the hour is sealed again.
 */
export class LateRows {
  readonly #sealer: Sealer
  readonly #upsert: StatementSync
  readonly #update: StatementSync
  /** Of this write: rows come in many times the series of one hour. */
  readonly #blocks = new Map<string, Rows>()

  constructor(db: DatabaseSync, sealer: Sealer) {
    this.#sealer = sealer
    this.#upsert = db.prepare(`
      INSERT INTO points (s, series, ns, value) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value
    `)
    this.#update = db.prepare('UPDATE points SET value = ? WHERE s = ? AND series = ? AND ns = ?')
  }

  /**
   * Writes the row if its block has one of that time.
   *
   * @returns whether it has; otherwise the row is still to be written, as any other
   */
  write(hour: number, series: number, s: number, ns: number, value: number | null): boolean {
    const { times, values } = this.#rowsOf(hour, series)
    const time = (s - hour * hourS) * 1e9 + ns
    const place = placeOf(times, time)
    if (times[place] !== time) return false
    if (value === null) return true
    // With the block's own value there is nothing to put before it, but maybe something to put right.
    if (values[place] === value) this.#update.run(value, s, series, ns)
    else this.#upsert.run(s, series, ns, value)
    return true
  }

  /** Between two writes: the hour may be sealed again. */
  forget(): void {
    this.#blocks.clear()
  }

  #rowsOf(hour: number, series: number): Rows {
    const key = `${hour} ${series}`
    let rows = this.#blocks.get(key)
    if (rows === undefined) this.#blocks.set(key, (rows = this.#sealer.rowsOf(hour, series)))
    return rows
  }
}
