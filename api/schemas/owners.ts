/** Whose GPUs were, and what they did for them. */

import { asOf, closed, count, maybeNumber, maybeTime, nullable, text, time, truncated } from './kit.ts'
import { gpuReference } from './gpus.ts'
import { Type } from './type.ts'

const owner = {
  namespace: text('Empty: none'),
  pod: text('Empty: none'),
  container: text('Empty: none'),
  job: text('The label hpc_job; empty: none'),
  user: text('The label user; empty: none'),
}

export const occupantList = closed(
  {
    as_of: asOf,
    gpu: gpuReference,
    occupants: Type.Array(
      closed({
        ...owner,
        from: time('When the GPU was first seen with them'),
        to: maybeTime('When it was first seen without them; null: they have it, as far as is known'),
      }),
      { description: 'By time. Times in which nobody had it are not listed' },
    ),
    truncated,
    cursor: nullable(Type.String(), { description: 'Of the next page; null: nothing follows' }),
  },
  { $id: 'OccupantList' },
)

const amounts = {
  gpu_hours: Type.Number({ description: 'Hours in which the GPUs reported; allocated ones and others' }),
  allocated_gpu_hours: Type.Number({ description: 'Of them those in which somebody had the GPU' }),
  active_gpu_hours: Type.Number({ description: 'Of all those in windows with work' }),
  idle_gpu_hours: Type.Number({ description: 'Of all those in windows without work' }),
  unknown_gpu_hours: Type.Number({ description: 'Of all those in windows in which no activity was reported' }),
  metered_gpu_hours: Type.Number({ description: 'Of all those in windows whose energy is known' }),
  energy_kwh: maybeNumber('Of the metered hours; null: there are none'),
}

export const usage = closed(
  {
    as_of: asOf,
    start: time('Included: the start of a window'),
    end: time('Not included: the end of a window'),
    window_s: Type.Number({ description: 'Length of the windows that are active or idle' }),
    group_by: Type.Array(Type.String(), { description: 'As asked' }),
    gpus: count('Devices that reported in the range'),
    total: closed(amounts, { description: 'Of all groups, those of other pages too' }),
    groups: Type.Array(
      closed({
        namespace: Type.Optional(text('Empty: none')),
        pod: Type.Optional(text('Empty: none')),
        job: Type.Optional(text('Empty: none')),
        user: Type.Optional(text('Empty: none')),
        host: Type.Optional(text('The host that reported it last')),
        model: Type.Optional(text('Such as NVIDIA H100 80GB HBM3')),
        ...amounts,
      }),
      { description: 'By their names; the group without any is nobody' },
    ),
    truncated,
    cursor: nullable(Type.String(), { description: 'Of the next page; null: nothing follows' }),
  },
  { $id: 'Usage' },
)
