/** How far the rows are, in one line. */

import type { Counts } from '#store/store'
import { formatNumber } from '../table.ts'
import type { SourceStatus } from '#wire/status'
import { lagOf, type Figures, type Waiting } from './figures.ts'
import type { Route } from './settled.ts'

/** Over how long the rate is taken: long enough to stand still, short enough to follow. */
const rateMs = 3_000

export class ProgressText {
  readonly #route: Route
  #samples: { readonly atMs: number; readonly rows: number }[] = []

  constructor(route: Route) {
    this.#route = route
  }

  /** @param account what the ledger says of these sources */
  of({ streamer, broker }: Figures, account: Counts, nowMs: number): string {
    const { topics, group } = this.#route
    const { received, stored } = account
    // The collector is asked after the streamer, and may know of records that the streamer had no answer for yet.
    const read = Math.max(streamer?.read ?? 0, received)
    const parts = [
      `read ${formatNumber(read)}${shareOf(streamer?.sources ?? [])}`,
      `stored ${formatNumber(stored)}`,
      `lag ${formatNumber(lagOf(broker, topics, group))}`,
      `${formatNumber(Math.round(this.#rate(received, nowMs)))} rows/s`,
    ]
    return parts.join(', ')
  }

  /** While nobody can say what is stored. */
  waiting({ streamer, broker, trouble }: Waiting): string {
    const { topics, group } = this.#route
    const read = `read ${formatNumber(streamer?.read ?? 0)}${shareOf(streamer?.sources ?? [])}`
    return `${read}, lag ${formatNumber(lagOf(broker, topics, group))}, nothing is stored now: ${trouble}`
  }

  #rate(rows: number, nowMs: number): number {
    this.#samples.push({ atMs: nowMs, rows })
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? nowMs) <= nowMs - rateMs) this.#samples.shift()
    const first = this.#samples[0]
    if (first === undefined || first.atMs === nowMs) return 0
    return Math.max(0, ((rows - first.rows) * 1_000) / (nowMs - first.atMs))
  }
}

/** ` (45 % of metrics.csv)`: of the file that is being read, unless it is compressed, which hides how long its text is. */
function shareOf(sources: readonly Pick<SourceStatus, 'name' | 'done' | 'bytes' | 'size'>[]): string {
  const source = sources.findLast(({ done }) => !done)
  if (source?.bytes === undefined || source.size === undefined || source.size === 0) return ''
  const isShare = source.bytes <= source.size && !source.name.endsWith('.gz')
  return isShare ? ` (${Math.floor((100 * source.bytes) / source.size)} % of ${source.name})` : ` (in ${source.name})`
}
