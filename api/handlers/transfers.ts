/** Transfers and sites. */

import { siteOf, transferOf } from '../ask/activity.ts'
import { cursorOf, readCursor } from '../ask/cursor.ts'
import { at, bad, rangeOf, timeOf } from '../ask/parameters.ts'
import type { StoreReader } from '../ask/reader.ts'
import type { Handlers } from '../call.ts'

export function transferHandlers(reader: StoreReader): Handlers<'listTransfers' | 'listSites'> {
  return {
    async listTransfers({ query, nowMs, bounds }) {
      const { site, status, limit = 100 } = query
      const start = timeOf('start', query.start, nowMs)
      const end = timeOf('end', query.end, nowMs)
      if (start !== undefined && end !== undefined) rangeOf(start, end)
      const place = query.cursor === undefined ? undefined : readCursor(query.cursor)
      if (query.cursor !== undefined && place === undefined) throw bad('cursor', 'cursor: want one of an answer before')
      // One more than asked for: whether there is a next page is then known.
      const ask = { site, status, start, end, after: place, limit: limit + 1 }
      const rows = await reader.within(bounds).ask((store) => store.transfers(ask), [])
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const truncated = rows.length > limit
      const cursor = truncated && last !== undefined ? cursorOf(last) : null
      return { as_of: at(nowMs), transfers: page.map(transferOf), truncated, cursor }
    },

    async listSites({ nowMs, bounds }) {
      const rows = await reader.within(bounds).ask((store) => store.sites(), [])
      return { as_of: at(nowMs), sites: rows.map((row) => siteOf(row, nowMs)) }
    },
  }
}
