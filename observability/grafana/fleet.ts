/** Dashboards of the GPUs: the fleet, a host of it, a GPU of that. */

import { influxdb, prometheus } from './common.ts'
import { type DataLink, labelVariable, lines, number, type Sheet, table, tagVariable } from './kit.ts'

const seen = 'penstock_gpu_last_seen_timestamp_seconds'
const host = labelVariable('host', 'Host', seen, 'hostname')
const ofHosts = '{hostname=~"$host"}'

const time = '${__url_time_range}'
const toHost: DataLink = {
  title: 'This host',
  url: `/d/penstock-host?var-host=\${__data.fields.hostname}&${time}`,
  targetBlank: false,
}
const toHostOfSeries: DataLink = { ...toHost, url: `/d/penstock-host?var-host=\${__field.labels.hostname}&${time}` }
const toGpu: DataLink = {
  title: 'This GPU',
  url: `/d/penstock-gpu?var-gpu=\${__data.fields.uuid}&${time}`,
  targetBlank: false,
}
const toGpuOfSeries: DataLink = { ...toGpu, url: `/d/penstock-gpu?var-gpu=\${__field.labels.uuid}&${time}` }

const activity =
  '(DCGM_FI_PROF_GR_ENGINE_ACTIVE{hostname=~"$host"} or on (uuid, GPU_I_ID) DCGM_FI_DEV_GPU_UTIL{hostname=~"$host", GPU_I_ID=""} / 100)'
const memory =
  'DCGM_FI_DEV_FB_USED{hostname=~"$host"} / (DCGM_FI_DEV_FB_USED{hostname=~"$host"} + DCGM_FI_DEV_FB_FREE{hostname=~"$host"})'
const bit = (value: number): string =>
  `sum by (hostname) (floor(DCGM_FI_DEV_CLOCKS_EVENT_REASONS${ofHosts} / ${value}) % 2)`

export const fleet: Sheet = {
  uid: 'penstock-fleet',
  title: 'GPU Fleet',
  description: 'All GPUs by their newest values (GET /metrics/gpus). A click on a host or a GPU leads to it.',
  variables: [prometheus, host],
  rows: [
    [
      number({
        title: 'GPUs',
        help: 'Ever seen on these hosts.',
        unit: 'short',
        queries: [{ expr: `count(${seen}${ofHosts})`, instant: true }],
      }),
      number({
        title: 'At work',
        help: 'The engine is active in the newest value.',
        unit: 'short',
        queries: [{ expr: `count(${activity} > 0) or vector(0)`, instant: true }],
      }),
      number({
        title: 'Idle',
        help: 'It is not. Seen once: no duration is proven.',
        unit: 'short',
        queries: [{ expr: `count(${activity} == 0) or vector(0)`, instant: true }],
      }),
      number({
        title: 'Idle but full',
        help: 'Idle, and more than half of its memory is held.',
        unit: 'short',
        steps: [1, 20],
        queries: [
          { expr: `count(${activity} == 0 and on (uuid, GPU_I_ID) ${memory} > 0.5) or vector(0)`, instant: true },
        ],
      }),
      number({
        title: 'Missing',
        help: 'Not seen, though the host has newer values of others.',
        unit: 'short',
        steps: [1, 1],
        queries: [{ expr: `sum(penstock_gpu_missing${ofHosts})`, instant: true }],
      }),
      number({
        title: 'Power',
        help: 'Of those that report it.',
        unit: 'watt',
        queries: [{ expr: `sum(DCGM_FI_DEV_POWER_USAGE${ofHosts})` }],
      }),
    ],
    [
      lines({
        title: 'Activity by host',
        help: 'Mean over its GPUs, by the engine’s own metric where there is one.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        links: [toHostOfSeries],
        queries: [{ expr: `avg by (hostname) (${activity})`, legend: '{{hostname}}' }],
      }),
      lines({
        title: 'Power by host',
        help: 'Sum over its GPUs.',
        unit: 'watt',
        links: [toHostOfSeries],
        queries: [{ expr: `sum by (hostname) (DCGM_FI_DEV_POWER_USAGE${ofHosts})`, legend: '{{hostname}}' }],
      }),
    ],
    [
      lines({
        title: 'Hottest GPU by host',
        help: 'Degrees of the hottest one.',
        unit: 'celsius',
        links: [toHostOfSeries],
        queries: [{ expr: `max by (hostname) (DCGM_FI_DEV_GPU_TEMP${ofHosts})`, legend: '{{hostname}}' }],
      }),
      lines({
        title: 'Held back, by reason',
        help: 'GPUs whose clocks are held back by heat, hardware or power (DCGM_FI_DEV_CLOCKS_EVENT_REASONS).',
        unit: 'short',
        min: 0,
        queries: [
          { expr: `sum(${bit(32)}) + sum(${bit(64)})`, legend: 'heat' },
          { expr: `sum(${bit(8)}) + sum(${bit(128)})`, legend: 'hardware, power brake' },
          { expr: `sum(${bit(4)})`, legend: 'power limit' },
        ],
      }),
    ],
    [
      table({
        title: 'Hosts',
        help: 'The newest value of each host’s GPUs.',
        unit: 'short',
        columns: ['hostname'],
        names: ['GPUs', 'activity', 'memory used', 'power', 'hottest', 'silent for'],
        units: ['short', 'percentunit', 'percentunit', 'watt', 'celsius', 's'],
        columnLinks: { hostname: toHost },
        queries: [
          { expr: `count by (hostname) (${seen}${ofHosts})` },
          { expr: `avg by (hostname) (${activity})` },
          { expr: `avg by (hostname) (${memory})` },
          { expr: `sum by (hostname) (DCGM_FI_DEV_POWER_USAGE${ofHosts})` },
          { expr: `max by (hostname) (DCGM_FI_DEV_GPU_TEMP${ofHosts})` },
          { expr: `time() - max by (hostname) (${seen}${ofHosts})` },
        ],
      }),
    ],
    [
      table({
        title: 'XID errors',
        help: 'Events by code, of exporters that count them (DCGM_EXP_XID_ERRORS_TOTAL).',
        unit: 'short',
        columns: ['hostname', 'gpu', 'xid', 'uuid'],
        names: ['events'],
        units: ['short'],
        columnLinks: { hostname: toHost, uuid: toGpu },
        queries: [{ expr: `sum by (hostname, gpu, uuid, xid) (DCGM_EXP_XID_ERRORS_TOTAL${ofHosts})` }],
      }),
    ],
  ],
}

