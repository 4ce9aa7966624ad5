/** GPUs, their newest values, and their values over time. */

import type { Endpoint } from '../endpoint.ts'
import * as gpus from '../schemas/gpus.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'
import { cursor, duration, gpuFilter, limit, name, when } from './kit.ts'

export const gpuParams = closed({
  id: name('A uuid, `host:gpu` (mtv5-dgx1-hgpu-031:5) or a device_id (nvidia5); of a MIG slice `uuid:gpu_i_id`'),
})

export const gpusEndpoints = {
  listGpus: {
    method: 'GET',
    path: '/api/v1/gpus',
    scope: 'read',
    bounds: 'filtered',
    summary: 'GPUs with their newest values',
    description:
      'By host and index. A metric that was named without a value has `reported: false` and the value null. With `at` the ' +
      'newest values of that moment, of the GPUs that were seen then or in the 24 hours before, with the pods and ' +
      'namespaces of then; what is stale is told by that moment.',
    query: closed({
      ...gpuFilter,
      state: Type.Optional(gpus.gpuState),
      at: Type.Optional(when('A moment in the past')),
      limit: Type.Optional(limit(10_000, 10_000, 'GPUs')),
      cursor: Type.Optional(cursor),
    }),
    answer: gpus.gpuList,
    queued: true,
    rows: { of: 'gpus' },
  },
  getGpu: {
    method: 'GET',
    path: '/api/v1/gpus/{id}',
    scope: 'read',
    bounds: 'filtered',
    summary: 'One GPU with its newest values',
    params: gpuParams,
    query: closed({ at: Type.Optional(when('A moment in the past, as in the list')) }),
    answer: gpus.gpuDetail,
    queued: true,
    problems: ['unknown_gpu', 'ambiguous_gpu'],
  },
  getGpuTelemetry: {
    method: 'GET',
    path: '/api/v1/gpus/{id}/telemetry',
    scope: 'read',
    bounds: 'filtered',
    summary: 'Values of one GPU over time',
    description:
      'Without `start` it is the hour before `end`, and without `end` up to the newest value. Where a series has more ' +
      'than `limit` values, all series are cut at that time and say `truncated`; `cursor` is of the next page, whose values ' +
      'are those of one long answer.',
    params: gpuParams,
    query: closed({
      start: Type.Optional(when('Included')),
      end: Type.Optional(when('Not included')),
      metric: Type.Optional(
        Type.Array(name('Canonical name or an alias'), {
          maxItems: 64,
          description: 'May be repeated (also as `metric[]`); default: all metrics of the GPU',
        }),
      ),
      window: Type.Optional(duration('One value a window of this length')),
      fn: Type.Optional(gpus.windowFunction),
      fill: Type.Optional(gpus.windowFill),
      order: Type.Optional(Type.Enum(['asc', 'desc'], { description: 'Default: asc; desc: the newest first' })),
      limit: Type.Optional(limit(10_000, 1_000, 'Values of a series')),
      cursor: Type.Optional(name('Of the page before, with the other parameters as they were')),
    }),
    answer: gpus.telemetry,
    queued: true,
    rows: { of: 'series', each: 'values', columns: ['time', 'metric', 'labels', 'value', 'unit', 'fn'] },
    problems: ['unknown_gpu', 'ambiguous_gpu', 'unknown_metric'],
  },
} as const satisfies Record<string, Endpoint>
