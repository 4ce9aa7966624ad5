/** Views over what the store has: models, and how fresh it is. */

import { Type } from 'typebox'
import type { Endpoint } from '../endpoint.ts'
import { closed } from '../schemas/kit.ts'
import * as views from '../schemas/views.ts'
import { limit, name } from './kit.ts'

export const viewsEndpoints = {
  listModels: {
    method: 'GET',
    path: '/api/v1/models',
    scope: 'read',
    summary: 'Models of GPUs: how many, where, with how much memory, and what they are doing',
    query: closed({}),
    answer: views.modelList,
  },
  getFreshness: {
    method: 'GET',
    path: '/api/v1/freshness',
    scope: 'read',
    summary: 'How old the newest value is, by site, host, GPU or metric',
    description:
      'Stale is older than three intervals, and than STALE_AFTER (90 s). A GPU whose host has newer values of others is ' +
      '`missing_since` in `/api/v1/gpus`. That values come and do not move is not seen here.',
    query: closed({
      by: Type.Optional(views.freshnessBy),
      limit: Type.Optional(limit(1_000, 100, 'Rows')),
      cursor: Type.Optional(name('Of the page before')),
    }),
    answer: views.freshnessList,
  },
} as const satisfies Record<string, Endpoint>
