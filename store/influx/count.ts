/** Counts rows, to compare with the ledger. The server reads all of them. */

import { addCounts, noCounts, type Rows } from '../store.ts'
import { readAccounts } from './ledger.ts'
import { measurements } from './schema.ts'
import type { Server } from './server.ts'

/** Of which nothing was removed. */
export async function countRows(server: Server, data: string, state: string): Promise<Rows> {
  const counts = await server.query(data, [
    ...measurements.flatMap((kind) => [
      `SELECT count(value) FROM ${kind}`,
      `SELECT count(reported) FROM ${kind}`,
      // A row that came without a value first, and with one later, has both fields, and is one.
      `SELECT count(reported) FROM ${kind} WHERE value >= 0 OR value < 0`,
    ]),
    'SELECT count(has) FROM transfers',
  ])
  const kept = counts.reduce((sum, [series], index) => {
    const count = Number(series?.values[0]?.[1] ?? 0)
    const isBoth = index < 3 * measurements.length && index % 3 === 2
    return isBoth ? sum - count : sum + count
  }, 0)
  // Read after the rows: each of those is in the account of its log, or in the intent beside it.
  const accounts = await readAccounts(server, state)
  const { stored, not_reported } = accounts.map(({ intent }) => intent.counts()).reduce(addCounts, noCounts)
  return { kept, removed: 0, unsettled: stored + not_reported }
}
