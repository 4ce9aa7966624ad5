/** When every row of the sources has become something durable, and the line that says what. */

import type { Counts } from '#store/store'
import { lagOf, type Figures, type StreamerFigures } from './figures.ts'

/** Which records the collector takes, and as whom. */
export interface Route {
  readonly topics: readonly string[]
  readonly group: string
}

/** Whether nothing is on its way from the logs to the store. */
export function isDrained({ broker, collector }: Figures, { topics, group }: Route): boolean {
  return broker.complete && lagOf(broker, topics, group) === 0 && collector.pending === 0 && addsUp(collector)
}

/** Whether, besides, nothing is on its way from the sources to the logs, nor will be. */
export function isSettled(figures: Figures, route: Route): boolean {
  return figures.streamer?.done === true && isDrained(figures, route)
}

function addsUp({ received, stored, duplicate, not_reported, dead }: Counts): boolean {
  return received === stored + duplicate + not_reported + dead
}

/**
 * `read 2470, stored 2470, dead-lettered 0`, and behind it what is not nothing. The sum is exact: what was read, and what
 * came from elsewhere (other producers, files that have been replaced), is what was stored, duplicate, not reported,
 * dead-lettered, and settled by runs with other sources.
 *
 * @param account what the ledger says of these sources
 */
export function settledLine({ read, dead }: Pick<StreamerFigures, 'read' | 'dead'>, account: Counts): string {
  // The streamer's dead letters never were records of the topic, so the ledger does not know them.
  const surplus = account.received - (read - dead)
  const parts: [string, number][] = [
    ['duplicate', account.duplicate],
    ['not reported', account.not_reported],
    ['settled by runs with other sources', -surplus],
    ['of these from elsewhere', surplus],
  ]
  const more = parts.filter(([, count]) => count > 0).map(([what, count]) => `, ${what} ${count}`)
  return `read ${read}, stored ${account.stored}, dead-lettered ${dead + account.dead}${more.join('')}`
}
