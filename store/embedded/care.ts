/** What an operator does with the file: how large what is, whether it is sound, a copy of it, and giving its free space back. */

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { StoreError } from '../errors.ts'
import { decodeRollup, decodeRows, encodeRollup } from './block.ts'
import { guarded, openDatabase } from './database.ts'
import { timeOf } from './instants.ts'
import { rollupOf } from './rollup.ts'
import { hourS } from './rows.ts'

export interface TableReport {
  /** With its indexes. */
  readonly table: string
  readonly rows: number
  readonly bytes: number
  /** What the rows stand for, where that is samples. */
  readonly samples?: number
}

export interface Report {
  readonly tables: readonly TableReport[]
  readonly freeBytes: number
  readonly fileBytes: number
  readonly samples: number
}

/** Reads the whole file. @throws StoreError */
export function reportOf(path: string): Report {
  return reading(path, (db) => {
    const sizes = db.prepare(`
      SELECT tbl_name AS "table", sum(pgsize) AS bytes FROM dbstat JOIN sqlite_schema USING (name)
      GROUP BY tbl_name ORDER BY bytes DESC
    `)
    const tables = (sizes.all() as unknown as { table: string; bytes: number }[]).map(({ table, bytes }) => {
      const rows = numberOf(db, `SELECT count(*) FROM "${table}"`)
      const samples =
        table === 'points' ? rows : table === 'blocks' ? numberOf(db, 'SELECT total(samples) FROM hours') : undefined
      return { table, rows, bytes, ...(samples === undefined ? undefined : { samples }) }
    })
    return {
      tables,
      freeBytes: numberOf(db, 'PRAGMA freelist_count') * numberOf(db, 'PRAGMA page_size'),
      fileBytes: statSync(path).size,
      samples: tables.reduce((sum, { samples = 0 }) => sum + samples, 0),
    }
  })
}

export interface Soundness {
  /** One line each. */
  readonly troubles: readonly string[]
  readonly blocks: number
  readonly samples: number
}

/**
 * Looks at every page, every block and its rollup.
 *
 * A transaction an hour, so that a collector's write-ahead log does not grow for as long as this takes.
 *
 * @throws StoreError where the file cannot be read at all
 */
export function checkStore(path: string, onHour: (done: number, all: number) => void = () => undefined): Soundness {
  return reading(path, (db) => {
    const lines = db.prepare('PRAGMA integrity_check').all() as unknown as { integrity_check: string }[]
    const troubles = lines.map(({ integrity_check: text }) => text).filter((text) => text !== 'ok')
    const hours = db.prepare('SELECT hour FROM hours ORDER BY hour').all() as { hour: number }[]
    let blocks = 0
    let samples = 0
    for (const [index, { hour }] of hours.entries()) {
      db.exec('BEGIN')
      const told = db.prepare('SELECT samples FROM hours WHERE hour = ?').get(hour)?.samples as number | undefined
      const rows = db.prepare('SELECT series, rollup, rows FROM blocks WHERE hour = ? ORDER BY series').iterate(hour)
      let found = 0
      for (const row of rows as Iterable<{ series: number; rollup: Uint8Array; rows: Uint8Array }>) {
        const result = checkBlock(row)
        if (typeof result === 'string') troubles.push(`${nameOf(row.series, hour)}: ${result}`)
        else found += result
        blocks++
      }
      db.exec('COMMIT')
      const isWhole = troubles.length === 0
      // Told again only where nothing else explains it; an hour that retention is about to remove tells nothing.
      if (isWhole && told !== undefined && told !== found) {
        troubles.push(`the hour from ${timeOf(hour * hourS, 0)} on has ${found} samples, not ${told}`)
      }
      samples += found
      onHour(index + 1, hours.length)
    }
    return { troubles, blocks, samples }
  })
}

/** @returns how many samples it has, or what is wrong with it */
function checkBlock({ rollup, rows }: { rollup: Uint8Array; rows: Uint8Array }): number | string {
  try {
    const decoded = decodeRows(rows)
    decodeRollup(rollup)
    if (!encodeRollup(rollupOf(decoded)).equals(rollup)) return 'its rollup is not that of its rows'
    return decoded.times.length
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function nameOf(series: number, hour: number): string {
  return `the block of series ${series} from ${timeOf(hour * hourS, 0)} on`
}

/**
 * Copies the store as it is at this moment, while a collector may be writing. The copy takes its name when it is whole and
 * on the disk.
 *
 * @throws StoreError, also where the file is there already
 */
export function backUp(path: string, file: string): void {
  if (existsSync(file)) throw new StoreError('not_a_store', `${file}: it is there already`)
  const partial = `${file}.partial`
  rmSync(partial, { force: true })
  try {
    reading(path, (db) => db.prepare('VACUUM INTO ?').run(partial))
    const descriptor = openSync(partial, 'r+')
    fsyncSync(descriptor)
    closeSync(descriptor)
    renameSync(partial, file)
  } finally {
    rmSync(partial, { force: true })
  }
}

/** Writes the file anew without its free space. Needs as much space again, and that nobody writes. @throws StoreError */
export function vacuum(path: string): void {
  if (!existsSync(path)) throw new StoreError('missing', `${path}: there is no store`)
  const database = openDatabase(path)
  try {
    // A file from before free pages were kept apart becomes one in which they are.
    guarded(path, () => database.db.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM'))
  } finally {
    database.close()
  }
}

function reading<T>(path: string, work: (db: DatabaseSync) => T): T {
  const database = openDatabase(path, { readOnly: true })
  try {
    return guarded(path, () => work(database.db))
  } finally {
    database.close()
  }
}

function numberOf(db: DatabaseSync, sql: string): number {
  return Object.values(db.prepare(sql).get() ?? {})[0] as number
}
