/** What goes between two sites, and what fails on its way. */

import { asOf, closed, count, maybeNumber, maybeTime, nullable, text, time, truncated } from './kit.ts'
import { Type } from './type.ts'

const sums = {
  transfers: count('That ended in it, each attempt counted'),
  failed: count('Of them, by status, and where that is not clear by whether there is an error'),
  bytes: Type.Number({ description: 'Sum over the transfers that report it, those that failed too' }),
  throughput_bytes_per_s: maybeNumber(
    'Bytes of a second of transfer: over those that report bytes and a duration above 0; null: none does',
  ),
}

export const linkWindow = closed(
  {
    time: time('Start of the window'),
    ...sums,
    carried_bytes_per_s: Type.Number({
      description: 'bytes / the seconds of the window in the range: what the link carried, however many went at once',
    }),
  },
  { $id: 'LinkWindow' },
)

export const link = closed(
  {
    as_of: asOf,
    source_site: text('Where from'),
    destination_site: text('Where to'),
    start: time('Included'),
    end: time('Not included'),
    source_known: Type.Boolean({ description: 'Whether any transfer of the range names it, as its site or as an end' }),
    destination_known: Type.Boolean({ description: 'Likewise' }),
    ...sums,
    failed_share: maybeNumber('failed / transfers; null: no transfers'),
    duration_s: Type.Number({ description: 'Sum over the transfers that report it' }),
    statuses: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description: 'Transfers by status' }),
    error_classes: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description: 'Those that failed by class, as `/api/v1/transfers/errors` tells',
    }),
    last: maybeTime('When its newest transfer ended; null: none in the range'),
    last_error: nullable(Type.String(), {
      description: 'Of the newest that failed, empty: not told; null: none failed',
    }),
    untold: closed(
      {
        transfers: count('Not counted above'),
        bytes: Type.Number({ description: 'Sum over those that report it' }),
      },
      {
        description:
          'Transfers that may be of this link and of which nobody knows: they belong to, or name, one of the sites, and do ' +
          'not tell one end or both',
      },
    ),
    window_s: Type.Number(),
    windows: Type.Array(linkWindow, {
      description: 'All of the range, at multiples of their length since 1970; without transfers they are 0',
    }),
  },
  { $id: 'Link' },
)

export const transferError = closed(
  {
    error_class: text('As the source gives it, else read from its error and status; `other`, `not_told`'),
    transfers: count('That failed so'),
    share: Type.Number({ description: 'Of all that failed' }),
    bytes: Type.Number({ description: 'That they had moved, as far as it is reported' }),
    sites: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description: 'By the site that reported them' }),
    last: time('End of the newest of them'),
    last_error: text('Its error, as the source says it; empty: not told'),
  },
  { $id: 'TransferError' },
)

export const transferErrorList = closed(
  {
    as_of: asOf,
    start: time('Included'),
    end: time('Not included'),
    transfers: count('All that ended in the range'),
    failed: count('Of them'),
    classes: Type.Array(transferError, { description: 'The most frequent first' }),
    truncated,
    cursor: nullable(Type.String(), { description: 'The `cursor` of the next page; null: this was the last' }),
  },
  { $id: 'TransferErrorList' },
)
