/** Opening the file: pragmas, the lock that keeps a second writer out, migrations, and SQLite's errors in our words. */

import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreError, type StoreErrorCode } from '../errors.ts'
import { applicationId, migrations, migrationsTable } from './schema.ts'

/**
 * How long a statement waits for another program's lock. Short, because it blocks the whole process: a collector rather
 * tries again later, between its other work.
 */
const busyTimeoutMs = 250

/** Pages in memory, in KiB: holds the end of `points`, `latest` and the inner pages of all trees. */
const cacheKiB = 65_536

/** The write-ahead log is cut back to this after a checkpoint that followed a burst or a long reader. */
const walBytesMax = 64 * 1024 * 1024

export interface OpenOptions {
  readonly readOnly?: boolean
  /** Pages (of 4 KiB) that the file may have at most; how tests fill a disk. */
  readonly pagesMax?: number
}

/** An open file, and for a writer the lock beside it. */
export interface Database {
  readonly path: string
  readonly db: DatabaseSync
  close(): void
}

/** @throws StoreError */
export function openDatabase(path: string, options: OpenOptions = {}): Database {
  return options.readOnly === true ? openReader(path) : openWriter(path, options)
}

/** Runs `work`; what SQLite throws becomes a StoreError that names the file. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeErrorOf(path, error)
  }
}

function openReader(path: string): Database {
  if (!existsSync(path)) throw new StoreError('missing', `${path}: there is no store`)
  const db = guarded(path, () => new DatabaseSync(path, { readOnly: true, timeout: 5000 }))
  try {
    guarded(path, () => checkVersion(db, path))
  } catch (error) {
    db.close()
    throw error
  }
  return { path, db, close: () => db.close() }
}

function openWriter(path: string, { pagesMax }: OpenOptions): Database {
  try {
    mkdirSync(dirname(path), { recursive: true })
  } catch (error) {
    throw new StoreError('read_only', `${dirname(path)}: the folder cannot be made`, error)
  }
  const lock = lockBeside(path)
  let db: DatabaseSync | undefined
  try {
    const opened = guarded(path, () => new DatabaseSync(path, { timeout: busyTimeoutMs }))
    db = opened
    guarded(path, () => {
      checkVersion(opened, path)
      // FULL syncs the write-ahead log on every commit: an acknowledgement follows the write, so it must survive a power
      // cut. It costs 5 % of the rate of NORMAL at 5,000 rows a batch (docs/decisions/050-store-layout.md).
      // Free pages can be given back to the disk; it has to be said before the first table is made.
      opened.exec(`
        PRAGMA auto_vacuum = INCREMENTAL;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA cache_size = -${cacheKiB};
        PRAGMA journal_size_limit = ${walBytesMax};
        PRAGMA foreign_keys = ON;
      `)
      if (pagesMax !== undefined) opened.exec(`PRAGMA max_page_count = ${pagesMax}`)
      migrate(opened)
    })
    return {
      path,
      db: opened,
      close() {
        opened.close()
        lock.close()
      },
    }
  } catch (error) {
    db?.close()
    lock.close()
    throw error
  }
}

/**
 * Ids of series are kept in memory, so a second writer would give one id twice. The lock is an exclusive transaction on a
 * small database of its own, because the kernel drops it with the process, however that ends; readers do not need it.
 */
function lockBeside(path: string): DatabaseSync {
  const lockPath = `${path}.lock`
  const lock = guarded(lockPath, () => new DatabaseSync(lockPath, { timeout: 0 }))
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    const failed = storeErrorOf(lockPath, error)
    throw failed.code === 'locked' ? new StoreError('in_use', `${path}: another process writes to it`, error) : failed
  }
}

function checkVersion(db: DatabaseSync, path: string): void {
  const version = numberOf(db, 'PRAGMA user_version')
  const application = numberOf(db, 'PRAGMA application_id')
  const tables = numberOf(db, 'SELECT count(*) FROM sqlite_schema')
  if (application !== applicationId && tables > 0) {
    throw new StoreError('not_a_store', `${path}: this is another program's database`)
  }
  if (version > migrations.length) {
    throw new StoreError(
      'newer_schema',
      `${path}: its schema is version ${version} and this program knows versions up to ${migrations.length}`,
    )
  }
}

function migrate(db: DatabaseSync): void {
  const from = numberOf(db, 'PRAGMA user_version')
  for (let version = from + 1; version <= migrations.length; version++) {
    const step = migrations[version - 1]
    if (step === undefined) return
    // The version stands in the file's header, which is part of the transaction: a step is done wholly or not at all.
    db.exec('BEGIN IMMEDIATE')
    try {
      db.exec(
        `PRAGMA application_id = ${applicationId}; ${migrationsTable}; ${step.sql}; PRAGMA user_version = ${version}`,
      )
      db.prepare("INSERT INTO migrations VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))").run(version, step.name)
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
}

function numberOf(db: DatabaseSync, sql: string): number {
  return Object.values(db.prepare(sql).get() ?? {})[0] as number
}

/** SQLite's primary result codes (sqlite.org/rescode.html) that an operator meets. */
const codes: Readonly<Record<number, readonly [StoreErrorCode, string]>> = {
  5: ['locked', 'the database is locked'],
  6: ['locked', 'the database is locked'],
  8: ['read_only', 'the database cannot be written'],
  10: ['io', 'reading or writing failed'],
  11: ['corrupt', 'the file is damaged'],
  13: ['disk_full', 'the disk is full'],
  14: ['read_only', 'the file cannot be opened'],
  26: ['not_a_store', 'the file is not a database'],
}

function storeErrorOf(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const { errcode, code } = error as { errcode?: number; code?: string }
  const text = error instanceof Error ? error.message : String(error)
  if (code === 'ERR_INVALID_STATE' && text.includes('not open')) {
    return new StoreError('closed', `${path}: the store is closed`, error)
  }
  // The low byte is the primary code, the rest says where it came from.
  const known = errcode === undefined ? undefined : codes[errcode & 0xff]
  if (known === undefined) return new StoreError('internal', `${path}: ${text}`, error)
  return new StoreError(known[0], `${path}: ${known[1]} (${text})`, error)
}
