/** The audit: what broker, ledger and store say of every record, side by side. */

import { type Account, accountsOf, type BrokerStatus, findingsOf, readStoreSide, type StoreSide } from '#store/accounts'
import { noCounts, type Store } from '#store/store'
import { formatTime } from '#telemetry/time'
import { Client, type ClientOptions } from '#wire/client'
import { at, bad, canonical, rangeOf, timeOf, windowOf } from '../ask/parameters.ts'
import type { StoreReader } from '../ask/reader.ts'
import { minus } from '../ask/times.ts'
import { windowMsFor, windowsMax } from '../ask/windows.ts'
import type { Handlers } from '../call.ts'
import type { Audit, QueryOf } from '../contract.ts'
import { type GapRange, gapsOf, hostsWith } from './gaps.ts'
import { bodyOf } from './parts.ts'
import { isComplete, missingOf, unknownTopic } from './topics.ts'

const rangeMsDefault = 86_400_000
const metricDefault = 'DCGM_FI_DEV_GPU_UTIL'
const gapsMax = 1_000

/** What is shorter may be an interval. */
const gapMsMin = 90_000

const nothing: StoreSide = { totals: { ...noCounts, topics: {}, logs: [] }, rows: undefined }

export function auditHandlers(
  broker: Pick<ClientOptions, 'url' | 'token' | 'fetch'>,
  reader: StoreReader,
  group: string,
): Handlers<'getAudit'> {
  const client = new Client({ ...broker, timeoutMs: 10_000 })
  return {
    async getAudit({ query, nowMs }) {
      const range = gapRangeOf(query, nowMs)
      // In the order in which `store/accounts.ts` wants them read.
      const status = await client.status()
      const { totals, rows } = await reader.ask((store) => readStoreSide(store, query.rows === 'true'), nothing)
      const topics = await client.topics()
      const told = { topics: bodyOf(status['topics']) } as unknown as BrokerStatus
      const all = accountsOf({ topics, status: told, logs: totals.logs, group })
      const accounts = query.topic === undefined ? all : all.filter(({ topic }) => topic === query.topic)
      if (query.topic !== undefined && accounts.length === 0) throw unknownTopic(query.topic)
      const findings = findingsOf(accounts, rows)
      const gaps = range && (await reader.ask((store) => readGaps(store, range), undefined))
      return {
        as_of: at(nowMs),
        complete: isComplete(status),
        agree: findings.length === 0,
        group,
        topics: accounts.map((account) => topicOf(account, missingOf(bodyOf(told.topics[account.topic])))),
        rows: rows === undefined ? null : rowsOf(rows),
        gaps: range === undefined ? null : (gaps ?? { ...rangeAnswer(range), hosts: 0, gaps: [], truncated: false }),
        findings,
      }
    },
  }
}

function topicOf(account: Account, missing: Record<string, number>): Audit['topics'][number] {
  const { topic, produced, counts, pending, removed, explained, logs, gone } = account
  return {
    topic,
    produced,
    ...counts,
    pending,
    removed,
    explained,
    missing,
    logs: logs.map(({ broker, partition, log_id, counts: own, end, floor, settled }) => ({
      broker,
      partition,
      log_id,
      ...own,
      pending: Math.max(0, end - settled),
      end,
      acknowledged: floor ?? null,
      settled,
    })),
    gone: [...gone],
    findings: findingsOf([account], undefined),
  }
}

function rowsOf({ kept, removed, storedMin, storedMax }: NonNullable<StoreSide['rows']>): Audit['rows'] {
  const agree = kept + removed >= storedMin && kept + removed <= storedMax
  return { kept, removed, ledger_min: storedMin, ledger_max: storedMax, agree }
}

interface AskedRange extends GapRange {
  readonly metric: string
}

/** @throws Problem `bad_parameter` */
function gapRangeOf(query: QueryOf<'getAudit'>, nowMs: number): AskedRange | undefined {
  const { start: startText, end: endText, metric = metricDefault } = query
  if (startText === undefined && endText === undefined) {
    const stranger = (['window', 'metric'] as const).find((name) => query[name] !== undefined)
    if (stranger === undefined) return undefined
    throw bad(stranger, `${stranger} is of the gaps in a range: want a start or an end beside it`)
  }
  const end = timeOf('end', endText, nowMs) ?? { ms: nowMs, ns: 0 }
  const start = timeOf('start', startText, nowMs) ?? minus(end, rangeMsDefault)
  const rangeMs = rangeOf(start, end)
  const windowMs = windowOf(query.window) ?? Math.max(gapMsMin, windowMsFor(rangeMs))
  if (rangeMs / windowMs > windowsMax) {
    const least = Math.ceil(rangeMs / windowsMax / 1000)
    throw bad('window', `window=${query.window} makes more than ${windowsMax} windows: want ${least}s at least`)
  }
  // What is yet to come is no gap.
  const isAhead = end.ms > nowMs
  return { metric: canonical(metric), start, end: isAhead ? { ms: nowMs, ns: 0 } : end, windowMs }
}

async function readGaps(store: Store, range: AskedRange): Promise<NonNullable<Audit['gaps']>> {
  const { metric, start, end, windowMs } = range
  const hosts = hostsWith(metric, await store.gpus())
  for (const [hostname, { ms }] of hosts) if (ms >= end.ms) hosts.delete(hostname)
  const values = await store.across({ metric, start, end, windowMs, fn: 'sum', by: 'hostname' })
  const gaps = gapsOf(hosts, values, range)
  return {
    ...rangeAnswer(range),
    hosts: hosts.size,
    gaps: gaps.slice(0, gapsMax),
    truncated: gaps.length > gapsMax,
  }
}

function rangeAnswer({ metric, start, end, windowMs }: AskedRange) {
  return { metric, start: formatTime(start), end: formatTime(end), window_s: windowMs / 1000 }
}
