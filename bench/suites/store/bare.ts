/** A bare table of points: what SQLite alone takes for rows of 2,000 series a second, in the order that they arrive. */

import { DatabaseSync, type StatementSync } from 'node:sqlite'

export const batchRecords = 5000
export const startMs = Date.UTC(2025, 6, 18)

export class BareTable {
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  readonly #rows: number

  /** @param key the order of the table; @param rows of a statement */
  constructor(path: string, key: string, rows: number) {
    this.#db = new DatabaseSync(path)
    this.#db.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
      CREATE TABLE points (s INTEGER, series INTEGER, ns INTEGER, value REAL, PRIMARY KEY (${key})) WITHOUT ROWID
    `)
    const values = Array.from({ length: rows }, () => '(?, ?, ?, ?)').join(',')
    this.#insert = this.#db.prepare(`INSERT INTO points (s, series, ns, value) VALUES ${values} ON CONFLICT DO NOTHING`)
    this.#rows = rows
  }

  insert(batch: number): void {
    this.#db.exec('BEGIN IMMEDIATE')
    for (let done = 0; done < batchRecords; done += this.#rows) {
      const args: number[] = []
      for (let row = 0; row < this.#rows; row++) {
        const n = batch * batchRecords + done + row
        args.push(startMs / 1000 + Math.floor(n / 2000), n % 2000, 0, n % 97)
      }
      this.#insert.run(...args)
    }
    this.#db.exec('COMMIT')
  }

  close(): void {
    this.#db.close()
  }
}
