/** How fresh what is stored is. */

import { cursorOf, readCursor } from '../ask/cursor.ts'
import { compare, placeOf, subjectsOf, type SubjectKind } from '../ask/freshness.ts'
import { Intervals, intervalOf } from '../ask/intervals.ts'
import type { Inventory } from '../ask/inventory.ts'
import { at, bad } from '../ask/parameters.ts'
import type { StoreReader } from '../ask/reader.ts'
import { ageS } from '../ask/times.ts'
import type { Handlers } from '../call.ts'
import type { Freshness } from '../contract.ts'
import type { Bounds } from '../keys/bounds.ts'
import type { SiteRow } from '#store/store'

/** What is known of a subject before its interval is. */
interface Seen {
  readonly name: string
  readonly newest: { readonly time: string }
  /** Its row, by its interval. */
  tell(): Promise<Freshness>
}

/** A site is as regular as its last transfers are. */
const transfersMax = 20

export function freshnessHandlers(
  reader: StoreReader,
  inventory: Inventory,
  staleAfterMs: number,
): Handlers<'getFreshness'> {
  const intervals = new Intervals(reader)

  async function subjects(by: SubjectKind, nowMs: number, bounds: Bounds): Promise<Seen[]> {
    const { rows, latest } = await inventory.within(bounds).fleet(nowMs)
    return subjectsOf(by, rows, latest).map((subject) => ({
      ...subject,
      async tell() {
        const { name, hostname, newest, members, first, samples } = subject
        const interval_s = await intervals.of(subject.source, samples, first, nowMs)
        const limits = limitsOf(interval_s, newest.time, nowMs)
        const ages = members.map((time) => ageS(time, nowMs))
        return {
          name,
          hostname,
          members: members.length,
          stale_members: ages.filter((age_s) => age_s > limits.stale_after_s).length,
          newest: newest.time,
          oldest_age_s: ages.length === 0 ? null : ages.reduce((a, b) => Math.max(a, b)),
          ...limits,
        }
      },
    }))
  }

  async function sites(nowMs: number, bounds: Bounds): Promise<Seen[]> {
    const rows = await reader.within(bounds).ask((store) => store.sites(), [])
    const seen = rows.map((row) => ({ name: row.site, newest: { time: row.last }, tell: () => ofSite(row, nowMs) }))
    return seen.sort((a, b) => compare(placeOf(a), placeOf(b)))
  }

  async function ofSite({ site, transfers, last }: SiteRow, nowMs: number): Promise<Freshness> {
    const ends = await reader.ask((store) => store.transfers({ site, limit: transfersMax }), [])
    const interval_s = intervalOf(ends.map(({ time }) => time).reverse())
    const none = { hostname: null, stale_members: null, oldest_age_s: null }
    return { name: site, members: transfers, newest: last, ...none, ...limitsOf(interval_s, last, nowMs) }
  }

  function limitsOf(interval_s: number | null, newest: string, nowMs: number) {
    const age_s = ageS(newest, nowMs)
    const stale_after_s = Math.max(3 * (interval_s ?? 0), staleAfterMs / 1000)
    return { age_s, interval_s, stale_after_s, stale: age_s > stale_after_s }
  }

  return {
    async getFreshness({ query: { by = 'host', limit = 100, cursor }, nowMs, bounds }) {
      const from = cursor === undefined ? undefined : readCursor(cursor)
      if (cursor !== undefined && from === undefined) throw bad('cursor', 'cursor: want one of an answer before')
      const all = await (by === 'site' ? sites(nowMs, bounds) : subjects(by, nowMs, bounds))
      const rest = from === undefined ? all : all.filter((one) => compare(placeOf(one), from) > 0)
      const page = rest.slice(0, limit)
      const rows: Freshness[] = []
      for (const one of page) rows.push(await one.tell())
      const truncated = rest.length > limit
      const last = page.at(-1)
      const next = truncated && last !== undefined ? cursorOf({ time: last.newest.time, id: last.name }) : null
      return { as_of: at(nowMs), by, rows, truncated, cursor: next }
    },
  }
}
