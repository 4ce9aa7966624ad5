/**
 * What makes two records one. Two points with one identity are one point, however often and in whichever spelling of the
 * time they come; nothing else is.
 *
 * Pod, namespace, job, driver and host are attributes, never identity: a GPU that gets another pod is the same series.
 */

import type { GpuRecord, Labels, MetricRecord, TelemetryRecord } from './record.ts'
import { parseTime } from './time.ts'

/**
 * Labels that make a series of its own, by the names that dcgm-exporter gives them: links, switches, XID codes and clock
 * events of the event counters, virtual GPUs, peers of a link, health watches. In the order that keys are built in.
 */
export const seriesLabels = [
  'nvlink',
  'nvswitch',
  'link',
  'xid',
  'clock_event',
  'vgpu',
  'peer_gpu',
  'health_watch',
] as const

/** Stands between the parts of a key, so it is escaped inside them. */
const separator = '\0'

/**
 * The series of a GPU point: uuid, MIG instance, metric and the {@link seriesLabels} that it has. Equal texts mean the same
 * series. The metric is used as it stands: give it a record that went through `normalise`.
 */
export function gpuSeriesKey(record: GpuRecord): string {
  let key = `${part(record.uuid)}${separator}${part(record.gpu_i_id ?? '')}${separator}${part(record.metric)}`
  for (const name of seriesLabels) {
    const label = record.labels[name]
    if (label !== undefined && label !== '') key += `${separator}${name}=${part(label)}`
  }
  return key
}

/** The series of any other value: its name and all its tags, in the order of their names. */
export function metricSeriesKey(record: MetricRecord): string {
  return `${part(record.metric)}${tagsKey(record.tags)}`
}

/** The identity of a record as one text: equal texts mean the same record. Its kind and, for points, its time are in it. */
export function identityOf(record: TelemetryRecord): string {
  switch (record.kind) {
    case 'gpu':
      return `gpu${separator}${timeKey(record.time)}${separator}${gpuSeriesKey(record)}`
    case 'transfer':
      return `transfer${separator}${part(record.id)}`
    case 'metric':
      return `metric${separator}${timeKey(record.time)}${separator}${metricSeriesKey(record)}`
  }
}

/** What picks the partition: the uuid of a GPU (its order is kept), the site of a transfer, the name of another metric. */
export function partitionKeyOf(record: TelemetryRecord): string {
  switch (record.kind) {
    case 'gpu':
      return record.uuid
    case 'transfer':
      return record.site
    case 'metric':
      return record.metric
  }
}

function tagsKey(tags: Labels): string {
  let key = ''
  for (const name of Object.keys(tags).sort())
    key += `${separator}${part(name)}${separator}${part(tags[name] as string)}`
  return key
}

function timeKey(time: string): string {
  const instant = parseTime(time)
  return instant === undefined ? part(time) : `${instant.ms}.${instant.ns}`
}

function part(text: string): string {
  return text.includes(separator) || text.includes('\x01')
    ? text.replaceAll('\x01', '\x01\x01').replaceAll(separator, '\x01\x02')
    : text
}
