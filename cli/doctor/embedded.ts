/** The file of the embedded store, opened so that nothing beside it is made. */

import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { applicationId, migrations } from '#store/embedded/schema'
import { formatBytes } from '../table.ts'
import { type Finding, findingsOf } from './finding.ts'

const { ok, problem, skipped } = findingsOf('database')

/** SQLite checks while everything else of this process waits: of a larger file that would be longer than the doctor may take. */
const checkedBytesMax = 128 * 2 ** 20

/** How long another program's lock is waited for. */
const busyMs = 250

export interface FileFacts {
  readonly path: string
  readonly bytes: number
  readonly schema: number
  /** `PRAGMA application_id`. */
  readonly application: number
  /** The lines of SQLite's quick check that are not `ok`; `undefined`: it was not made. */
  readonly troubles: readonly string[] | undefined
}

export function judgeFile({ path, bytes, schema, application, troubles }: FileFacts): Finding[] {
  const known = migrations.length
  if (application !== applicationId && schema > 0) {
    return [problem(`${path} is another program's database`, 'set DATA_DIR to another folder, or move this file away')]
  }
  if (schema > known) {
    return [
      problem(
        `${path} has schema ${schema}, this program knows up to ${known}`,
        'run the version of Penstock that wrote it, or a later one',
      ),
    ]
  }
  const [first] = troubles ?? []
  if (first !== undefined) {
    return [problem(`${path} is damaged: ${first}`, 'keep a copy, then restore a backup (docs/OPERATIONS.md)')]
  }
  const older = schema < known ? `, which the collector brings to ${known}` : ''
  const sound = ok(`${path}: ${formatBytes(bytes)}, schema ${schema}${older}${troubles === undefined ? '' : ', sound'}`)
  return troubles === undefined
    ? [sound, skipped(`${path} is too large for a quick check`, 'penstock store check looks at all of it')]
    : [sound]
}

/** @param isExpected whether the environment says that there is one */
export async function lookAtFile(path: string, isExpected: boolean): Promise<Finding[]> {
  // By a call that leaves the process free: on a network disk that hangs, SQLite would stop everything.
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return isExpected ? [ok(`${path} is not there yet: the collector makes it`)] : []
  let db: DatabaseSync | undefined
  try {
    const bytes = found.size
    db = openUntouched(path)
    const troubles = bytes > checkedBytesMax ? undefined : checked(db)
    return judgeFile({
      path,
      bytes,
      schema: numberOf(db, 'user_version'),
      application: numberOf(db, 'application_id'),
      troubles,
    })
  } catch (error) {
    const { errstr = (error as Error).message } = error as { errstr?: string }
    return [
      problem(`${path} cannot be read: ${errstr}`, 'see that this user may read it; penstock store check says more'),
    ]
  } finally {
    db?.close()
  }
}

/** Reading makes files beside one that is written by a log ahead, unless they are there, or it is said that nobody writes. */
function openUntouched(path: string): DatabaseSync {
  const url = pathToFileURL(path)
  if (!existsSync(`${path}-wal`)) url.searchParams.set('immutable', '1')
  return new DatabaseSync(url, { readOnly: true, timeout: busyMs })
}

function checked(db: DatabaseSync): string[] {
  const lines = db.prepare('PRAGMA quick_check(1)').all() as unknown as { quick_check: string }[]
  return lines.map((line) => line.quick_check).filter((line) => line !== 'ok')
}

function numberOf(db: DatabaseSync, pragma: string): number {
  return Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0] as number
}
