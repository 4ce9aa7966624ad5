/** Whose GPUs were, and what they did for them. */

import type { Endpoint } from '../endpoint.ts'
import { closed } from '../schemas/kit.ts'
import * as owners from '../schemas/owners.ts'
import { Type } from '../schemas/type.ts'
import { gpuParams } from './gpus.ts'
import { duration, limit, name, when } from './kit.ts'

export const ownersEndpoints = {
  listOccupants: {
    method: 'GET',
    path: '/api/v1/gpus/{id}/occupants',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Who had a GPU, and from when to when',
    description:
      'Intervals of one pod, namespace, container, job and user, the oldest first: those that overlap `start` to `end`.',
    params: gpuParams,
    query: closed({
      start: Type.Optional(when('Included; default: from the first one')),
      end: Type.Optional(when('Not included; default: to the last one')),
      limit: Type.Optional(limit(1_000, 100, 'Intervals')),
      cursor: Type.Optional(name('Of the page before, with the other parameters as they were')),
    }),
    answer: owners.occupantList,
    queued: true,
    problems: ['unknown_gpu', 'ambiguous_gpu'],
  },
  getUsage: {
    method: 'GET',
    path: '/api/v1/usage',
    scope: 'read',
    bounds: 'filtered',
    summary: 'GPU-hours and energy, by those who had the GPUs',
    description:
      'The range is cut into windows; `start` and `end` are moved outwards to borders of them. In each window a GPU that ' +
      'reported its activity, power or energy counts with its length (the last one up to now), split among those who had ' +
      'it by how long they did; what nobody had is the group of empty names, so that all groups add up to the total. ' +
      'A window is active when DCGM_FI_PROF_GR_ENGINE_ACTIVE, or where that is not reported DCGM_FI_DEV_GPU_UTIL (not of ' +
      'MIG slices), was above 0 in it, idle when it was reported and never above 0, else unknown. Energy is the increase ' +
      'of DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, or where that is not reported the integral of DCGM_FI_DEV_POWER_USAGE, ' +
      'in which times of more than 5 minutes without a value count nothing. The MIG slices of a GPU share its hours and ' +
      'its energy in equal parts. At most 2,000,000 windows of GPUs.',
    query: closed({
      group_by: Type.Optional(
        Type.String({
          maxLength: 100,
          description: 'Some of namespace, pod, job, user, host, model, with commas; default: namespace',
          examples: ['namespace,job,user'],
        }),
      ),
      start: Type.Optional(when('Included; default: 24 hours before `end`')),
      end: Type.Optional(when('Not included; default: behind the newest value')),
      window: Type.Optional(duration('At least the interval of the source; default: 5m')),
      limit: Type.Optional(limit(10_000, 1_000, 'Groups')),
      cursor: Type.Optional(name('Of the page before, with the other parameters as they were')),
    }),
    answer: owners.usage,
    queued: true,
  },
} as const satisfies Record<string, Endpoint>
