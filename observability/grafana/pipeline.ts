/** Dashboards of the pipeline: services, the message queue, the API, the machines under them. */

import { datasourceVariable, labelVariable, lines, number, type Sheet, table } from './kit.ts'

const prometheus = datasourceVariable('prometheus', 'Prometheus')
const role = labelVariable('role', 'Role', 'penstock_build_info', 'role')
const topic = labelVariable('topic', 'Topic', 'message_queue_size', 'topic')
const broker = labelVariable('broker', 'Broker', 'broker_health_status', 'broker')

const produced = 'sum(rate(messages_produced_total{role="broker"}[$__rate_interval]))'
const settled = 'sum(rate(telemetry_data_points_total{role="collector"}[$__rate_interval]))'
/** The share of requests that fail; 0 where none does. */
const errorsBy = (by: string, of: string): string =>
  `(sum by (${by}) (rate(http_requests_total{${of}, status=~"5.."}[$__rate_interval])) or 0 * sum by (${by}) (rate(http_requests_total{${of}}[$__rate_interval]))) / sum by (${by}) (rate(http_requests_total{${of}}[$__rate_interval]))`
const quantile = (q: number, name: string, by: string, of = ''): string =>
  `histogram_quantile(${q}, sum by (${by}, le) (rate(${name}_bucket${of}[$__rate_interval])))`

export const services: Sheet = {
  uid: 'penstock-services',
  title: 'Telemetry Services Overview',
  description: 'Whether the pipeline is well: every role, from the source to the store.',
  variables: [prometheus, role],
  rows: [
    [
      number({ title: 'Processes that answer', help: 'Of those that Prometheus asks.', unit: 'percentunit', queries: [{ expr: 'avg(up{job=~".*penstock.*"})', instant: true }] }),
      number({ title: 'Brokers up', help: 'As the proxies see them.', unit: 'short', queries: [{ expr: 'sum(max by (broker) (broker_health_status))', instant: true }] }),
      number({ title: 'Produced', help: 'Records that the brokers have acknowledged.', unit: 'rowsps', queries: [{ expr: produced }] }),
      number({ title: 'Settled', help: 'Records that are stored, or with the dead letters.', unit: 'rowsps', queries: [{ expr: settled }] }),
      number({ title: 'Waiting', help: 'Records that the slowest group of each topic has not acknowledged.', unit: 'short', queries: [{ expr: 'sum(message_queue_size{topic!~".*[.]dead"})', instant: true }] }),
      number({ title: 'Dead letters', help: 'That nobody has sent again or put away.', unit: 'short', steps: [1, 1000], queries: [{ expr: 'sum(penstock_dead_letters)', instant: true }] }),
    ],
    [
      lines({ title: 'From source to store', help: 'Apart for longer than a moment, something waits or is lost.', unit: 'rowsps', queries: [
        { expr: 'sum(rate(telemetry_data_points_total{role="streamer"}[$__rate_interval]))', legend: 'read by streamers' },
        { expr: produced, legend: 'taken by brokers' },
        { expr: settled, legend: 'settled by collectors' },
      ] }),
      lines({ title: 'What became of records', help: 'By the ledger: a record that is delivered twice is counted once.', unit: 'rowsps', stacked: true, queries: [
        { expr: 'sum by (result) (rate(telemetry_data_points_total{role="collector"}[$__rate_interval]))', legend: '{{result}}' },
      ] }),
    ],
    [
      lines({ title: 'Requests', help: 'By role.', unit: 'reqps', queries: [{ expr: 'sum by (role) (rate(http_requests_total{role=~"$role"}[$__rate_interval]))', legend: '{{role}}' }] }),
      lines({ title: 'Failed requests', help: 'The share of answers of 500 and above.', unit: 'percentunit', min: 0, queries: [{ expr: errorsBy('role', 'role=~"$role"'), legend: '{{role}}' }] }),
    ],
    [
      lines({ title: 'Time of requests', help: 'One in twenty takes longer. Of a stream, the time to its head.', unit: 's', queries: [
        { expr: quantile(0.95, 'penstock_http_request_duration_seconds', 'role', '{role=~"$role"}'), legend: '{{role}}' },
      ] }),
      table({ title: 'Versions', help: 'What runs, and since when.', unit: 'none', width: 12, columns: ['role', 'instance', 'version'], names: ['started'], units: ['dateTimeFromNow'], queries: [
        { expr: '1000 * max by (role, instance, version) (process_start_time_seconds{role=~"$role"} * on (instance, role) group_left (version) penstock_build_info)' },
      ] }),
    ],
  ],
}