export const oneHost: Sheet = {
  uid: 'penstock-host',
  title: 'GPU Host',
  description: 'The GPUs of one host. A click on one leads to it.',
  variables: [prometheus, labelVariable('host', 'Host', seen, 'hostname', false)],
  rows: [
    [
      table({
        title: 'GPUs',
        help: 'Newest values, and who has them.',
        unit: 'short',
        columns: ['gpu', 'uuid', 'modelName', 'namespace', 'pod'],
        names: ['activity', 'memory used', 'power', 'temperature'],
        units: ['percentunit', 'percentunit', 'watt', 'celsius'],
        columnLinks: { uuid: toGpu },
        queries: [
          { expr: `max by (gpu, uuid, modelName, namespace, pod) (${activity})` },
          { expr: `max by (gpu, uuid, modelName, namespace, pod) (${memory})` },
          { expr: `max by (gpu, uuid, modelName, namespace, pod) (DCGM_FI_DEV_POWER_USAGE${ofHosts})` },
          { expr: `max by (gpu, uuid, modelName, namespace, pod) (DCGM_FI_DEV_GPU_TEMP${ofHosts})` },
        ],
      }),
    ],
    [
      lines({
        title: 'Activity',
        help: 'By the engine’s own metric where there is one.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        links: [toGpuOfSeries],
        queries: [{ expr: activity, legend: 'GPU {{gpu}} {{GPU_I_ID}}' }],
      }),
      lines({
        title: 'Memory used',
        help: 'Of what can be used.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        links: [toGpuOfSeries],
        queries: [{ expr: memory, legend: 'GPU {{gpu}} {{GPU_I_ID}}' }],
      }),
    ],
    [
      lines({
        title: 'Power',
        help: 'Draw of each GPU.',
        unit: 'watt',
        links: [toGpuOfSeries],
        queries: [{ expr: `DCGM_FI_DEV_POWER_USAGE${ofHosts}`, legend: 'GPU {{gpu}}' }],
      }),
      lines({
        title: 'Temperature',
        help: 'Of the GPU itself.',
        unit: 'celsius',
        links: [toGpuOfSeries],
        queries: [{ expr: `DCGM_FI_DEV_GPU_TEMP${ofHosts}`, legend: 'GPU {{gpu}}' }],
      }),
    ],
  ],
}

