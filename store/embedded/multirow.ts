import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

/** Rows of one statement, largest first. One row a statement reaches 1.3M rows/s, 25 to 1,000 rows 2.0 to 2.1M. */
const sizes = [200, 20, 1]

interface Chunk {
  readonly rows: number
  readonly insert: StatementSync
  readonly conflict: StatementSync | undefined
  /** Reused: the statement copies what is bound. */
  readonly args: SQLInputValue[]
}

/** An `INSERT … VALUES (…), (…)` of any number of rows, as statements that were prepared once. */
export class MultiRow {
  readonly #columns: number
  readonly #chunks: readonly Chunk[]

  /**
   * @param sql the statement around the given list of rows
   * @param conflictSql run with the same rows when the first one changed fewer than it was given
   */
  constructor(
    db: DatabaseSync,
    columns: number,
    sql: (values: string) => string,
    conflictSql?: (values: string) => string,
  ) {
    this.#columns = columns
    const row = `(${Array.from({ length: columns }, () => '?').join(',')})`
    this.#chunks = sizes.map((rows) => {
      const values = Array.from({ length: rows }, () => row).join(',')
      return {
        rows,
        insert: db.prepare(sql(values)),
        conflict: conflictSql === undefined ? undefined : db.prepare(conflictSql(values)),
        args: Array.from({ length: rows * columns }, () => null),
      }
    })
  }

  /**
   * @param fill writes the columns of row `row` into `args` from index `at` on
   * @returns how many rows the first statement changed
   */
  run(count: number, fill: (args: SQLInputValue[], at: number, row: number) => void): number {
    let changed = 0
    let done = 0
    for (const { rows, insert, conflict, args } of this.#chunks) {
      for (; count - done >= rows; done += rows) {
        for (let row = 0; row < rows; row++) fill(args, row * this.#columns, done + row)
        const changes = Number(insert.run(...args).changes)
        if (changes < rows) conflict?.run(...args)
        changed += changes
      }
    }
    return changed
  }
}
