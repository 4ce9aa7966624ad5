/** Hosts, namespaces, the catalogue, and the fleet as a whole. */

import type { Endpoint } from '../endpoint.ts'
import * as fleet from '../schemas/fleet.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'
import { cursor, duration, limit, name, when } from './kit.ts'

export const fleetEndpoints = {
  listHosts: {
    method: 'GET',
    path: '/api/v1/hosts',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Hosts with what their GPUs are doing',
    query: closed({ limit: Type.Optional(limit(10_000, 10_000, 'Hosts')), cursor: Type.Optional(cursor) }),
    answer: fleet.hostList,
    queued: true,
    rows: { of: 'hosts' },
  },
  listNamespaces: {
    method: 'GET',
    path: '/api/v1/namespaces',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Namespaces with their GPUs and pods',
    query: closed({}),
    answer: fleet.namespaceList,
    queued: true,
    rows: { of: 'namespaces' },
  },
  getFleet: {
    method: 'GET',
    path: '/api/v1/fleet',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Totals of the whole fleet',
    query: closed({}),
    answer: fleet.fleet,
    queued: true,
  },
  getFleetHistory: {
    method: 'GET',
    path: '/api/v1/fleet/history',
    scope: 'read',
    bounds: 'filtered',
    summary: 'One metric of the whole fleet over time',
    description: 'Of each GPU the mean in a window, then `fn` over the GPUs. At most 1,000 windows.',
    query: closed({
      metric: Type.Optional(name('Default: DCGM_FI_DEV_POWER_USAGE')),
      fn: Type.Optional(fleet.fleetHistory.properties.fn),
      start: Type.Optional(when('Included; default: 15 minutes before `end`')),
      end: Type.Optional(when('Not included; default: behind the newest value')),
      window: Type.Optional(duration('Default: a 90th of the range, 1 s at least')),
    }),
    answer: fleet.fleetHistory,
    queued: true,
    rows: { of: 'values', with: ['metric', 'unit', 'fn'] },
    problems: ['unknown_metric'],
  },
  listMetrics: {
    method: 'GET',
    path: '/api/v1/metrics',
    scope: 'read',
    bounds: 'none',
    summary: 'The catalogue: name, unit, meaning and plausible range of each metric',
    query: closed({}),
    answer: fleet.metricList,
    rows: { of: 'metrics' },
    etag: true,
  },
} as const satisfies Record<string, Endpoint>
