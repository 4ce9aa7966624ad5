/** What goes between two sites, and what fails on its way. */

import type { TransferSum } from '#store/transfer-sums'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import { at, bad, rangeOf, timeOf, windowOf } from '../ask/parameters.ts'
import type { StoreReader } from '../ask/reader.ts'
import { isBefore, minus } from '../ask/times.ts'
import { windowMsFor, windowsMax } from '../ask/windows.ts'
import type { Handlers } from '../call.ts'
import type { Link, TransferError } from '../contract.ts'

const rangeMsDefault = 86_400_000

export function linkHandlers(reader: StoreReader): Handlers<'getLink' | 'listTransferErrors'> {
  return {
    async getLink({ params: { source: source_site, destination: destination_site }, query, nowMs, bounds }) {
      const range = rangeFor(query, nowMs)
      const rangeMs = rangeOf(range.start, range.end)
      const windowMs = windowOf(query.window) ?? windowMsFor(rangeMs)
      if (rangeMs / windowMs > windowsMax) {
        const least = Math.ceil(rangeMs / windowsMax / 1000)
        throw bad('window', `window=${query.window} makes more than ${windowsMax} windows: want ${least}s at least`)
      }
      const ends = { source_site, destination_site }
      const [links, outcomes, windows] = await reader
        .within(bounds)
        .ask(
          async (store) =>
            Promise.all([
              store.transferSums({ by: ['site', 'source_site', 'destination_site'], ...range }),
              store.transferSums({ by: ['status', 'error_class'], ...ends, ...range }),
              store.transferSums({ by: [], ...ends, ...range, windowMs }),
            ]),
          [[], [], []],
        )
      const whole = sumOf(outcomes)
      const untold = sumOf(links.filter((link) => isUntold(link, source_site, destination_site)))
      const failures = outcomes.filter(({ failed }) => failed > 0)
      return {
        as_of: at(nowMs),
        ...ends,
        start: formatTime(range.start),
        end: formatTime(range.end),
        source_known: links.some((link) => names(link, source_site)),
        destination_known: links.some((link) => names(link, destination_site)),
        ...figuresOf(whole),
        failed_share: whole.transfers === 0 ? null : whole.failed / whole.transfers,
        duration_s: whole.duration_s,
        statuses: countsBy(outcomes, 'status'),
        error_classes: countsBy(failures, 'error_class'),
        last: outcomes.length === 0 ? null : newestOf(outcomes).last,
        last_error: failures.length === 0 ? null : newestOf(failures).last_error,
        untold: { transfers: untold.transfers, bytes: untold.bytes },
        window_s: windowMs / 1000,
        windows: windowsOf(windows, range, windowMs),
      }
    },

    async listTransferErrors({ query, nowMs, bounds }) {
      const { site, source_site, destination_site, limit = 100, cursor } = query
      const range = rangeFor(query, nowMs)
      rangeOf(range.start, range.end)
      const ask = {
        by: ['error_class', 'site'] as const,
        sites: site === undefined ? site : [site],
        source_site,
        destination_site,
        ...range,
      }
      const sums = await reader.within(bounds).ask((store) => store.transferSums(ask), [])
      const failures = sums.filter(({ failed }) => failed > 0)
      const failed = sumOf(failures).failed
      const classes = [...Map.groupBy(failures, ({ group }) => group.error_class ?? '')].map(
        ([error_class, own]): TransferError => {
          const { transfers, bytes } = sumOf(own)
          const { last, last_error } = newestOf(own)
          const sites = countsBy(own, 'site')
          return { error_class, transfers, share: transfers / failed, bytes, sites, last, last_error }
        },
      )
      classes.sort((a, b) => b.transfers - a.transfers || (a.error_class < b.error_class ? -1 : 1))
      const from = cursor === undefined ? 0 : 1 + classes.findIndex(({ error_class }) => error_class === cursor)
      if (cursor !== undefined && from === 0) throw bad('cursor', 'cursor: want one of an answer before')
      const page = classes.slice(from, from + limit)
      const truncated = classes.length > from + limit
      return {
        as_of: at(nowMs),
        start: formatTime(range.start),
        end: formatTime(range.end),
        transfers: sumOf(sums).transfers,
        failed,
        classes: page,
        truncated,
        cursor: truncated ? (page.at(-1)?.error_class ?? null) : null,
      }
    },
  }
}

interface Range {
  readonly start: Instant
  readonly end: Instant
}

/** @throws Problem `bad_parameter` */
function rangeFor(query: { readonly start?: string; readonly end?: string }, nowMs: number): Range {
  const end = timeOf('end', query.end, nowMs) ?? { ms: nowMs, ns: 0 }
  return { start: timeOf('start', query.start, nowMs) ?? minus(end, rangeMsDefault), end }
}

type Sums = Pick<TransferSum, 'transfers' | 'failed' | 'bytes' | 'duration_s' | 'timed_bytes' | 'timed_s'>

const noSums: Sums = { transfers: 0, failed: 0, bytes: 0, duration_s: 0, timed_bytes: 0, timed_s: 0 }

function sumOf(sums: readonly Sums[]): Sums {
  return sums.reduce(
    (a, b) => ({
      transfers: a.transfers + b.transfers,
      failed: a.failed + b.failed,
      bytes: a.bytes + b.bytes,
      duration_s: a.duration_s + b.duration_s,
      timed_bytes: a.timed_bytes + b.timed_bytes,
      timed_s: a.timed_s + b.timed_s,
    }),
    noSums,
  )
}

function figuresOf({ transfers, failed, bytes, timed_bytes, timed_s }: Sums) {
  return { transfers, failed, bytes, throughput_bytes_per_s: timed_s > 0 ? timed_bytes / timed_s : null }
}

function windowsOf(sums: readonly TransferSum[], { start, end }: Range, windowMs: number): Link['windows'] {
  const byTime = new Map(sums.map((sum) => [sum.time, sum]))
  const windows: Link['windows'] = []
  for (let ms = Math.floor(start.ms / windowMs) * windowMs; isBefore({ ms, ns: 0 }, end); ms += windowMs) {
    const time = formatTime({ ms, ns: 0 })
    const own = byTime.get(time) ?? noSums
    const insideMs = Math.min(ms + windowMs, end.ms + end.ns / 1e6) - Math.max(ms, start.ms + start.ns / 1e6)
    windows.push({ time, ...figuresOf(own), carried_bytes_per_s: own.bytes / (insideMs / 1000) })
  }
  return windows
}

function countsBy(sums: readonly TransferSum[], name: 'status' | 'error_class' | 'site'): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { group, transfers } of sums) {
    const key = group[name] ?? ''
    counts[key] = (counts[key] ?? 0) + transfers
  }
  return counts
}

/** @param sums at least one */
function newestOf(sums: readonly TransferSum[]): TransferSum {
  return sums.reduce((a, b) => (isBefore(parseTime(a.last) as Instant, parseTime(b.last) as Instant) ? b : a))
}

function names({ group }: TransferSum, site: string): boolean {
  return group.site === site || group.source_site === site || group.destination_site === site
}

/** Whether it may be of a link, and nobody can say: what it tells of its ends fits, and it does not tell both. */
function isUntold(sum: TransferSum, source: string, destination: string): boolean {
  const { source_site: from = null, destination_site: to = null } = sum.group
  if (from !== null && to !== null) return false
  if ((from !== null && from !== source) || (to !== null && to !== destination)) return false
  return names(sum, source) || names(sum, destination)
}