export const queue: Sheet = {
  uid: 'penstock-queue',
  title: 'Message Queue Performance',
  description: 'Topics, groups, brokers and their disks.',
  variables: [prometheus, topic, broker],
  rows: [
    [
      lines({ title: 'Queue size', help: 'Records that the slowest group has not acknowledged, by topic and partition.', unit: 'short', queries: [
        { expr: 'sum by (topic, partition) (message_queue_size{topic=~"$topic"})', legend: '{{topic}} {{partition}}' },
      ] }),
      lines({ title: 'Produced and consumed', help: 'Consumed counts what was sent to all groups, redeliveries included.', unit: 'rowsps', queries: [
        { expr: 'sum by (topic) (rate(messages_produced_total{role="broker", topic=~"$topic"}[$__rate_interval]))', legend: '{{topic}} produced' },
        { expr: 'sum by (topic) (rate(messages_consumed_total{role="broker", topic=~"$topic"}[$__rate_interval]))', legend: '{{topic}} consumed' },
      ] }),
    ],
    [
      lines({ title: 'Lag', help: 'Records that the group has not acknowledged.', unit: 'short', queries: [{ expr: 'sum by (topic, group) (penstock_group_lag_records{topic=~"$topic"})', legend: '{{group}} of {{topic}}' }] }),
      lines({ title: 'Oldest record that waits', help: 'How long it has.', unit: 's', queries: [
        { expr: 'max by (topic, group) (penstock_group_oldest_unacknowledged_seconds{topic=~"$topic"})', legend: '{{group}} of {{topic}}' },
      ] }),
    ],
    [
      table({ title: 'Groups', help: 'Who reads what, and how far behind.', unit: 'short', width: 16, columns: ['topic', 'group'], names: ['lag', 'in flight', 'consumers', 'idle for'], units: ['short', 'short', 'short', 's'], queries: [
        { expr: 'sum by (topic, group) (penstock_group_lag_records{topic=~"$topic"})' },
        { expr: 'sum by (topic, group) (penstock_group_in_flight_records{topic=~"$topic"})' },
        { expr: 'sum by (topic, group) (penstock_group_consumers{topic=~"$topic"})' },
        { expr: 'min by (topic, group) (penstock_group_idle_seconds{topic=~"$topic"})' },
      ] }),
      number({ title: 'Dead letters', help: 'By topic; `penstock dead list` shows them.', unit: 'short', width: 8, steps: [1, 1000], queries: [{ expr: 'sum by (topic) (penstock_dead_letters)', legend: '{{topic}}', instant: true }] }),
    ],
    [
      lines({ title: 'From arrival to store', help: 'Of a batch, from its first record to the durable write.', unit: 's', queries: [
        { expr: quantile(0.5, 'message_processing_duration_seconds', 'topic'), legend: '{{topic}} half' },
        { expr: quantile(0.95, 'message_processing_duration_seconds', 'topic'), legend: '{{topic}} one in twenty' },
      ] }),
      lines({ title: 'Produce, at the proxy', help: 'From the request to the acknowledgement of the broker.', unit: 's', queries: [
        { expr: quantile(0.5, 'penstock_http_request_duration_seconds', 'role', '{role="proxy", route="/produce"}'), legend: 'half' },
        { expr: quantile(0.99, 'penstock_http_request_duration_seconds', 'role', '{role="proxy", route="/produce"}'), legend: 'one in a hundred' },
      ] }),
    ],
    [
      lines({ title: 'Brokers', help: 'Up (1) or not (0), as the proxies see them.', unit: 'short', min: 0, max: 1, width: 8, queries: [{ expr: 'max by (broker) (broker_health_status{broker=~"$broker"})', legend: 'broker {{broker}}' }] }),
      lines({ title: 'Requests to brokers', help: 'By the class of the answer; none: no connection, or no answer.', unit: 'reqps', width: 8, queries: [
        { expr: 'sum by (broker, answer) (rate(penstock_broker_requests_total{broker=~"$broker"}[$__rate_interval]))', legend: 'broker {{broker}}: {{answer}}' },
      ] }),
      lines({ title: 'Time of a sync', help: 'One in a hundred takes longer. A produce of a topic of durability fsync waits for it.', unit: 's', width: 8, queries: [
        { expr: quantile(0.99, 'penstock_disk_sync_duration_seconds', 'instance'), legend: '{{instance}}' },
      ] }),
    ],
    [
      lines({ title: 'Kept', help: 'What the logs of a topic take.', unit: 'bytes', stacked: true, queries: [{ expr: 'sum by (topic) (penstock_log_bytes{topic=~"$topic"})', legend: '{{topic}}' }] }),
      lines({ title: 'Free for logs', help: 'Below the floor the broker takes no more records.', unit: 'bytes', min: 0, queries: [
        { expr: 'penstock_disk_free_bytes', legend: '{{instance}} free' },
        { expr: 'penstock_disk_floor_bytes', legend: '{{instance}} floor' },
      ] }),
    ],
  ],
}

