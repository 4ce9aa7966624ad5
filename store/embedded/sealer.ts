/**
 * Moves hours that are over from `points` into blocks, a piece at a time.
 *
 * First every series of the hour that has rows in `points` gets a block, made of those and of the block that it may have
 * had; then the rows are removed. A row is thus in one of the two or in both at any moment, and reads take both. A write
 * into the hour begins it anew, since its row may belong to a series whose block is made already; so does a restart. Hence
 * nothing about a half-sealed hour has to be kept.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Clock } from '#lib/clock'
import { encodeRollup, encodeRows } from './block.ts'
import { BlockReader, sealedHours } from './blocks.ts'
import { readLoose } from './history.ts'
import { rollupOf } from './rollup.ts'
import { hourS, merged, noRows, type Rows } from './rows.ts'
import { secondsWalk } from './seconds.ts'

/** For how long an hour must be over, and nothing be written into it: late rows are dearer once it is sealed. */
export const quietMs = 300_000

/** What a piece is to take: nothing is written meanwhile. */
const pieceMs = 50

/** Rows that a piece is to handle, while it is not known how long they take here: usually some {@link pieceMs}. */
const pieceRowsMax = 20_000
const pieceRowsMin = 1_000

interface Job {
  readonly hour: number
  /** Series below it have their block. */
  nextSeries: number
  /** How many ids a piece takes; it follows from how many rows the piece before had. */
  width: number
  isRemoving: boolean
}

export class Sealer {
  readonly #db: DatabaseSync
  readonly #blocks: BlockReader
  readonly #hours: Set<number>
  /** When an hour was written into, since the store was opened. */
  readonly #written = new Map<number, number>()
  readonly #insertHour: StatementSync
  readonly #insertBlock: StatementSync
  #job: Job | undefined
  readonly #clock: Clock
  /** Rows that the next piece is to handle. */
  #pieceRows = pieceRowsMax

  constructor(db: DatabaseSync, clock: Clock) {
    this.#db = db
    this.#clock = clock
    this.#blocks = new BlockReader(db)
    this.#hours = new Set(sealedHours(db))
    this.#insertHour = db.prepare(
      'INSERT INTO hours VALUES (?, ?) ON CONFLICT DO UPDATE SET samples = samples + excluded.samples',
    )
    this.#insertBlock = db.prepare(`
      INSERT INTO blocks (hour, series, rollup, rows) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET rollup = excluded.rollup, rows = excluded.rows
    `)
  }

  /** Whether rows of the hour may be in blocks. */
  isSealed(hour: number): boolean {
    return this.#hours.has(hour)
  }

  /** The rows of a series that are in its block. */
  rowsOf(hour: number, series: number): Rows {
    return this.#blocks.rows(hour, series) ?? noRows
  }

  /** Is told of every hour that a write adds rows to. */
  written(hour: number, nowMs: number): void {
    this.#written.set(hour, nowMs)
    if (this.#job?.hour === hour) this.#job = undefined
  }

  /** @returns whether there is more to do */
  piece(nowMs: number): boolean {
    const job = (this.#job ??= this.#next(nowMs))
    if (job === undefined) return false
    const startMs = this.#clock.monotonicMs()
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const isDone = job.isRemoving ? this.#remove(job) : this.#seal(job)
      this.#db.exec('COMMIT')
      if (isDone) this.#job = undefined
    } catch (error) {
      this.#job = undefined
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
    const faster = pieceMs / Math.max(1, this.#clock.monotonicMs() - startMs)
    this.#pieceRows = Math.min(pieceRowsMax, Math.max(pieceRowsMin, Math.floor(this.#pieceRows * Math.min(2, faster))))
    return true
  }

  #next(nowMs: number): Job | undefined {
    const next = this.#db.prepare('SELECT min(s) AS s FROM points WHERE s >= ?')
    for (let fromS = 0; ;) {
      const { s } = next.get(fromS) as { s: number | null }
      if (s === null) return undefined
      const hour = Math.floor(s / hourS)
      fromS = (hour + 1) * hourS
      if (fromS * 1000 + quietMs > nowMs) return undefined
      const isQuiet = (this.#written.get(hour) ?? -Infinity) + quietMs <= nowMs
      if (isQuiet) return { hour, nextSeries: 0, width: 64, isRemoving: false }
    }
  }

  #seal(job: Job): boolean {
    const { hour } = job
    const startS = hour * hourS
    const from = this.#firstSeries(startS, job.nextSeries)
    if (from === undefined) {
      job.isRemoving = true
      return false
    }
    const statement = this.#db.prepare(`
      ${secondsWalk}
      SELECT p.series, p.s, p.ns, p.value
      FROM second CROSS JOIN points p ON p.s = second.s AND p.series >= :from AND p.series < :to
      WHERE second.s <= :toS LIMIT :max
    `)
    statement.setReturnArrays(true)
    // How many rows there are is known only when they are read, which ends where they are far too many: a series of each
    // second has 120 times the rows of one of each half minute.
    const max = job.width === 1 ? -1 : 2 * this.#pieceRows
    const found = readLoose(statement, startS, { from, to: from + job.width, max })
    const count = [...found.values()].reduce((sum, { times }) => sum + times.length, 0)
    if (count === max) {
      job.width = Math.max(1, job.width >> 2)
      return false
    }
    // Before the commit, because a write must look into blocks that may be there.
    this.#hours.add(hour)
    let added = 0
    for (const [series, loose] of found) {
      const under = this.rowsOf(hour, series)
      const rows = merged(under, loose)
      added += rows.times.length - under.times.length
      this.#insertBlock.run(hour, series, encodeRollup(rollupOf(rows)), encodeRows(rows))
    }
    this.#insertHour.run(hour, added)
    job.nextSeries = from + job.width
    job.width = Math.max(1, Math.min(2 * job.width, Math.floor((job.width * this.#pieceRows) / count)))
    return false
  }

  /** The first series from an id on that has rows in the hour. */
  #firstSeries(startS: number, id: number): number | undefined {
    const row = this.#db
      .prepare(`
        ${secondsWalk}
        SELECT min((SELECT min(series) FROM points p WHERE p.s = second.s AND p.series >= :id)) AS series
        FROM second WHERE second.s <= :toS
      `)
      .get({ fromS: startS, toS: startS + hourS - 1, id }) as { series: number | null }
    return row.series ?? undefined
  }

  #remove({ hour }: Job): boolean {
    const startS = hour * hourS
    const endS = startS + hourS
    const end = this.#db
      .prepare('SELECT s, series, ns FROM points WHERE s >= ? AND s < ? ORDER BY s, series, ns LIMIT 1 OFFSET ?')
      .get(startS, endS, this.#pieceRows)
    if (end === undefined) {
      this.#db.prepare('DELETE FROM points WHERE s >= ? AND s < ?').run(startS, endS)
      this.#written.delete(hour)
      return true
    }
    this.#db
      .prepare('DELETE FROM points WHERE s >= ? AND (s, series, ns) < (?, ?, ?)')
      .run(startS, ...Object.values(end))
    return false
  }
}
