/** Hosts, namespaces, the fleet as a whole, and the catalogue of metrics. */

import {
  closed,
  nullable,
  text,
  count,
  time,
  maybeNumber,
  maybeTime,
  asOf,
  age,
  maybeAge,
  stale,
  truncated,
  cursor,
} from './kit.ts'
import { windowFunction } from './gpus.ts'
import { Type } from './type.ts'

/** What GPUs are doing, summed or averaged over those that report it and are not stale, or over all when all are stale. */
export const activity = {
  power_w: maybeNumber('Sum of DCGM_FI_DEV_POWER_USAGE'),
  utilization_pct: maybeNumber('Mean of DCGM_FI_DEV_GPU_UTIL'),
  memory_used_mib: maybeNumber('Sum of DCGM_FI_DEV_FB_USED'),
  memory_total_mib: maybeNumber('Sum of used and free memory, of the GPUs that report both'),
  temperature_max_c: maybeNumber('Highest DCGM_FI_DEV_GPU_TEMP'),
}

export const host = closed(
  {
    hostname: text('As the source names it'),
    gpus: count('By uuid: the slices of one GPU are one'),
    stale_gpus: count('Of them without a fresh value'),
    last_seen: time('Newest value of any of its GPUs'),
    age_s: age,
    stale,
    ...activity,
  },
  { $id: 'Host' },
)

export const hostList = closed({ as_of: asOf, hosts: Type.Array(host), truncated, cursor }, { $id: 'HostList' })

export const namespace = closed(
  { namespace: text('Empty: GPUs that belong to none'), gpus: count('By uuid'), pods: count('By name') },
  { $id: 'Namespace' },
)

export const namespaceList = closed({ as_of: asOf, namespaces: Type.Array(namespace) }, { $id: 'NamespaceList' })

export const fleet = closed(
  {
    as_of: asOf,
    demo: Type.Boolean({ description: 'The values are of a fleet that does not exist' }),
    gpus: count('By uuid'),
    hosts: count('With at least one GPU'),
    namespaces: count('Without the empty one'),
    stale_gpus: count('GPUs without a fresh value'),
    busy_gpus: count('Utilisation above 0'),
    idle_full_gpus: count(
      'Utilisation 0 and more than 1,000 MiB in use, by the newest values: seen once, no duration proven',
    ),
    newest: maybeTime('Time of the newest value; null: the store is empty'),
    age_s: maybeAge,
    stale,
    ...activity,
    models: Type.Array(closed({ model_name: text('As the driver names it'), gpus: count('By uuid') })),
    transfers: count('In the store'),
    transfer_bytes: Type.Number({ description: 'Sum over the transfers that report it' }),
  },
  { $id: 'Fleet' },
)

export const fleetHistory = closed(
  {
    as_of: asOf,
    metric: text('Canonical name'),
    unit: nullable(Type.String()),
    fn: Type.Enum(['sum', 'mean', 'min', 'max']),
    start: time('Included'),
    end: time('Not included'),
    window_s: Type.Number(),
    values: Type.Array(
      closed({
        time: time('Start of the window'),
        value: maybeNumber('Over the GPUs, of the mean of each in the window; null: none reported'),
        gpus: count('GPUs that reported a value in the window'),
      }),
    ),
  },
  { $id: 'FleetHistory' },
)

export const metric = closed(
  {
    name: text('Canonical: a DCGM field name'),
    kind: Type.Enum(['gauge', 'counter', 'state', 'mask', 'event']),
    unit: text('Such as W, MiB, %'),
    help: text('What it means'),
    min: nullable(Type.Number(), { description: 'Least plausible value; null: no bound' }),
    max: nullable(Type.Number(), { description: 'Largest plausible value; null: no bound' }),
    aliases: Type.Array(Type.String(), { description: 'Names of other exporter versions, stored under this one' }),
    functions: Type.Array(windowFunction, { description: 'What `fn` may be' }),
  },
  { $id: 'Metric' },
)

export const metricList = closed({ metrics: Type.Array(metric) }, { $id: 'MetricList' })
