import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { SiteRow, TransferQuery, TransferRow } from '../store.ts'
import { momentOf, timeOf } from './instants.ts'
import { Where } from './where.ts'
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
type StoredTransfer = Record<(typeof columns)[number], string | number | null>

/** The record again; what it did not have, it has not. */
function transferOf(row: StoredTransfer): TransferRow {
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

export function readTransfers(db: DatabaseSync, query: TransferQuery): TransferRow[] {
  const where = new Where().equal('site', query.site).equal('status', query.status)
  if (query.start !== undefined) where.moment('(s, ns) >= (?, ?)', momentOf(query.start))
  if (query.end !== undefined) where.moment('(s, ns) < (?, ?)', momentOf(query.end))
  if (query.after !== undefined) where.moment('(s, ns, id) < (?, ?, ?)', momentOf(query.after.time), query.after.id)
  const rows = db.prepare(`SELECT * FROM transfers ${where.sql} ORDER BY s DESC, ns DESC, id DESC LIMIT ?`)
  return (rows.all(...where.values, query.limit ?? 100) as StoredTransfer[]).map(transferOf)
}

export function readSites(db: DatabaseSync): SiteRow[] {
  const rows = db.prepare(`
    SELECT site, status, count(*) AS transfers, total(bytes) AS bytes, total(duration_s) AS duration_s,
      max(s * 1000000000 + ns) / 1000000000 AS s, max(s * 1000000000 + ns) % 1000000000 AS ns
    FROM transfers GROUP BY site, status ORDER BY site, s, ns
  `)
  const sites = new Map<string, SiteRow>()
  for (const row of rows.all() as unknown as SiteStatusRow[]) {
    const before = sites.get(row.site)
    sites.set(row.site, {
      site: row.site,
      transfers: (before?.transfers ?? 0) + row.transfers,
      statuses: { ...before?.statuses, [row.status]: row.transfers },
      bytes: (before?.bytes ?? 0) + row.bytes,
      duration_s: (before?.duration_s ?? 0) + row.duration_s,
      // The rows of a site come by time, so the last one has its last transfer.
      last: timeOf(row.s, row.ns),
    })
  }
  return [...sites.values()]
}

/** Transfers of a site with one status. */
interface SiteStatusRow {
  readonly site: string
  readonly status: string
  readonly transfers: number
  readonly bytes: number
  readonly duration_s: number
  readonly s: number
  readonly ns: number
}
