/** Transfers by site. */

import type { Site } from '#api/contract'

export interface SiteRow {
  readonly site: Site
  /** Transfers that ended well; others failed, or are told in words that are not known here. */
  readonly succeeded: number
  /** Every other status, the most frequent first. */
  readonly others: readonly { readonly status: string; readonly transfers: number }[]
  /** Of the bytes of the busiest site, 0 to 1. */
  readonly share: number
}

const good = new Set(['success', 'succeeded', 'ok', 'done', 'completed', 'finished'])

/** The site with the most bytes first. */
export function siteRows(sites: readonly Site[]): SiteRow[] {
  const most = Math.max(1, ...sites.map(({ bytes }) => bytes))
  return sites
    .map((site) => {
      const statuses = Object.entries(site.statuses)
      const isGood = ([status]: [string, number]) => good.has(status.toLowerCase())
      const others = statuses
        .filter((entry) => !isGood(entry))
        .map(([status, transfers]) => ({ status, transfers }))
        .sort((a, b) => b.transfers - a.transfers)
      const succeeded = statuses.filter(isGood).reduce((total, [, transfers]) => total + transfers, 0)
      return { site, succeeded, others, share: site.bytes / most }
    })
    .sort((a, b) => b.site.bytes - a.site.bytes)
}
