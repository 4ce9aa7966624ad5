/**
 * What the API's questions and answers are made of, as JSON Schema 2020-12 (which OpenAPI 3.1 takes as it is).
 *
 * Each schema with a `$id` becomes a component of the OpenAPI file under that name. Units stand in the names (`power_w`,
 * `age_s`); `null` is always *not reported* or *not known*, never zero.
 */

import { Type, type Static, type TProperties, type TSchema } from 'typebox'

/** An object that has these members and no others. */
export function closed<Members extends TProperties>(members: Members, options: Record<string, unknown> = {}) {
  return Type.Object(members, { additionalProperties: false, ...options })
}

export function nullable<Schema extends TSchema>(schema: Schema, options: Record<string, unknown> = {}) {
  return Type.Union([schema, Type.Null()], options)
}

const text = (description: string) => Type.String({ description })
const count = (description: string) => Type.Integer({ minimum: 0, description })
const time = (description: string) => Type.String({ format: 'date-time', description })
const maybeNumber = (description: string) => nullable(Type.Number(), { description })
const maybeTime = (description: string) => nullable(Type.String({ format: 'date-time' }), { description })
const asOf = time('When the answer was made; ages count from here')
const age = Type.Number({
  description: 'Seconds from the time of the value to `as_of`; below 0 when the source runs ahead',
})
const maybeAge = maybeNumber('Seconds from the newest value to `as_of`')
const stale = Type.Boolean({ description: 'Older than STALE_AFTER (90 s): what it says may no longer be so' })
const labels = Type.Record(Type.String(), Type.String(), { description: 'Names and texts that the source gave' })
const truncated = Type.Boolean({ description: 'There is more: ask again as the fields beside this one say' })

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
    age_s: age,
    stale,
    values: Type.Record(Type.String(), latestValue, { description: 'By canonical metric name' }),
    series: Type.Array(labelledValue, { description: 'Metrics that have several series in this GPU; usually none' }),
  },
  { $id: 'Gpu' },
)

export const gpuList = closed({ as_of: asOf, units, gpus: Type.Array(gpu) }, { $id: 'GpuList' })

export const gpuDetail = closed({ as_of: asOf, units, gpu }, { $id: 'GpuDetail' })

export const point = closed(
  {
    time: time('Of the value, or of the start of its window'),
    value: maybeNumber('null: not reported, in a window by any of its values'),
  },
  { $id: 'Point' },
)

/** What the values of a window become. */
export const windowFunctions = ['mean', 'min', 'max', 'sum', 'last', 'count'] as const
export const windowFunction = Type.Enum(windowFunctions, {
  $id: 'WindowFunction',
  description: 'What the values of a window become; a bit mask has no mean',
})

export const telemetrySeries = closed(
  {
    metric: text('Canonical name'),
    unit: nullable(Type.String(), { description: 'null: the catalogue does not know the metric' }),
    labels,
    fn: nullable(windowFunction, { description: 'What each window became; null: values as they came' }),
    values: Type.Array(point, { description: 'By time' }),
    truncated,
    next_start: maybeTime('The `start` that goes on behind the last value; null: nothing follows'),
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
  },
  { $id: 'Telemetry' },
)

