/** What the collector tells of itself. It has no routes beside those of every role (`lib/service.ts`). */

import type { Store } from '#store/store'
import type { CollectorStatus } from '#wire/status'
import type { TopicCollector } from './collector.ts'
import type { Gate } from './gate.ts'

/** What a collector works with. */
export interface Work {
  readonly group: string
  /** `undefined` until it could be opened. */
  store: Store | undefined
  readonly collectors: TopicCollector[]
  /** Before the store, and before the dead letters. */
  readonly gates: Readonly<Record<string, Gate>>
}

/** `GET /status`: the ledger's account, and what is between the broker and the ledger. */
export async function statusOf(work: Work): Promise<CollectorStatus> {
  const { store, group, collectors } = work
  const ready = readyOf(work)
  const trouble = ready === true ? undefined : { trouble: ready }
  if (store === undefined) return { group, ...trouble }
  // Asked first: a record that is settled meanwhile is then counted twice for a moment, and never missed.
  const pending = collectors.reduce((sum, collector) => sum + collector.pending, 0)
  try {
    const totals = await store.totals()
    return { ...totals, pending, group, store: { engine: store.engine, bytes: await store.bytes() }, ...trouble }
  } catch (error) {
    return { pending, group, trouble: (error as Error).message, ...trouble }
  }
}

/** `GET /ready`: true, or what keeps it from writing. */
export function readyOf({ store, gates }: Work): true | string {
  for (const [name, { trouble }] of Object.entries(gates)) if (trouble !== undefined) return `${name}: ${trouble}`
  return store === undefined ? 'the store is being opened' : true
}
