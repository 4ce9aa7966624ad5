/**
 * Which sources the store's ledger is about.
 *
 * The ledger counts what came out of the logs, not where it came from, and a data folder may have taken one file today and
 * another one last week. So each set of sources has an account. One is open at a time, and it is closed only when nothing is
 * on its way: every record of it is then in the ledger, and what comes later belongs to the next. A kill at any moment
 * changes nothing, because both sides of the sum are durable.
 */

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addCounts, noCounts, type Counts } from '#store/store'

export interface Accounts {
  /** The sources whose account is open. */
  readonly open: string
  /** What the ledger said when it was opened. */
  readonly since: Counts
  /** What each set of sources brought in its earlier runs; the open one's, too. */
  readonly earlier: Readonly<Record<string, Counts>>
}

/** Before the first run. */
export const noAccounts: Accounts = { open: '', since: noCounts, earlier: {} }

/**
 * Closes the open account and opens that of `sources`.
 *
 * @param ledger the totals while nothing is on its way
 */
export function openAccount(accounts: Accounts, sources: string, ledger: Counts): Accounts {
  // A ledger that has shrunk is another one (the store was deleted): nothing of the old counts stands in it.
  if (ledger.received < accounts.since.received) return { open: sources, since: ledger, earlier: {} }
  const closed = accountOf(accounts, accounts.open, ledger)
  return { open: sources, since: ledger, earlier: { ...accounts.earlier, [accounts.open]: closed } }
}

/** What the sources have brought, all runs together. */
export function accountOf(accounts: Accounts, sources: string, ledger: Counts): Counts {
  const earlier = accounts.earlier[sources] ?? noCounts
  return sources === accounts.open ? addCounts(earlier, subtract(ledger, accounts.since)) : earlier
}

function subtract(a: Counts, b: Counts): Counts {
  return {
    received: a.received - b.received,
    stored: a.stored - b.stored,
    duplicate: a.duplicate - b.duplicate,
    not_reported: a.not_reported - b.not_reported,
    dead: a.dead - b.dead,
  }
}

/** @throws Error for the operator when the file is there and is none of ours */
export function readAccounts(dataDir: string): Accounts {
  let text: string
  try {
    text = readFileSync(pathOf(dataDir), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return noAccounts
    throw error
  }
  try {
    return JSON.parse(text) as Accounts
  } catch {
    throw new Error(`${pathOf(dataDir)} cannot be read: move it away, and the counts begin anew`)
  }
}

/** Writes the file whole or not at all. */
export function writeAccounts(dataDir: string, accounts: Accounts): void {
  const next = `${pathOf(dataDir)}.next`
  writeFileSync(next, `${JSON.stringify(accounts)}\n`, { flush: true })
  renameSync(next, pathOf(dataDir))
}

function pathOf(dataDir: string): string {
  return join(dataDir, 'up.json')
}
