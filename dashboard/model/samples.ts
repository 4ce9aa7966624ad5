/** GPUs and answers for tests. */

import type { Gpu, GpuList, Pipeline, Site, StreamRecord } from '#api/contract'
import type { Quantity } from './metrics.ts'
import { metricNames } from './metrics.ts'

/** The moment at which the samples are looked at. */
export const nowMs = Date.UTC(2026, 0, 1, 12)

export interface SampleGpu {
  readonly host?: string
  readonly index?: string
  readonly uuid?: string
  readonly slice?: string
  readonly model?: string
  readonly pod?: string
  readonly ageS?: number
  /** `null`: not reported; absent: the source never names it. */
  readonly values?: Partial<Record<Quantity, number | null>>
}

export function gpuOf(sample: SampleGpu): Gpu {
  const { host = 'node-1', index = '0', slice = '', ageS = 5, values = {} } = sample
  const uuid = sample.uuid ?? `GPU-${host}-${index}`
  const time = new Date(nowMs - ageS * 1000).toISOString()
  const readings = Object.entries(values).map(([quantity, value]) => [
    metricNames[quantity as Quantity],
    { value, reported: value !== null, time, age_s: ageS },
  ])
  return {
    id: slice === '' ? uuid : `${uuid}:${slice}`,
    uuid,
    gpu_i_id: slice,
    hostname: host,
    gpu_id: index,
    device_id: `nvidia${index}`,
    model_name: sample.model ?? 'NVIDIA H100',
    container: '',
    pod: sample.pod ?? '',
    namespace: '',
    labels: {},
    first_seen: time,
    last_seen: time,
    missing_since: null,
    age_s: ageS,
    stale: ageS > 90,
    state: ageS > 90 ? 'stale' : 'unknown',
    values: Object.fromEntries(readings) as Gpu['values'],
    series: [],
  }
}

export function listOf(samples: readonly SampleGpu[]): GpuList {
  const gpus = samples.map((sample) => gpuOf(sample))
  return { as_of: new Date(nowMs).toISOString(), units: {}, gpus, truncated: false, cursor: null }
}

export function recordOf(sample: SampleGpu, quantity: Quantity, timeMs: number, value: number | null): StreamRecord {
  const { uuid, hostname, gpu_id, device_id, model_name, container, pod, namespace, gpu_i_id } = gpuOf(sample)
  return {
    kind: 'gpu',
    time: new Date(timeMs).toISOString(),
    device_id,
    metric: metricNames[quantity],
    value,
    gpu_id,
    uuid,
    model_name,
    hostname,
    container,
    pod,
    namespace,
    ...(gpu_i_id === '' ? {} : { gpu_i_id }),
    labels: {},
  }
}

export const siteOf = (site: Partial<Site>): Site => ({
  site: 'SITE_A',
  transfers: 0,
  statuses: {},
  bytes: 0,
  duration_s: 0,
  throughput_bytes_per_s: null,
  last: new Date(nowMs).toISOString(),
  age_s: 0,
  ...site,
})

const up = { state: 'up', error: null } as const
const noCounts = { received: 0, stored: 0, duplicate: 0, not_reported: 0, dead: 0 }

export function pipelineOf(change: Partial<Pipeline> = {}): Pipeline {
  return {
    as_of: new Date(nowMs).toISOString(),
    demo: false,
    state: 'ok',
    proxy: { ...up, url: 'http://127.0.0.1:8081' },
    brokers: [0, 1].map((broker) => ({
      ...up,
      broker,
      url: `http://127.0.0.1:${8090 + broker}`,
      version: '1',
      uptime_s: 9,
    })),
    topics: [],
    streamer: { ...up, read: 0, sent: 0, dead: 0, done: false, sources: [] },
    collector: { ...up, ...noCounts, pending: 0 },
    store: { ...up, ...noCounts, bytes: 0 },
    totals: { stored: 0, dead: 0, lag: 0, pending: 0 },
    ...change,
  }
}
