/** The sums of `penstock audit`: pure. */

import { addCounts, type Counts, type LedgerRow, noCounts, type Rows } from '#store/store'
import type { TopicInfo } from '#wire/client'

/** `GET /status` of a broker or proxy, as far as it is read here. */
export interface BrokerStatus {
  readonly topics: Readonly<Record<string, TopicStatus>>
}

interface TopicStatus {
  /** Offsets that hold no record though none was removed, by reason. */
  readonly missing?: Readonly<Record<string, number>>
  readonly groups: Readonly<Record<string, GroupStatus>>
}

interface GroupStatus {
  /** Records that were removed before the group had acknowledged them. */
  readonly lost?: number
  readonly logs: readonly { readonly broker: number; readonly partition: number; readonly floor: number }[]
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

interface LogAccount {
  readonly log: string
  readonly end: number
  /** Below it all is acknowledged; `undefined` where the group does not know the log. */
  readonly floor: number | undefined
  /** Below it all is settled in the store. */
  readonly settled: number
}

export function accountsOf(given: {
  readonly topics: readonly TopicInfo[]
  readonly status: BrokerStatus
  readonly logs: readonly LedgerRow[]
  readonly group: string
}): Account[] {
  const topics = given.topics.filter((topic) => topic.dead_letters !== true)
  return topics.map(({ name, logs }) => {
    const status = given.status.topics[name]
    const group = status?.groups[given.group]
    const own = given.logs.filter(({ topic }) => topic === name)
    const known = new Map(own.map((row) => [row.log_id, row]))
    const accounts = logs.map(({ broker, partition, log_id, next }): LogAccount => {
      const floor = group?.logs.find((log) => log.broker === broker && log.partition === partition)?.floor
      return { log: `${broker}/${partition}`, end: next, floor, settled: known.get(log_id)?.next ?? 0 }
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

/** What differs, one line each; none where all agree. */
export function findingsOf(accounts: readonly Account[], rows: Rows | undefined): string[] {
  const findings = accounts.flatMap(topicFindings)
  const stored = accounts.reduce((sum, { counts }) => sum + counts.stored + counts.not_reported, 0)
  if (rows !== undefined && rows.kept + rows.removed !== stored) {
    const removed = rows.removed === 0 ? '' : ` and has removed ${rows.removed} by its retention`
    findings.push(`the store holds ${rows.kept} rows${removed}; by its ledger it took ${stored}`)
  }
  return findings
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