export const api: Sheet = {
  uid: 'penstock-api',
  title: 'API Service Metrics',
  description: 'Request rates, response times and errors, by route.',
  variables: [prometheus, labelVariable('route', 'Route', 'http_requests_total{role="api"}', 'route')],
  rows: [
    [
      number({ title: 'Requests', help: 'Answered in a second.', unit: 'reqps', width: 6, queries: [{ expr: 'sum(rate(http_requests_total{role="api"}[$__rate_interval]))' }] }),
      number({ title: 'Failed', help: 'Answers of 500 and above.', unit: 'percentunit', width: 6, steps: [0.01, 0.05], queries: [{ expr: errorsBy('role', 'role="api"') }] }),
      number({ title: 'One in twenty takes', help: 'Or longer.', unit: 's', width: 6, steps: [1, 2], queries: [{ expr: quantile(0.95, 'penstock_http_request_duration_seconds', 'role', '{role="api"}') }] }),
      number({ title: 'Live readers', help: 'Of the live stream.', unit: 'short', width: 6, queries: [{ expr: 'sum(penstock_api_stream_readers)', instant: true }] }),
    ],
    [
      lines({ title: 'Requests by route', help: 'Patterns, never URLs.', unit: 'reqps', queries: [{ expr: 'sum by (method, route) (rate(http_requests_total{role="api", route=~"$route"}[$__rate_interval]))', legend: '{{method}} {{route}}' }] }),
      lines({ title: 'Answers by status', help: '401 and 403 are keys, 429 is the rate limit.', unit: 'reqps', stacked: true, queries: [{ expr: 'sum by (status) (rate(http_requests_total{role="api", route=~"$route"}[$__rate_interval]))', legend: '{{status}}' }] }),
    ],
    [
      lines({ title: 'Time by route', help: 'One in twenty takes longer.', unit: 's', queries: [{ expr: quantile(0.95, 'penstock_http_request_duration_seconds', 'route', '{role="api", route=~"$route"}'), legend: '{{route}}' }] }),
      lines({ title: 'Failed by route', help: 'The share of answers of 500 and above.', unit: 'percentunit', min: 0, queries: [{ expr: errorsBy('route', 'role="api", route=~"$route"'), legend: '{{route}}' }] }),
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
      lines({ title: 'Processor', help: 'Cores that the process keeps busy.', unit: 'short', min: 0, queries: [{ expr: `rate(process_cpu_seconds_total${ofRole}[$__rate_interval])`, legend: '{{role}} {{instance}}' }] }),
      lines({ title: 'Memory', help: 'Resident: heap, buffers and code.', unit: 'bytes', min: 0, queries: [{ expr: `process_resident_memory_bytes${ofRole}`, legend: '{{role}} {{instance}}' }] }),
    ],
    [
      lines({ title: 'Heap', help: 'What JavaScript uses of it.', unit: 'bytes', min: 0, queries: [{ expr: `nodejs_heap_size_used_bytes${ofRole}`, legend: '{{role}} {{instance}}' }] }),
      lines({ title: 'Event loop', help: 'How long it is held up: one in a hundred times longer.', unit: 's', min: 0, queries: [{ expr: `nodejs_eventloop_lag_p99_seconds${ofRole}`, legend: '{{role}} {{instance}}' }] }),
    ],
    [
      lines({ title: 'Garbage collection', help: 'The share of the time.', unit: 'percentunit', min: 0, queries: [{ expr: `sum by (role, instance) (rate(nodejs_gc_duration_seconds_sum${ofRole}[$__rate_interval]))`, legend: '{{role}} {{instance}}' }] }),
      lines({ title: 'Open files', help: 'Of those that the process may open.', unit: 'percentunit', min: 0, queries: [{ expr: `process_open_fds${ofRole} / process_max_fds${ofRole}`, legend: '{{role}} {{instance}}' }] }),
    ],
    [
      lines({ title: 'Disk of the logs', help: 'The share that is taken.', unit: 'percentunit', min: 0, max: 1, width: 8, queries: [{ expr: '1 - penstock_disk_free_bytes / penstock_disk_size_bytes', legend: '{{instance}}' }] }),
      lines({ title: 'Written to logs', help: 'By broker.', unit: 'Bps', width: 8, queries: [{ expr: 'rate(penstock_disk_written_bytes_total[$__rate_interval])', legend: '{{instance}}' }] }),
      lines({ title: 'Writes to the store', help: 'One in twenty takes longer.', unit: 's', width: 8, queries: [{ expr: quantile(0.95, 'penstock_collector_write_duration_seconds', 'topic'), legend: '{{topic}}' }] }),
    ],
  ],
}
