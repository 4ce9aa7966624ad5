/** Transfers and sites. */

import type { Endpoint } from '../endpoint.ts'
import * as transfers from '../schemas/transfers.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'
import { cursor, limit, name, when } from './kit.ts'

export const transfersEndpoints = {
  listTransfers: {
    method: 'GET',
    path: '/api/v1/transfers',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Transfers, newest first',
    query: closed({
      site: Type.Optional(name('Of this site only')),
      status: Type.Optional(name('With this status only')),
      start: Type.Optional(when('Included')),
      end: Type.Optional(when('Not included')),
      limit: Type.Optional(limit(1_000, 100, 'Transfers')),
      cursor: Type.Optional(cursor),
    }),
    answer: transfers.transferList,
    queued: true,
    rows: { of: 'transfers' },
  },
  listSites: {
    method: 'GET',
    path: '/api/v1/sites',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Sites with what they transferred',
    query: closed({}),
    answer: transfers.siteList,
    queued: true,
    rows: { of: 'sites' },
  },
} as const satisfies Record<string, Endpoint>
