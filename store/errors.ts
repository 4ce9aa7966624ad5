/** Why a store could not do what it was asked: one table of codes, and whether the same call may succeed later. */

interface StoreErrorKind {
  /** Whether the same call, unchanged, may succeed later: the collector waits and tries again. */
  readonly retry: boolean
  /** What the operator can do. */
  readonly hint: string
}

const storeErrors = {
  disk_full: { retry: true, hint: 'free space on its disk; writing goes on by itself' },
  locked: { retry: true, hint: 'another program holds it; writing goes on by itself when that one ends' },
  io: { retry: true, hint: 'look at the disk and the system log' },
  read_only: { retry: true, hint: 'make the folder and its files writable for this user' },
  away: { retry: true, hint: 'see that it runs and can be reached; writing goes on by itself' },
  refused: { retry: false, hint: 'the records that it refuses go to the dead letters' },
  denied: { retry: true, hint: 'check the token, the organisation and the bucket; writing goes on by itself' },
  in_use: {
    retry: false,
    hint: 'only one collector writes to an embedded store: stop the other, or set another DATA_DIR',
  },
  missing: { retry: false, hint: 'start the collector first, or set DATA_DIR to the folder that holds the data' },
  not_a_store: { retry: false, hint: 'set DATA_DIR to another folder, or move this file away' },
  newer_schema: { retry: false, hint: 'run the version of Penstock that wrote it, or a later one' },
  corrupt: { retry: false, hint: 'keep a copy of the file, then restore a backup or let the broker deliver anew' },
  closed: { retry: false, hint: 'the store was closed: this is an error of ours' },
  internal: { retry: false, hint: 'this is an error of ours: please report it' },
} as const satisfies Record<string, StoreErrorKind>

export type StoreErrorCode = keyof typeof storeErrors

/** Thrown by every call of a store. The message says what happened, where, and what to do, in one line. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  /** How long the store asks to be left in peace; 0 where it does not say. */
  readonly retryAfterMs: number

  /** @param what what happened and where, such as `/data/store/penstock.db: the disk is full` */
  constructor(code: StoreErrorCode, what: string, cause?: unknown, retryAfterMs = 0) {
    super(`${what}: ${storeErrors[code].hint}`, cause === undefined ? undefined : { cause })
    this.name = 'StoreError'
    this.code = code
    this.retryAfterMs = retryAfterMs
  }

  get retry(): boolean {
    return storeErrors[this.code].retry
  }
}

/** A record that a store does not take. */
export interface RefusedRecord {
  readonly logId: string
  readonly offset: number
  /** What is wrong, and what would be right, in one line. */
  readonly reason: string
}

/** Code `refused`, of an engine that knows which of the records it does not take: without them it takes the rest. */
export class RefusedRecords extends StoreError {
  readonly records: readonly RefusedRecord[]

  /** @param records at least one */
  constructor(where: string, records: readonly RefusedRecord[]) {
    super('refused', `${where}: ${records[0]?.reason}${records.length > 1 ? ` (and ${records.length - 1} more)` : ''}`)
    this.records = records
  }
}
