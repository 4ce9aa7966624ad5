/** Models, and how fresh what is stored is. */

import { activity } from './fleet.ts'
import { age, asOf, closed, count, maybeNumber, nullable, stale, text, time, truncated } from './kit.ts'
import { Type } from './type.ts'

/** The text format 0.0.4 of Prometheus. */
export const exposition = text('Lines such as `DCGM_FI_DEV_GPU_TEMP{gpu="0",uuid="GPU-…",…} 61`')

export const model = closed(
  {
    model_name: text('As the driver names it; empty: not told'),
    gpus: count('By uuid: the slices of one GPU are one'),
    hosts: count('That have one'),
    stale_gpus: count('GPUs without a fresh value'),
    missing_gpus: count('GPUs with a `missing_since`'),
    sliced_gpus: count('In MIG mode'),
    memory_mib: maybeNumber(
      'Of one GPU: the largest DCGM_FI_DEV_FB_TOTAL, or where it is not reported the largest sum of used, free and ' +
        'reserved; null: not known, as of GPUs that are all sliced',
    ),
    drivers: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description:
        'GPUs by the version of their driver, such as `{"535.129.03":247}`; those that tell none are left out',
    }),
    last_seen: time('Newest value of any of its GPUs'),
    age_s: age,
    stale,
    ...activity,
  },
  { $id: 'Model' },
)

export const modelList = closed({ as_of: asOf, models: Type.Array(model) }, { $id: 'ModelList' })

export const freshnessBy = Type.Enum(['site', 'host', 'gpu', 'metric'], {
  description: 'A row for each of these; sites are those of transfers. Default: host',
})

export const freshness = closed(
  {
    name: text('The site, the hostname, the `id` of the GPU, or the canonical name of the metric'),
    hostname: nullable(Type.String(), { description: 'Of a GPU; else null' }),
    members: count('GPUs of the host, GPUs that have the metric, transfers of the site; 1 of a GPU'),
    stale_members: nullable(Type.Integer({ minimum: 0 }), {
      description: 'GPUs of them that are stale by `stale_after_s`; null of a site',
    }),
    newest: time('Of its newest value; of a site, when its newest transfer ended'),
    age_s: age,
    oldest_age_s: maybeNumber('The age of the member that is furthest behind; null of a site'),
    interval_s: maybeNumber(
      'The median time between its last values (of a GPU, those of its host); null: there are too few to tell',
    ),
    stale_after_s: Type.Number({ description: 'Three intervals, and STALE_AFTER (90 s) at least' }),
    stale: Type.Boolean({ description: 'Older than `stale_after_s`' }),
  },
  { $id: 'Freshness' },
)

export const freshnessList = closed(
  {
    as_of: asOf,
    by: freshnessBy,
    rows: Type.Array(freshness, { description: 'Those that are furthest behind first' }),
    truncated,
    cursor: nullable(Type.String(), { description: 'The `cursor` of the next page; null: this was the last' }),
  },
  { $id: 'FreshnessList' },
)
