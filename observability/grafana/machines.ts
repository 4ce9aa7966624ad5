/** Dashboards of the API, and of the machines under all roles. */

import { errorsBy, prometheus, quantile, role } from './common.ts'
import { labelVariable, lines, number, type Sheet } from './kit.ts'

export const api: Sheet = {
  uid: 'penstock-api',
  title: 'API Service Metrics',
  description: 'Request rates, response times and errors, by route.',
  variables: [prometheus, labelVariable('route', 'Route', 'http_requests_total{role="api"}', 'route')],
  rows: [
    [
      number({
        title: 'Requests',
        help: 'Answered in a second.',
        unit: 'reqps',
        width: 6,
        queries: [{ expr: 'sum(rate(http_requests_total{role="api"}[$__rate_interval]))' }],
      }),
      number({
        title: 'Failed',
        help: 'Answers of 500 and above.',
        unit: 'percentunit',
        width: 6,
        steps: [0.01, 0.05],
        queries: [{ expr: errorsBy('role', 'role="api"') }],
      }),
      number({
        title: 'One in twenty takes',
        help: 'Or longer.',
        unit: 's',
        width: 6,
        steps: [1, 2],
        queries: [{ expr: quantile(0.95, 'penstock_http_request_duration_seconds', 'role', '{role="api"}') }],
      }),
      number({
        title: 'Live readers',
        help: 'Of the live stream.',
        unit: 'short',
        width: 6,
        queries: [{ expr: 'sum(penstock_api_stream_readers)', instant: true }],
      }),
    ],
    [
      lines({
        title: 'Requests by route',
        help: 'Patterns, never URLs.',
        unit: 'reqps',
        queries: [
          {
            expr: 'sum by (method, route) (rate(http_requests_total{role="api", route=~"$route"}[$__rate_interval]))',
            legend: '{{method}} {{route}}',
          },
        ],
      }),
      lines({
        title: 'Answers by status',
        help: '401 and 403 are keys, 429 is the rate limit.',
        unit: 'reqps',
        stacked: true,
        queries: [
          {
            expr: 'sum by (status) (rate(http_requests_total{role="api", route=~"$route"}[$__rate_interval]))',
            legend: '{{status}}',
          },
        ],
      }),
    ],
    [
      lines({
        title: 'Time by route',
        help: 'One in twenty takes longer.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.95, 'penstock_http_request_duration_seconds', 'route', '{role="api", route=~"$route"}'),
            legend: '{{route}}',
          },
        ],
      }),
      lines({
        title: 'Failed by route',
        help: 'The share of answers of 500 and above.',
        unit: 'percentunit',
        min: 0,
        queries: [{ expr: errorsBy('route', 'role="api", route=~"$route"'), legend: '{{route}}' }],
      }),
    ],
  ],
}

const ofRole = '{role=~"$role"}'

export const infrastructure: Sheet = {
  uid: 'penstock-infrastructure',
  title: 'Infrastructure Monitoring',
  description: 'Processor, memory, event loop and disks of every process.',
  variables: [prometheus, role],
  rows: [
    [
      lines({
        title: 'Processor',
        help: 'Cores that the process keeps busy.',
        unit: 'short',
        min: 0,
        queries: [
          { expr: `rate(process_cpu_seconds_total${ofRole}[$__rate_interval])`, legend: '{{role}} {{instance}}' },
        ],
      }),
      lines({
        title: 'Memory',
        help: 'Resident: heap, buffers and code.',
        unit: 'bytes',
        min: 0,
        queries: [{ expr: `process_resident_memory_bytes${ofRole}`, legend: '{{role}} {{instance}}' }],
      }),
    ],
    [
      lines({
        title: 'Heap',
        help: 'What JavaScript uses of it.',
        unit: 'bytes',
        min: 0,
        queries: [{ expr: `nodejs_heap_size_used_bytes${ofRole}`, legend: '{{role}} {{instance}}' }],
      }),
      lines({
        title: 'Event loop',
        help: 'How long it is held up: one in a hundred times longer.',
        unit: 's',
        min: 0,
        queries: [{ expr: `nodejs_eventloop_lag_p99_seconds${ofRole}`, legend: '{{role}} {{instance}}' }],
      }),
    ],
    [
      lines({
        title: 'Garbage collection',
        help: 'The share of the time.',
        unit: 'percentunit',
        min: 0,
        queries: [
          {
            expr: `sum by (role, instance) (rate(nodejs_gc_duration_seconds_sum${ofRole}[$__rate_interval]))`,
            legend: '{{role}} {{instance}}',
          },
        ],
      }),
      lines({
        title: 'Open files',
        help: 'Of those that the process may open.',
        unit: 'percentunit',
        min: 0,
        queries: [{ expr: `process_open_fds${ofRole} / process_max_fds${ofRole}`, legend: '{{role}} {{instance}}' }],
      }),
    ],
    [
      lines({
        title: 'Disk of the logs',
        help: 'The share that is taken.',
        unit: 'percentunit',
        min: 0,
        max: 1,
        width: 8,
        queries: [{ expr: '1 - penstock_disk_free_bytes / penstock_disk_size_bytes', legend: '{{instance}}' }],
      }),
      lines({
        title: 'Written to logs',
        help: 'By broker.',
        unit: 'Bps',
        width: 8,
        queries: [{ expr: 'rate(penstock_disk_written_bytes_total[$__rate_interval])', legend: '{{instance}}' }],
      }),
      lines({
        title: 'Writes to the store',
        help: 'One in twenty takes longer.',
        unit: 's',
        width: 8,
        queries: [{ expr: quantile(0.95, 'penstock_collector_write_duration_seconds', 'topic'), legend: '{{topic}}' }],
      }),
    ],
  ],
}
