/**
 * The rows of series, hour by hour, wherever they are: in blocks, in `points`, or in both, as long as an hour is being
 * sealed and when late rows come. Of two rows of one time that in `points` is the newer one.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Order } from '../store.ts'
import { BlockReader, RollupReader, sealedHours, wantedOf } from './blocks.ts'
import type { Moment } from './instants.ts'
import { prepared } from './kept.ts'
import type { Rollup } from './rollup.ts'
import { between, hourNs, hourS, merged, noRows, type Rows, RowsBuilder } from './rows.ts'
import { secondsWalk } from './seconds.ts'

export interface Hour {
  /** When it begins, in ms since 1970. */
  readonly ms: number
  /** Those that are in the range. */
  rows(series: number): Rows
  /** With the first of its columns; `undefined` where the rows have to be read. It stands until the next one is asked for. */
  rollup(series: number, columns: number): Rollup | undefined
}

/** The hours of a range that have rows, of whichever series; within one read transaction. */
export function* readHours(
  db: DatabaseSync,
  { metric, ids }: { readonly metric: string; readonly ids: readonly number[] },
  from: Moment,
  to: Moment,
  order: Order = 'asc',
): Generator<Hour> {
  const blocks = new BlockReader(db)
  const first = Math.floor(from.s / hourS)
  const last = Math.floor(to.s / hourS)
  const sealed = new Set(sealedHours(db, first, last))
  const loose = new Set(looseHours(db, from.s, to.s))
  const wanted = wantedOf(metric, ids)
  const text = `
    ${secondsWalk}
    SELECT p.series, p.s, p.ns, p.value FROM second CROSS JOIN points p ON p.s = second.s AND p.series IN (${wanted.sql})
    WHERE second.s <= :toS
  `
  const rollups = new RollupReader(db, wanted)
  const hours = [...new Set([...sealed, ...loose])].sort((a, b) => (order === 'asc' ? a - b : b - a))
  for (const hour of hours) {
    const startS = hour * hourS
    const looseRows = loose.has(hour)
      ? readLoose(wanted.statement(db, text), startS, wanted.parameters)
      : new Map<number, Rows>()
    const isSealed = sealed.has(hour)
    const fromNs = Math.max(0, (from.s - startS) * 1e9 + from.ns)
    const toNs = Math.min(hourNs, (to.s - startS) * 1e9 + to.ns)
    const isWhole = fromNs === 0 && toNs === hourNs
    yield {
      ms: startS * 1000,
      rows(series) {
        const under = (isSealed ? (rollups.rowsAlong(hour, series) ?? blocks.rows(hour, series)) : undefined) ?? noRows
        const rows = merged(under, looseRows.get(series) ?? noRows)
        return isWhole ? rows : between(rows, fromNs, toNs)
      },
      rollup(series, columns) {
        return isWhole && isSealed && !looseRows.has(series) ? rollups.rollup(hour, series, columns) : undefined
      },
    }
  }
}

/** The hours within which `points` has rows. */
export function looseHours(db: DatabaseSync, fromS: number, toS: number): number[] {
  const next = prepared(db, 'SELECT min(s) AS s FROM points WHERE s >= ?')
  const hours: number[] = []
  for (let s = fromS; ;) {
    const found = (next.get(s) as { s: number | null }).s
    if (found === null || found > toS) return hours
    const hour = Math.floor(found / hourS)
    hours.push(hour)
    s = (hour + 1) * hourS
  }
}

/** What `points` has of an hour, by series. The statement gives series, second, nanoseconds and value, by time. */
export function readLoose(
  statement: StatementSync,
  startS: number,
  parameters: Readonly<Record<string, string | number>>,
): Map<number, Rows> {
  const builders = new Map<number, RowsBuilder>()
  const rows = statement.iterate({ fromS: startS, toS: startS + hourS - 1, ...parameters })
  for (const [series, s, ns, value] of rows as Iterable<[number, number, number, number | null]>) {
    let builder = builders.get(series)
    if (builder === undefined) builders.set(series, (builder = new RowsBuilder()))
    builder.add((s - startS) * 1e9 + ns, value ?? NaN)
  }
  return new Map([...builders].map(([series, builder]) => [series, builder.rows()]))
}