const ofGpu = '{uuid=~"$gpu"}'
/** A metric of the GPU as InfluxDB has it, in windows as wide as a pixel. */
const stored = (metric: string, fn = 'mean'): string =>
  `SELECT ${fn}("value") FROM "gpu" WHERE "metric" = '${metric}' AND "uuid" =~ /^$gpu$/ AND $timeFilter GROUP BY time($__interval), "uuid" fill(none)`

export const oneGpu: Sheet = {
  uid: 'penstock-gpu',
  title: 'GPU',
  description: 'One GPU: how it is now (Prometheus), and what it did (InfluxDB; history as far back as it is kept).',
  variables: [
    prometheus,
    influxdb,
    labelVariable('gpu', 'GPU (uuid)', seen, 'uuid', false),
    tagVariable('metric', 'Metric', 'gpu', 'metric'),
  ],
  from: 'now-6h',
  rows: [
    [
      number({
        title: 'Activity',
        help: 'By the engine’s own metric where there is one.',
        unit: 'percentunit',
        queries: [
          {
            expr: `max(DCGM_FI_PROF_GR_ENGINE_ACTIVE${ofGpu} or on (uuid, GPU_I_ID) DCGM_FI_DEV_GPU_UTIL{uuid=~"$gpu", GPU_I_ID=""} / 100)`,
            instant: true,
          },
        ],
      }),
      number({
        title: 'Memory used',
        help: 'Of what can be used.',
        unit: 'percentunit',
        queries: [
          {
            expr: `max(DCGM_FI_DEV_FB_USED${ofGpu} / (DCGM_FI_DEV_FB_USED${ofGpu} + DCGM_FI_DEV_FB_FREE${ofGpu}))`,
            instant: true,
          },
        ],
      }),
      number({
        title: 'Power',
        help: 'Now.',
        unit: 'watt',
        queries: [{ expr: `max(DCGM_FI_DEV_POWER_USAGE${ofGpu})`, instant: true }],
      }),
      number({
        title: 'Temperature',
        help: 'Now.',
        unit: 'celsius',
        steps: [83, 90],
        queries: [{ expr: `max(DCGM_FI_DEV_GPU_TEMP${ofGpu})`, instant: true }],
      }),
      number({
        title: 'Last seen',
        help: 'Whichever metric.',
        unit: 's',
        steps: [90, 300],
        queries: [{ expr: `time() - max(${seen}${ofGpu})`, instant: true }],
      }),
      number({
        title: 'Rows remapped',
        help: 'For errors that could not be corrected.',
        unit: 'short',
        steps: [1, 8],
        queries: [{ expr: `max(DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS${ofGpu})`, instant: true }],
      }),
    ],
    [
      lines({
        title: 'Utilisation',
        help: 'From the store. Means nothing of a MIG slice.',
        unit: 'percent',
        source: 'influxdb',
        queries: [{ expr: stored('DCGM_FI_DEV_GPU_UTIL'), legend: '$tag_uuid' }],
      }),
      lines({
        title: 'Memory used',
        help: 'From the store.',
        unit: 'mbytes',
        source: 'influxdb',
        queries: [{ expr: stored('DCGM_FI_DEV_FB_USED'), legend: '$tag_uuid' }],
      }),
    ],
    [
      lines({
        title: 'Power',
        help: 'From the store; the highest of each window.',
        unit: 'watt',
        source: 'influxdb',
        queries: [{ expr: stored('DCGM_FI_DEV_POWER_USAGE', 'max'), legend: '$tag_uuid' }],
      }),
      lines({
        title: 'Temperature',
        help: 'From the store; the highest of each window.',
        unit: 'celsius',
        source: 'influxdb',
        queries: [{ expr: stored('DCGM_FI_DEV_GPU_TEMP', 'max'), legend: '$tag_uuid' }],
      }),
    ],
    [
      lines({
        title: 'Any metric',
        help: 'As chosen above, from the store.',
        unit: 'short',
        source: 'influxdb',
        width: 24,
        queries: [
          {
            expr: 'SELECT last("value") FROM "gpu" WHERE "metric" =~ /^$metric$/ AND "uuid" =~ /^$gpu$/ AND $timeFilter GROUP BY time($__interval), "metric" fill(none)',
            legend: '$tag_metric',
          },
        ],
      }),
    ],
  ],
}
