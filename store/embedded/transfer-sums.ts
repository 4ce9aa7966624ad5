/** Transfers summed. SQLite groups by all that the outcome is read from; what failed as what is said by `telemetry/`. */

import type { DatabaseSync } from 'node:sqlite'
import { type TransferSum, type TransferSumQuery, TransferTable } from '../transfer-sums.ts'
import { instantOf, momentOf } from './instants.ts'
import { Where } from './where.ts'
import { failedAs } from '#telemetry/outcome'

const newestNs = 'max(s * 1000000000 + ns)'

/** Connections that know the function. */
const taught = new WeakSet<DatabaseSync>()

export function readTransferSums(db: DatabaseSync, query: TransferSumQuery): TransferSum[] {
  teach(db)
  const { by, windowMs, start, end } = query
  const where = new Where().oneOf('site', query.sites)
  where.equal('source_site', query.source_site).equal('destination_site', query.destination_site)
  if (start !== undefined) where.moment('(s, ns) >= (?, ?)', momentOf(start))
  if (end !== undefined) where.moment('(s, ns) < (?, ?)', momentOf(end))
  const column = (name: 'site' | 'source_site' | 'destination_site'): string => (by.includes(name) ? name : 'NULL')
  // Most transfers say nothing of an error, and then the status tells: the function is asked for the others only. It costs
  // as much as all else that is done with a row.
  const statement = db.prepare(`
    SELECT ${windowMs === undefined ? '0' : 'CAST((s * 1000 + ns / 1000000) / ? AS INTEGER)'} AS place,
      ${column('site')} AS own_site, ${column('source_site')} AS own_source, ${column('destination_site')} AS own_destination,
      status, error <> '' OR coalesce(error_class, '') <> '' AS is_told,
      CASE WHEN error <> '' OR coalesce(error_class, '') <> '' THEN failed_as(status, error, error_class) END AS class,
      count(*) AS transfers, total(bytes) AS bytes, total(duration_s) AS duration_s,
      total(CASE WHEN duration_s > 0 THEN bytes END) AS timed_bytes,
      total(CASE WHEN duration_s > 0 AND bytes IS NOT NULL THEN duration_s END) AS timed_s,
      ${newestNs} / 1000000000 AS last_s, ${newestNs} % 1000000000 AS last_ns,
      -- Of the newest row: SQLite takes a bare column beside max() from there.
      error
    FROM transfers ${where.sql}
    GROUP BY place, own_site, own_source, own_destination, status, is_told, class
  `)
  const table = new TransferTable(query)
  const values = windowMs === undefined ? where.values : [windowMs, ...where.values]
  for (const row of statement.iterate(...values) as Iterable<Grouped>) {
    const { place, own_site, own_source, own_destination, last_s, last_ns, is_told, class: given, ...part } = row
    const error_class = is_told === 1 ? given : failedAs({ status: row.status, error: '' })
    const groups = { site: own_site ?? '', source_site: own_source, destination_site: own_destination }
    const whole = { ...part, ...groups, at: instantOf(last_s, last_ns), error_class }
    table.add(whole, windowMs === undefined ? undefined : place)
  }
  return table.finish()
}

function teach(db: DatabaseSync): void {
  if (taught.has(db)) return
  db.function('failed_as', { deterministic: true }, (status, error, error_class) =>
    failedAs({ status: String(status), error: String(error), error_class: String(error_class ?? '') }),
  )
  taught.add(db)
}

interface Grouped {
  readonly place: number
  readonly own_site: string | null
  readonly own_source: string | null
  readonly own_destination: string | null
  readonly status: string
  readonly is_told: number
  readonly class: string | null
  readonly error: string
  readonly transfers: number
  readonly bytes: number
  readonly duration_s: number
  readonly timed_bytes: number
  readonly timed_s: number
  readonly last_s: number
  readonly last_ns: number
}
