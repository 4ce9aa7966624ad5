/** What the collector tells of itself. It has no routes beside those of every role (`lib/service.ts`). */

import type { Counts, Store, Totals } from '#store/store'
import type { TopicCollector } from './collector.ts'

/** `GET /status`: the ledger's account, and what is between the broker and the ledger. */
export interface CollectorStatus extends Totals {
  /** Records received and not yet written. */
  readonly pending: number
  readonly group: string
  readonly store: { readonly bytes: number | undefined }
  /** Why nothing is written now. */
  readonly trouble?: string
}

export async function statusOf(
  store: Store,
  group: string,
  collectors: readonly TopicCollector[],
): Promise<CollectorStatus> {
  // Asked first: a record that is settled meanwhile is then counted twice for a moment, and never missed.
  const pending = collectors.reduce((sum, collector) => sum + collector.pending, 0)
  const totals: Counts & Totals = await store.totals()
  const trouble = readyOf(collectors)
  return {
    ...totals,
    pending,
    group,
    store: { bytes: await store.bytes() },
    ...(trouble === true ? undefined : { trouble }),
  }
}

/** `GET /ready`: true, or what keeps it from writing. */
export function readyOf(collectors: readonly TopicCollector[]): true | string {
  for (const { trouble } of collectors) if (trouble !== undefined) return trouble
  return true
}
