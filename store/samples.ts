/** Records for the tests of stores: what is not given has a plain value. */

import type { GpuRecord, MetricRecord, TelemetryRecord, TransferRecord } from '#telemetry/record'
import type { BatchPart, WriteBatch } from './store.ts'

export function gpuRecord(given: Partial<GpuRecord> = {}): GpuRecord {
  return {
    kind: 'gpu',
    time: '2025-07-18T20:42:34Z',
    device_id: 'nvidia0',
    metric: 'DCGM_FI_DEV_GPU_UTIL',
    value: 50,
    gpu_id: '0',
    uuid: 'GPU-a',
    model_name: 'NVIDIA H100 80GB HBM3',
    hostname: 'host-1',
    container: '',
    pod: '',
    namespace: '',
    labels: {},
    ...given,
  }
}

export function transferRecord(given: Partial<TransferRecord> = {}): TransferRecord {
  return {
    kind: 'transfer',
    time: '2025-07-18T20:42:34Z',
    id: 't1',
    site: 'SITE_A',
    source: '',
    destination: '',
    bytes: 1_048_576,
    duration_s: 0.84,
    status: 'success',
    error: '',
    ...given,
  }
}

export function metricRecord(given: Partial<MetricRecord> = {}): MetricRecord {
  return { kind: 'metric', time: '2025-07-18T20:42:34Z', metric: 'disk_used', value: 1, tags: {}, ...given }
}

/** A part of a log whose records stand at consecutive offsets from `from` on; `undefined` is one for the dead letters. */
export function partOf(records: readonly (TelemetryRecord | undefined)[], from = 0, logId = 'a'.repeat(16)): BatchPart {
  const placed = records.map((record, index) => ({ record, offset: from + index }))
  const good = placed.filter(
    (place): place is { record: TelemetryRecord; offset: number } => place.record !== undefined,
  )
  return {
    logId,
    broker: 0,
    partition: 0,
    records: good.map(({ record }) => record),
    offsets: good.map(({ offset }) => offset),
    dead: placed.filter(({ record }) => record === undefined).map(({ offset }) => offset),
    next: from + records.length,
  }
}

export function batchOf(...parts: readonly BatchPart[]): WriteBatch {
  return { topic: 'telemetry', parts }
}
