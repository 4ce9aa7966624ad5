/** Transfers and the sites that they belong to. */

import { closed, text, count, time, maybeNumber, asOf, age, truncated, cursor } from './kit.ts'
import { Type } from './type.ts'

/** Of a transfer, here as in its record. */
export const transferMembers = {
  time: time('When it ended'),
  id: text('Of the transfer; where the source has none, a hash of its row'),
  site: text('Where it was reported'),
  source: text('Empty: not told'),
  destination: text('Empty: not told'),
  bytes: maybeNumber('null: not reported'),
  duration_s: maybeNumber('null: not reported'),
  status: text('Such as success or failed'),
  error: text('Empty: none'),
  started: Type.Optional(time('When it started')),
  source_site: Type.Optional(Type.String()),
  destination_site: Type.Optional(Type.String()),
  attempt: Type.Optional(Type.Integer({ minimum: 1, description: '1 is the first try' })),
  final: Type.Optional(Type.Boolean({ description: 'No further attempt follows' })),
  error_class: Type.Optional(Type.String()),
}

export const transfer = closed(
  {
    ...transferMembers,
    throughput_bytes_per_s: maybeNumber('bytes / duration_s; null where one of them is missing or 0'),
  },
  { $id: 'Transfer' },
)

export const transferList = closed(
  {
    as_of: asOf,
    transfers: Type.Array(transfer, { description: 'Newest first' }),
    truncated,
    cursor,
  },
  { $id: 'TransferList' },
)

export const site = closed(
  {
    site: text('As the source names it'),
    transfers: count('In the store'),
    statuses: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description: 'Transfers by status, such as `{"success":12,"failed":1}`',
    }),
    bytes: Type.Number({ description: 'Sum over the transfers that report it' }),
    duration_s: Type.Number({ description: 'Sum over the transfers that report it' }),
    throughput_bytes_per_s: maybeNumber('bytes / duration_s; null where there is no duration'),
    last: time('End of its newest transfer'),
    age_s: age,
  },
  { $id: 'Site' },
)

export const siteList = closed({ as_of: asOf, sites: Type.Array(site) }, { $id: 'SiteList' })