/** What GPUs are doing, summed or averaged over those that report it and are not stale, or over all when all are stale. */
const activity = {
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

export const hostList = closed({ as_of: asOf, hosts: Type.Array(host) }, { $id: 'HostList' })

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

export const transfer = closed(
  {
    time: time('When it ended'),
    id: text('Of the transfer; where the source has none, a hash of its row'),
    site: text('Where it was reported'),
    source: text('Empty: not told'),
    destination: text('Empty: not told'),
    bytes: maybeNumber('null: not reported'),
    duration_s: maybeNumber('null: not reported'),
    throughput_bytes_per_s: maybeNumber('bytes / duration_s; null where one of them is missing or 0'),
    status: text('Such as success or failed'),
    error: text('Empty: none'),
    started: Type.Optional(time('When it started')),
    source_site: Type.Optional(Type.String()),
    destination_site: Type.Optional(Type.String()),
    attempt: Type.Optional(Type.Integer({ minimum: 1, description: '1 is the first try' })),
    final: Type.Optional(Type.Boolean({ description: 'No further attempt follows' })),
    error_class: Type.Optional(Type.String()),
  },
  { $id: 'Transfer' },
)

export const transferList = closed(
  {
    as_of: asOf,
    transfers: Type.Array(transfer, { description: 'Newest first' }),
    truncated,
    cursor: nullable(Type.String(), { description: 'The `cursor` of the next page; null: this was the last' }),
  },
  { $id: 'TransferList' },
)

export const site = closed(
  {
    site: text('As the source names it'),
    transfers: count('In the store'),
    statuses: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description: 'Transfers by status, such as `{"success":12,"failed":1}`',
    }),
    bytes: Type.Number({ description: 'Sum over the transfers that report it' }),
    duration_s: Type.Number({ description: 'Sum over the transfers that report it' }),
    throughput_bytes_per_s: maybeNumber('bytes / duration_s; null where there is no duration'),
    last: time('End of its newest transfer'),
    age_s: age,
  },
  { $id: 'Site' },
)

export const siteList = closed({ as_of: asOf, sites: Type.Array(site) }, { $id: 'SiteList' })

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

const partState = Type.Enum(['up', 'down', 'starting', 'draining'], {
  description: 'down: it does not answer; starting: it answers and is not ready',
})
const partError = nullable(Type.String(), { description: 'Why it is not up, in one line; null: it is' })
const part = { state: partState, error: partError }

export const brokerPart = closed(
  {
    ...part,
    broker: nullable(Type.Integer(), { description: 'Its ordinal; null: it never told' }),
    url: text('Where the API, or the proxy, reaches it'),
    version: nullable(Type.String()),
    uptime_s: nullable(Type.Number()),
  },
  { $id: 'BrokerPart' },
)

export const groupPart = closed(
  {
    name: text('Of the group'),
    mode: nullable(Type.String(), { description: 'exclusive or shared' }),
    lag: count('Records that the group has not acknowledged'),
    in_flight: count('Of them, those that are delivered'),
    oldest_unacknowledged_s: maybeNumber('Age of the oldest of them'),
    consumers: count('Connected now'),
  },
  { $id: 'GroupPart' },
)

export const topicPart = closed(
  {
    name: text('Of the topic'),
    records: count('In the logs now'),
    produced: count('Ever written'),
    bytes: Type.Number({ description: 'Of the logs' }),
    dead: count('Dead letters of the topic'),
    groups: Type.Array(groupPart),
  },
  { $id: 'TopicPart' },
)

const counts = {
  received: count('Records settled: stored + duplicate + not_reported + dead'),
  stored: count('New rows with a value'),
  duplicate: count('Records that the store had already'),
  not_reported: count('New rows without a value'),
  dead: count('Dead letters'),
}

export const sourcePart = closed(
  {
    name: text('Of the file or feed'),
    rows: count('Settled: acknowledged by the broker, or dead-lettered'),
    dead: count('Dead-lettered'),
    bytes: nullable(Type.Number(), { description: 'Read so far' }),
    size: nullable(Type.Number(), { description: 'In all; null: not known' }),
    done: Type.Boolean(),
    error: nullable(Type.String(), { description: 'Why it cannot be read on' }),
  },
  { $id: 'SourcePart' },
)

