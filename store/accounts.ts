/**
 * The ledger beside what the broker says: `penstock audit` and `GET /api/v1/audit`. Pure. What both sides say is read in this
 * order, so that all may go on meanwhile: the groups (an acknowledgement follows its write), the ledger, the rows, the ledger
 * again, and last how far the logs reach.
 */

import { addCounts, type Counts, type LedgerRow, noCounts, type Rows, type Store, type Totals } from './store.ts'

/** A topic, as `GET /topics` tells, as far as it is read here. */
export interface TopicLogs {
  readonly name: string
  readonly dead_letters?: boolean
  readonly logs: readonly {
    readonly broker: number
    readonly partition: number
    readonly log_id: string
    /** The offset after the newest record. */
    readonly next: number
  }[]
}

/** `GET /status` of a broker or proxy, as far as it is read here. */
export interface BrokerStatus {
  readonly topics: Readonly<Record<string, TopicStatus>>
}

interface TopicStatus {
  /** Offsets that hold no record though none was removed, by reason. */
  readonly missing?: Readonly<Record<string, number>>
  readonly groups?: Readonly<Record<string, GroupStatus>>
}

interface GroupStatus {
  /** Records that were removed before the group had acknowledged them. */
  readonly lost?: number
  readonly logs?: readonly { readonly broker: number; readonly partition: number; readonly floor: number }[]
}

/** What all say of one topic. */
export interface Account {
  readonly topic: string
  /** Offsets that were given out, in the logs that the brokers have. */
  readonly produced: number
  readonly counts: Counts
  /** Not settled by the store yet. */
  readonly pending: number
  /** Below what is settled, and never received: removed by retention, or missing from the log. */
  readonly removed: number
  /** How many of those the broker can explain. */
  readonly explained: number
  readonly logs: readonly LogAccount[]
  /** Logs of the ledger that no broker has any more: their records are counted, and nothing can be compared. */
  readonly gone: readonly string[]
}

export interface LogAccount {
  /** `<broker>/<partition>`. */
  readonly log: string
  readonly broker: number
  readonly partition: number
  readonly log_id: string
  readonly counts: Counts
  readonly end: number
  /** Below it all is acknowledged; `undefined` where the group does not know the log. */
  readonly floor: number | undefined
  /** Below it all is settled in the store. */
  readonly settled: number
}

export function accountsOf(given: {
  readonly topics: readonly TopicLogs[]
  readonly status: BrokerStatus
  readonly logs: readonly LedgerRow[]
  readonly group: string
}): Account[] {
  const topics = given.topics.filter((topic) => topic.dead_letters !== true)
  return topics.map(({ name, logs }) => {
    const status = given.status.topics[name]
    const group = status?.groups?.[given.group]
    const own = given.logs.filter(({ topic }) => topic === name)
    const known = new Map(own.map((row) => [row.log_id, row]))
    const accounts = logs.map(({ broker, partition, log_id, next }): LogAccount => {
      const floor = group?.logs?.find((log) => log.broker === broker && log.partition === partition)?.floor
      const row = known.get(log_id)
      const place = { log: `${broker}/${partition}`, broker, partition, log_id }
      return { ...place, counts: countsOf(row), end: next, floor, settled: row?.next ?? 0 }
    })
    const here = new Set(logs.map(({ log_id }) => log_id))
    const rows = own.filter(({ log_id }) => here.has(log_id))
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
    const produced = sum(accounts.map(({ end }) => end))
    return {
      topic: name,
      produced,
      counts: own.reduce<Counts>(addCounts, noCounts),
      pending: sum(accounts.map(({ end, settled }) => Math.max(0, end - settled))),
      removed: sum(rows.map(({ next, received }) => next - received)),
      explained: sum(Object.values(status?.missing ?? {})) + (group?.lost ?? 0),
      logs: accounts,
      gone: own.filter(({ log_id }) => !here.has(log_id)).map(({ log_id }) => log_id),
    }
  })
}

/** What a store says of itself. */
export interface StoreSide {
  readonly totals: Totals
  /** What the ledger had before the rows were counted, and after it. */
  readonly rows: (Rows & { readonly storedMin: number; readonly storedMax: number }) | undefined
}

/** @param isCounting whether the rows are counted, which takes as long as reading all of them where they are not sealed */
export async function readStoreSide(store: Store, isCounting: boolean): Promise<StoreSide> {
  const totals = await store.totals()
  const rows = isCounting ? await store.rows() : undefined
  if (rows === undefined) return { totals, rows }
  const storedMax = rowsOf(await store.totals()) + (rows.unsettled ?? 0)
  return { totals, rows: { ...rows, storedMin: rowsOf(totals), storedMax } }
}

/** What differs, one line each; none where all agree. */
export function findingsOf(accounts: readonly Account[], rows: StoreSide['rows']): string[] {
  const findings = accounts.flatMap(topicFindings)
  if (rows === undefined) return findings
  const all = rows.kept + rows.removed
  if (all < rows.storedMin || all > rows.storedMax) {
    const removed = rows.removed === 0 ? '' : ` and has removed ${rows.removed} by its retention`
    const took = all < rows.storedMin ? rows.storedMin : rows.storedMax
    findings.push(`the store holds ${rows.kept} rows${removed}; by its ledger it took ${took}`)
  }
  return findings
}

function rowsOf({ stored, not_reported }: Counts): number {
  return stored + not_reported
}

function countsOf(row: LedgerRow | undefined): Counts {
  if (row === undefined) return noCounts
  const { received, stored, duplicate, not_reported, dead } = row
  return { received, stored, duplicate, not_reported, dead }
}

function topicFindings({ topic, counts, logs, removed, explained }: Account): string[] {
  const { received, stored, duplicate, not_reported, dead } = counts
  const findings: string[] = []
  const sum = stored + duplicate + not_reported + dead
  if (received !== sum) {
    findings.push(
      `${topic}: the ledger has ${received} received, and stored, duplicate, not reported and dead are ${sum}`,
    )
  }
  for (const { log, end, floor = 0, settled } of logs) {
    if (floor > settled) {
      const count = `${floor - settled} records below ${log}/${floor}`
      findings.push(`${topic}: ${count} are acknowledged at the broker, and the store has not settled them`)
    }
    if (settled > end) {
      findings.push(`${topic}: the store has settled ${log} up to ${settled}, and the broker's log ends at ${end}`)
    }
  }
  if (removed < 0) findings.push(`${topic}: ${-removed} records more are received than the logs have had`)
  if (removed > explained) {
    const others = explained === 0 ? 'the broker removed or lost none' : `the broker removed or lost ${explained}`
    findings.push(`${topic}: ${removed} records below what is settled were never received; ${others} since its start`)
  }
  return findings
}
