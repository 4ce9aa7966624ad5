/** Removes what is older than the store keeps, in pieces, and gives the disk its space back. */

import type { DatabaseSync } from 'node:sqlite'
import type { Rows } from '../store.ts'

/** Rows that a piece removes: some 20 ms of work. */
const rowsMax = 20_000

/** Pages that a piece gives back: some 20 ms of work. */
const pagesMax = 1000

/**
 * Pages that stay in the file as they will be needed again soon: new rows take the place of the removed ones, and moving
 * pages only to get new ones would be for nothing.
 */
const freeShareMax = 0.125

/**
 * Removes a piece of what is older than `cutS`.
 *
 * @returns whether there is more
 */
export function removeOld(db: DatabaseSync, cutS: number): boolean {
  const points = removePiece(
    db,
    cutS,
    'SELECT s, series, ns FROM points WHERE s < ? ORDER BY s, series, ns LIMIT 1 OFFSET ?',
    'DELETE FROM points WHERE (s, series, ns) < (?, ?, ?)',
    'DELETE FROM points WHERE s < ?',
  )
  const transfers = removePiece(
    db,
    cutS,
    'SELECT s, ns, id FROM transfers WHERE s < ? ORDER BY s, ns, id LIMIT 1 OFFSET ?',
    'DELETE FROM transfers WHERE (s, ns, id) < (?, ?, ?)',
    'DELETE FROM transfers WHERE s < ?',
  )
  return points || transfers
}

/** Removes up to the row that the first statement finds, or all that is old where there is no such row; and counts it. */
function removePiece(db: DatabaseSync, cutS: number, findEnd: string, upTo: string, rest: string): boolean {
  const end = db.prepare(findEnd).get(cutS, rowsMax)
  db.exec('BEGIN IMMEDIATE')
  try {
    const { changes } = end === undefined ? db.prepare(rest).run(cutS) : db.prepare(upTo).run(...Object.values(end))
    if (Number(changes) > 0) db.prepare('UPDATE removed SET rows = rows + ?').run(changes)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
  return end !== undefined
}

/** How many rows there are, and how many were removed. It counts them one by one. */
export function readRows(db: DatabaseSync): Rows {
  const kept = numberOf(db, 'SELECT (SELECT count(*) FROM points) + (SELECT count(*) FROM transfers)')
  return { kept, removed: numberOf(db, 'SELECT rows FROM removed') }
}

/**
 * Cuts a piece of the free pages off the file. A file from before they were kept apart has to be vacuumed once for that.
 *
 * @returns whether there is more
 */
export function freePages(db: DatabaseSync): boolean {
  if (numberOf(db, 'PRAGMA auto_vacuum') === 0) return false
  const free = numberOf(db, 'PRAGMA freelist_count')
  if (free <= pagesMax && free <= numberOf(db, 'PRAGMA page_count') * freeShareMax) return false
  db.exec(`PRAGMA incremental_vacuum(${pagesMax})`)
  return true
}

function numberOf(db: DatabaseSync, sql: string): number {
  return Object.values(db.prepare(sql).get() ?? {})[0] as number
}