export const pipeline = closed(
  {
    as_of: asOf,
    demo: Type.Boolean({ description: 'The values are of a fleet that does not exist' }),
    state: Type.Enum(['ok', 'degraded'], {
      description: 'degraded: a part that the API knows of is not up',
    }),
    proxy: nullable(closed({ ...part, url: text('MSG_QUEUE_ADDR') }), { description: 'null: one broker, no proxy' }),
    brokers: Type.Array(brokerPart),
    topics: Type.Array(topicPart, {
      description: 'Summed over the brokers that answer; without the dead-letter topics',
    }),
    streamer: nullable(
      closed({
        ...part,
        read: count('Rows settled on its side'),
        sent: count('Records acknowledged by the broker'),
        dead: count('Rows that went to the dead letters'),
        done: Type.Boolean({ description: 'Every source is at its end and everything is acknowledged' }),
        sources: Type.Array(sourcePart),
      }),
      { description: 'null: STREAMER_URL is not set' },
    ),
    collector: nullable(closed({ ...part, ...counts, pending: count('Received and not yet written') }), {
      description: 'null: COLLECTOR_URL is not set',
    }),
    store: closed({
      ...part,
      ...counts,
      bytes: nullable(Type.Number(), { description: 'On its disk' }),
    }),
    totals: closed({
      stored: count('Rows in the store with a value'),
      dead: count('Dead letters, of the brokers and of the streamer'),
      lag: count('Records that no group member has acknowledged, over all groups'),
      pending: count('Records that are on their way: the lag of the collector’s group'),
    }),
  },
  { $id: 'Pipeline' },
)

/** Body of `POST /telemetry`, as the sources' services send it. Members beyond these are kept as labels. */
export const telemetryInput = Type.Object(
  {
    metric: Type.String({
      minLength: 1,
      description: 'Any name; those of the catalogue are stored under the canonical one',
    }),
    value: nullable(Type.Number(), { description: 'null: not reported' }),
    time: Type.Optional(Type.String({ description: 'RFC 3339, or epoch; default: when the API takes it' })),
    uuid: Type.Optional(Type.String({ description: 'Of the GPU; default: <hostname>:<gpu_id or device_id>' })),
    device_id: Type.Optional(Type.String()),
    gpu_id: Type.Optional(Type.String()),
    gpu_i_id: Type.Optional(Type.String({ description: 'MIG instance' })),
    model_name: Type.Optional(Type.String()),
    hostname: Type.Optional(Type.String()),
    container: Type.Optional(Type.String()),
    pod: Type.Optional(Type.String()),
    namespace: Type.Optional(Type.String()),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
    labels_raw: Type.Optional(Type.String({ description: 'name=value pairs between commas; values may be quoted' })),
  },
  { $id: 'TelemetryInput', additionalProperties: false },
)

export const accepted = closed(
  {
    accepted: count('Records written to the broker’s log'),
    ids: Type.Array(Type.String(), { description: 'Their ids there, in the order of the body' }),
  },
  { $id: 'Accepted' },
)

/** One event of the live stream: a record, as `docs/PROTOCOL.md` describes it. */
export const streamRecord = Type.Union(
  [
    closed({
      kind: Type.Literal('gpu'),
      time: time('Of the value'),
      device_id: Type.String(),
      metric: text('Canonical name'),
      value: maybeNumber('null: not reported'),
      gpu_id: Type.String(),
      uuid: Type.String(),
      model_name: Type.String(),
      hostname: Type.String(),
      container: Type.String(),
      pod: Type.String(),
      namespace: Type.String(),
      gpu_i_id: Type.Optional(Type.String()),
      labels,
    }),
    Type.Object({
      kind: Type.Literal('transfer'),
      id: Type.String(),
      time: time('When it ended'),
      site: Type.String(),
    }),
    closed({
      kind: Type.Literal('metric'),
      time: time('Of the value'),
      metric: Type.String(),
      value: maybeNumber('null: not reported'),
      tags: labels,
    }),
  ],
  { $id: 'StreamRecord' },
)

/** A refusal (RFC 9457). */
export const problem = Type.Object(
  {
    type: text('urn:penstock:problem:<code>'),
    title: Type.String(),
    status: Type.Integer(),
    code: text('Stable: programs decide by it'),
    detail: text('What was wrong with this request, and what would be right'),
    hint: Type.String(),
    parameter: Type.Optional(text('The query parameter that was wrong')),
    candidates: Type.Optional(Type.Array(gpuReference, { description: 'Of an ambiguous id' })),
    retry_after_s: Type.Optional(Type.Number()),
  },
  { $id: 'Problem' },
)

export type Schema<S extends TSchema> = Static<S>
