/**
 * Statements of reads, prepared once for each database. A day of one GPU needs eight, and preparing them anew took a quarter of
 * its time (0.27 of 1.1 ms of processor time). SQLite itself prepares one again where the tables have changed.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Of one database: texts are ours, and few; whoever asks cannot make up more. */
const keptMax = 128

const kept = new WeakMap<DatabaseSync, Map<string, StatementSync>>()

/**
 * The statement of a text, which has nothing of a question in it: what is asked for are parameters. Nobody may begin it again before
 * they are through with its rows.
 *
 * @param as what a row is
 */
export function prepared(db: DatabaseSync, sql: string, as: 'object' | 'array' = 'object'): StatementSync {
  let own = kept.get(db)
  if (own === undefined) kept.set(db, (own = new Map()))
  const key = `${as} ${sql}`
  let statement = own.get(key)
  if (statement === undefined) {
    statement = db.prepare(sql)
    statement.setReturnArrays(as === 'array')
    if (own.size >= keptMax) own.clear()
    own.set(key, statement)
  }
  return statement
}
