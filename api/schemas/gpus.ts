/** GPUs, their newest values and their values over time. */

import {
  closed,
  nullable,
  text,
  time,
  maybeNumber,
  maybeTime,
  asOf,
  age,
  stale,
  labels,
  truncated,
  cursor,
} from './kit.ts'
import { Type } from './type.ts'

const units = Type.Record(Type.String(), Type.String(), {
  description: 'Unit of each metric of the catalogue that the answer has, such as `{"DCGM_FI_DEV_POWER_USAGE":"W"}`',
})

const reading = {
  value: maybeNumber('In the unit of the metric; null: not reported'),
  reported: Type.Boolean({ description: 'Whether the source gave a value' }),
  time: time('When the value was taken, UTC'),
  age_s: age,
}

/** The newest value of one metric. */
export const latestValue = closed(reading, { $id: 'LatestValue' })

/** The same of a metric that has several series in one GPU, told apart by labels (a link, an XID). */
export const labelledValue = closed({ metric: text('Canonical name'), labels, ...reading }, { $id: 'LabelledValue' })

const gpuIdentity = {
  id: text('What `/api/v1/gpus/{id}` takes for exactly this GPU: its uuid; of a MIG slice `<uuid>:<gpu_i_id>`'),
  uuid: text('As the driver gives it'),
  gpu_i_id: text('The MIG instance; empty where the GPU is not sliced'),
  hostname: text('The host that reported it last'),
  gpu_id: text('Its index on the host'),
  device_id: text('Such as nvidia1; every host has one, so it identifies nothing alone'),
  model_name: text('Such as NVIDIA H100 80GB HBM3'),
}

/** A GPU as a candidate of an ambiguous id, and at the head of its telemetry. */
export const gpuReference = closed(gpuIdentity, { $id: 'GpuReference' })

/** What a GPU is doing, by its newest values. */
export const gpuState = Type.Enum(['active', 'idle', 'stale', 'not_reported', 'unknown'], {
  $id: 'GpuState',
  description:
    "By the engine's own metric: DCGM_FI_PROF_GR_ENGINE_ACTIVE or, where it has no fresh value, DCGM_FI_DEV_GPU_UTIL (not " +
    'of a MIG slice). `active`: above 0. `idle`: 0 in the newest value, which proves no duration. `not_reported`: the ' +
    'source named it and gave no value. `unknown`: the source does not name it. `stale`: nothing of the GPU is fresh.',
})

/** A GPU (or MIG slice) with its newest values. */
export const gpu = closed(
  {
    ...gpuIdentity,
    container: text('Empty: none'),
    pod: text('Empty: none'),
    namespace: text('Empty: none'),
    labels,
    first_seen: time('Of its first value'),
    last_seen: time('Of its newest value'),
    missing_since: maybeTime(
      'Its last sighting, where its host has newer values of other GPUs (by more than STALE_AFTER); null: it is not missing',
    ),
    age_s: age,
    stale,
    state: gpuState,
    values: Type.Record(Type.String(), latestValue, { description: 'By canonical metric name' }),
    series: Type.Array(labelledValue, { description: 'Metrics that have several series in this GPU; usually none' }),
  },
  { $id: 'Gpu' },
)

const asOfMoment = time('When the answer was made, or the moment `at` that it is of; ages count from here')

export const gpuList = closed(
  { as_of: asOfMoment, units, gpus: Type.Array(gpu), truncated, cursor },
  { $id: 'GpuList' },
)

export const gpuDetail = closed({ as_of: asOfMoment, units, gpu }, { $id: 'GpuDetail' })

export const point = closed(
  {
    time: time('Of the value, or of the start of its window'),
    value: maybeNumber('null: not reported, in a window by any of its values'),
  },
  { $id: 'Point' },
)

/** What the values of a window become. */
export const windowFunctions = [
  'mean',
  'min',
  'max',
  'sum',
  'last',
  'count',
  'p50',
  'p95',
  'p99',
  'rate',
  'increase',
  'integral',
  'bits',
] as const
export const windowFunction = Type.Enum(windowFunctions, {
  $id: 'WindowFunction',
  description:
    'What the values of a window become. A counter has a `rate` (a second) and an `increase`, a gauge an `integral` (its ' +
    'unit x seconds: W become J), a mask `bits`: those that any value has',
})

export const windowFill = Type.Enum(['none', 'null', 'zero', 'previous'], {
  description: 'What stands in windows without a value; default: they are left out',
})

export const telemetrySeries = closed(
  {
    metric: text('Canonical name'),
    unit: nullable(Type.String(), { description: 'Of the values; null: the catalogue does not know the metric' }),
    labels,
    fn: nullable(windowFunction, { description: 'What each window became; null: values as they came' }),
    values: Type.Array(point, { description: 'By time, in the `order` that was asked for' }),
    truncated,
    next_start: maybeTime(
      'The `start` that goes on behind the last value; null: nothing follows, or the newest come first',
    ),
  },
  { $id: 'TelemetrySeries' },
)

export const telemetry = closed(
  {
    as_of: asOf,
    gpu: gpuReference,
    start: time('Included'),
    end: maybeTime('Not included; null: up to the newest value'),
    window_s: nullable(Type.Number(), { description: 'null: values as they came' }),
    series: Type.Array(telemetrySeries),
    truncated,
    cursor: nullable(Type.String(), { description: 'Of the next page of all series; null: nothing follows' }),
  },
  { $id: 'Telemetry' },
)
