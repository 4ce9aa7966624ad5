/** Counts rows, to compare with the ledger. A row may stand in `points` and in its block at once, and is one. */

import type { DatabaseSync } from 'node:sqlite'
import type { Rows } from '../store.ts'
import { decodeRows } from './block.ts'
import { BlockReader } from './blocks.ts'
import { hourS, placeOf } from './rows.ts'

/** How many rows there are, and how many were removed. */
export function countRows(db: DatabaseSync): Rows {
  const loose = numberOf(db, 'SELECT (SELECT count(*) FROM points) + (SELECT count(*) FROM transfers)')
  const sealed = numberOf(db, 'SELECT CAST(total(samples) AS INTEGER) FROM hours')
  const kept = loose + sealed - countTwofold(db, Infinity, 0, 0)
  return { kept, removed: numberOf(db, 'SELECT rows FROM removed') }
}

/** How many rows of `points` before a place in it stand in a block as well. Few do. */
export function countTwofold(db: DatabaseSync, s: number, series: number, ns: number): number {
  const reader = new BlockReader(db)
  const found = db.prepare(`
    SELECT s, series, ns FROM hours CROSS JOIN points ON s >= hour * ${hourS} AND s < (hour + 1) * ${hourS}
    WHERE (s, series, ns) < (?, ?, ?) ORDER BY hour, series
  `)
  let count = 0
  let known: { readonly key: string; readonly times: Float64Array } = { key: '', times: new Float64Array() }
  for (const row of found.iterate(s, series, ns) as Iterable<{ s: number; series: number; ns: number }>) {
    const hour = Math.floor(row.s / hourS)
    const key = `${hour} ${row.series}`
    if (key !== known.key) known = { key, times: reader.rows(hour, row.series)?.times ?? new Float64Array() }
    const time = (row.s - hour * hourS) * 1e9 + row.ns
    if (known.times[placeOf(known.times, time)] === time) count++
  }
  return count
}

/** How many rows the blocks of an hour hold, up to a series. */
export function countSealed(db: DatabaseSync, hour: number, toSeries: number): number {
  let count = 0
  for (const { rows } of blobs(db, 'SELECT rows FROM blocks WHERE hour = ? AND series < ?', hour, toSeries)) {
    count += decodeRows(rows).times.length
  }
  return count
}

function blobs(db: DatabaseSync, sql: string, ...values: number[]): Iterable<{ readonly rows: Uint8Array }> {
  return db.prepare(sql).iterate(...values) as Iterable<{ readonly rows: Uint8Array }>
}

function numberOf(db: DatabaseSync, sql: string): number {
  return Object.values(db.prepare(sql).get() ?? {})[0] as number
}
