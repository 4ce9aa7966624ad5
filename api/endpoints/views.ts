/** Views over what the store has: models, how fresh it is, what goes between sites and what fails. */

import { expositionType } from '../ask/exposition.ts'
import type { Endpoint } from '../endpoint.ts'
import { closed } from '../schemas/kit.ts'
import * as links from '../schemas/links.ts'
import { Type } from '../schemas/type.ts'
import * as views from '../schemas/views.ts'
import { duration, limit, name, when } from './kit.ts'

export const viewsEndpoints = {
  scrapeGpus: {
    method: 'GET',
    path: '/metrics/gpus',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Newest values of all GPUs as Prometheus text',
    description:
      'Without what was not reported, and without what is stale (older than STALE_AFTER). For Prometheus the key goes into ' +
      '`authorization`.',
    query: closed({}),
    answer: views.exposition,
    queued: true,
    media: expositionType,
  },
  listModels: {
    method: 'GET',
    path: '/api/v1/models',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Models of GPUs: how many, where, with how much memory, and what they are doing',
    query: closed({}),
    answer: views.modelList,
    queued: true,
  },
  getFreshness: {
    method: 'GET',
    path: '/api/v1/freshness',
    scope: 'read',
    bounds: 'filtered',
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
    queued: true,
  },
  getLink: {
    method: 'GET',
    path: '/api/v1/sites/{source}/{destination}',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Transfers from one site to another: how many, how much, how fast, what failed',
    description:
      'By `source_site` and `destination_site` of the transfers. Which way a transfer went that does not tell both is not ' +
      'guessed: it is `untold`. At most 1,000 windows.',
    params: closed({ source: name('The site that they came from'), destination: name('The site that they went to') }),
    query: closed({
      start: Type.Optional(when('Included; default: a day before `end`')),
      end: Type.Optional(when('Not included; default: now')),
      window: Type.Optional(duration('Default: a 90th of the range, 1 s at least')),
    }),
    answer: links.link,
    queued: true,
  },
  listTransferErrors: {
    method: 'GET',
    path: '/api/v1/transfers/errors',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Transfers that failed, by the class of their error',
    description:
      'A record that carries an `error_class` keeps it; of others it is read from `error` and `status` ' +
      '(docs/API.md lists the classes).',
    query: closed({
      site: Type.Optional(name('Of this site only')),
      source_site: Type.Optional(name('From this site only, where that is told')),
      destination_site: Type.Optional(name('To this site only, where that is told')),
      start: Type.Optional(when('Included; default: a day before `end`')),
      end: Type.Optional(when('Not included; default: now')),
      limit: Type.Optional(limit(1_000, 100, 'Classes')),
      cursor: Type.Optional(name('Of the page before')),
    }),
    answer: links.transferErrorList,
    queued: true,
  },
} as const satisfies Record<string, Endpoint>
