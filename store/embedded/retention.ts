/** Removes what is older than the store keeps, in pieces, and gives the disk its space back. */

import type { DatabaseSync } from 'node:sqlite'
import { countSealed, countTwofold } from './count.ts'
import { hourS } from './rows.ts'

/** Rows that a piece removes: some 20 ms of work. */
const rowsMax = 20_000

/** Blocks that a piece removes: some 20 ms of work. */
const blocksMax = 1000

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
    ([s = 0, series = 0, ns = 0]) => countTwofold(db, s, series, ns),
  )
  const transfers = removePiece(
    db,
    cutS,
    'SELECT s, ns, id FROM transfers WHERE s < ? ORDER BY s, ns, id LIMIT 1 OFFSET ?',
    'DELETE FROM transfers WHERE (s, ns, id) < (?, ?, ?)',
    'DELETE FROM transfers WHERE s < ?',
  )
  return points || transfers || removeBlocks(db, Math.floor(cutS / hourS))
}

/** Blocks of hours that are old as a whole. */
function removeBlocks(db: DatabaseSync, cutHour: number): boolean {
  const { hour } = db.prepare('SELECT min(hour) AS hour FROM hours').get() as { hour: number | null }
  if (hour === null || hour >= cutHour) return false
  const end = db
    .prepare('SELECT series FROM blocks WHERE hour = ? ORDER BY series LIMIT 1 OFFSET ?')
    .get(hour, blocksMax)
  const toSeries = (end?.series ?? Infinity) as number
  inOne(db, () => {
    const rows = countSealed(db, hour, toSeries)
    note(db, rows)
    db.prepare('DELETE FROM blocks WHERE hour = ? AND series < ?').run(hour, toSeries)
    db.prepare('UPDATE hours SET samples = samples - ? WHERE hour = ?').run(rows, hour)
    if (end === undefined) db.prepare('DELETE FROM hours WHERE hour = ?').run(hour)
  })
  return true
}

/** Removes up to the row that the first statement finds, or all that is old where there is no such row. */
function removePiece(
  db: DatabaseSync,
  cutS: number,
  findEnd: string,
  upTo: string,
  rest: string,
  twofold: (end: readonly number[]) => number = () => 0,
): boolean {
  const end = db.prepare(findEnd).get(cutS, rowsMax)
  const place = end === undefined ? [cutS, 0, 0] : (Object.values(end) as number[])
  inOne(db, () => {
    // A row that is in its block, too, goes with that.
    const staying = twofold(place)
    const { changes } = end === undefined ? db.prepare(rest).run(cutS) : db.prepare(upTo).run(...place)
    note(db, Number(changes) - staying)
  })
  return end !== undefined
}

function note(db: DatabaseSync, rows: number): void {
  if (rows > 0) db.prepare('UPDATE removed SET rows = rows + ?').run(rows)
}

/** In one transaction: rows and their count go together. */
export function inOne(db: DatabaseSync, work: () => void): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    work()
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
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
