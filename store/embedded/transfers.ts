import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { TransferRow } from '../store.ts'
import { timeOf } from './instants.ts'
import type { TransferRecord } from '#telemetry/record'

const columns = [
  'id',
  's',
  'ns',
  'site',
  'source',
  'destination',
  'bytes',
  'duration_s',
  'status',
  'error',
  'started',
  'source_site',
  'destination_site',
  'attempt',
  'final',
  'error_class',
] as const

/** Writes transfers, a row each: they are few beside points. */
export class TransferWriter {
  readonly #insert: StatementSync
  readonly #update: StatementSync

  constructor(db: DatabaseSync) {
    const into = `INSERT INTO transfers (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
    const set = columns.slice(1).map((name) => `${name} = excluded.${name}`)
    this.#insert = db.prepare(`${into} ON CONFLICT DO NOTHING`)
    this.#update = db.prepare(`${into} ON CONFLICT DO UPDATE SET ${set.join(', ')}`)
  }

  /** @returns whether its id is new */
  write(record: TransferRecord, s: number, ns: number): boolean {
    const final = record.final === undefined ? null : Number(record.final)
    const fields: Partial<StoredTransfer> = { ...record, s, ns, final }
    const row: SQLInputValue[] = columns.map((name) => fields[name] ?? null)
    const isNew = Number(this.#insert.run(...row).changes) === 1
    if (!isNew) this.#update.run(...row)
    return isNew
  }
}

/** A row as it stands in the table. */
export type StoredTransfer = Record<(typeof columns)[number], string | number | null>

/** The record again; what it did not have, it has not. */
export function transferOf(row: StoredTransfer): TransferRow {
  const { s, ns, final, ...rest } = row
  const given = Object.entries(rest).filter(
    ([name, value]) => value !== null || name === 'bytes' || name === 'duration_s',
  )
  return {
    time: timeOf(s as number, ns as number),
    ...(Object.fromEntries(given) as unknown as Omit<TransferRow, 'time' | 'final'>),
    ...(final === null ? undefined : { final: final === 1 }),
  }
}
