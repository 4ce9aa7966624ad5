/** Dashboards of the pipeline: services, and the message queue. */

import { errorsBy, prometheus, quantile, role } from './common.ts'
import { labelVariable, lines, number, type Sheet, table } from './kit.ts'

const topic = labelVariable('topic', 'Topic', 'message_queue_size', 'topic')
const broker = labelVariable('broker', 'Broker', 'broker_health_status', 'broker')

const produced = 'sum(rate(messages_produced_total{role="broker"}[$__rate_interval]))'
const settled = 'sum(rate(telemetry_data_points_total{role="collector"}[$__rate_interval]))'

export const services: Sheet = {
  uid: 'penstock-services',
  title: 'Telemetry Services Overview',
  description: 'Whether the pipeline is well: every role, from the source to the store.',
  variables: [prometheus, role],
  rows: [
    [
      number({
        title: 'Processes that answer',
        help: 'Of those that Prometheus asks.',
        unit: 'percentunit',
        queries: [{ expr: 'avg(up{job=~".*penstock.*"})', instant: true }],
      }),
      number({
        title: 'Brokers up',
        help: 'As the proxies see them.',
        unit: 'short',
        queries: [{ expr: 'sum(max by (broker) (broker_health_status))', instant: true }],
      }),
      number({
        title: 'Produced',
        help: 'Records that the brokers have acknowledged.',
        unit: 'rowsps',
        queries: [{ expr: produced }],
      }),
      number({
        title: 'Settled',
        help: 'Records that are stored, or with the dead letters.',
        unit: 'rowsps',
        queries: [{ expr: settled }],
      }),
      number({
        title: 'Waiting',
        help: 'Records that the slowest group of each topic has not acknowledged.',
        unit: 'short',
        queries: [{ expr: 'sum(message_queue_size{topic!~".*[.]dead"})', instant: true }],
      }),
      number({
        title: 'Dead letters',
        help: 'That nobody has sent again or put away.',
        unit: 'short',
        steps: [1, 1000],
        queries: [{ expr: 'sum(penstock_dead_letters)', instant: true }],
      }),
    ],
    [
      lines({
        title: 'From source to store',
        help: 'Apart for longer than a moment, something waits or is lost.',
        unit: 'rowsps',
        queries: [
          {
            expr: 'sum(rate(telemetry_data_points_total{role="streamer"}[$__rate_interval]))',
            legend: 'read by streamers',
          },
          { expr: produced, legend: 'taken by brokers' },
          { expr: settled, legend: 'settled by collectors' },
        ],
      }),
      lines({
        title: 'What became of records',
        help: 'By the ledger: a record that is delivered twice is counted once.',
        unit: 'rowsps',
        stacked: true,
        queries: [
          {
            expr: 'sum by (result) (rate(telemetry_data_points_total{role="collector"}[$__rate_interval]))',
            legend: '{{result}}',
          },
        ],
      }),
    ],
    [
      lines({
        title: 'Requests',
        help: 'By role.',
        unit: 'reqps',
        queries: [
          { expr: 'sum by (role) (rate(http_requests_total{role=~"$role"}[$__rate_interval]))', legend: '{{role}}' },
        ],
      }),
      lines({
        title: 'Failed requests',
        help: 'The share of answers of 500 and above.',
        unit: 'percentunit',
        min: 0,
        queries: [{ expr: errorsBy('role', 'role=~"$role"'), legend: '{{role}}' }],
      }),
    ],
    [
      lines({
        title: 'Time of requests',
        help: 'One in twenty takes longer. Of a stream, the time to its head.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.95, 'penstock_http_request_duration_seconds', 'role', '{role=~"$role"}'),
            legend: '{{role}}',
          },
        ],
      }),
      table({
        title: 'Versions',
        help: 'What runs, and since when.',
        unit: 'none',
        width: 12,
        columns: ['role', 'instance', 'version'],
        names: ['started'],
        units: ['dateTimeFromNow'],
        queries: [
          {
            expr: '1000 * max by (role, instance, version) (process_start_time_seconds{role=~"$role"} * on (instance, role) group_left (version) penstock_build_info)',
          },
        ],
      }),
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
      lines({
        title: 'Queue size',
        help: 'Records that the slowest group has not acknowledged, by topic and partition.',
        unit: 'short',
        queries: [
          {
            expr: 'sum by (topic, partition) (message_queue_size{topic=~"$topic"})',
            legend: '{{topic}} {{partition}}',
          },
        ],
      }),
      lines({
        title: 'Produced and consumed',
        help: 'Consumed counts what was sent to all groups, redeliveries included.',
        unit: 'rowsps',
        queries: [
          {
            expr: 'sum by (topic) (rate(messages_produced_total{role="broker", topic=~"$topic"}[$__rate_interval]))',
            legend: '{{topic}} produced',
          },
          {
            expr: 'sum by (topic) (rate(messages_consumed_total{role="broker", topic=~"$topic"}[$__rate_interval]))',
            legend: '{{topic}} consumed',
          },
        ],
      }),
    ],
    [
      lines({
        title: 'Lag',
        help: 'Records that the group has not acknowledged.',
        unit: 'short',
        queries: [
          {
            expr: 'sum by (topic, group) (penstock_group_lag_records{topic=~"$topic"})',
            legend: '{{group}} of {{topic}}',
          },
        ],
      }),
      lines({
        title: 'Oldest record that waits',
        help: 'How long it has.',
        unit: 's',
        queries: [
          {
            expr: 'max by (topic, group) (penstock_group_oldest_unacknowledged_seconds{topic=~"$topic"})',
            legend: '{{group}} of {{topic}}',
          },
        ],
      }),
    ],
    [
      table({
        title: 'Groups',
        help: 'Who reads what, and how far behind.',
        unit: 'short',
        width: 16,
        columns: ['topic', 'group'],
        names: ['lag', 'in flight', 'consumers', 'idle for'],
        units: ['short', 'short', 'short', 's'],
        queries: [
          { expr: 'sum by (topic, group) (penstock_group_lag_records{topic=~"$topic"})' },
          { expr: 'sum by (topic, group) (penstock_group_in_flight_records{topic=~"$topic"})' },
          { expr: 'sum by (topic, group) (penstock_group_consumers{topic=~"$topic"})' },
          { expr: 'min by (topic, group) (penstock_group_idle_seconds{topic=~"$topic"})' },
        ],
      }),
      number({
        title: 'Dead letters',
        help: 'By topic; `penstock dead list` shows them.',
        unit: 'short',
        width: 8,
        steps: [1, 1000],
        queries: [{ expr: 'sum by (topic) (penstock_dead_letters)', legend: '{{topic}}', instant: true }],
      }),
    ],
    [
      lines({
        title: 'From arrival to store',
        help: 'Of a batch, from its first record to the durable write.',
        unit: 's',
        queries: [
          { expr: quantile(0.5, 'message_processing_duration_seconds', 'topic'), legend: '{{topic}} half' },
          { expr: quantile(0.95, 'message_processing_duration_seconds', 'topic'), legend: '{{topic}} one in twenty' },
        ],
      }),
      lines({
        title: 'Produce, at the proxy',
        help: 'From the request to the acknowledgement of the broker.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.5, 'penstock_http_request_duration_seconds', 'role', '{role="proxy", route="/produce"}'),
            legend: 'half',
          },
          {
            expr: quantile(0.99, 'penstock_http_request_duration_seconds', 'role', '{role="proxy", route="/produce"}'),
            legend: 'one in a hundred',
          },
        ],
      }),
    ],
    [
      lines({
        title: 'Brokers',
        help: 'Up (1) or not (0), as the proxies see them.',
        unit: 'short',
        min: 0,
        max: 1,
        width: 8,
        queries: [{ expr: 'max by (broker) (broker_health_status{broker=~"$broker"})', legend: 'broker {{broker}}' }],
      }),
      lines({
        title: 'Requests to brokers',
        help: 'By the class of the answer; none: no connection, or no answer.',
        unit: 'reqps',
        width: 8,
        queries: [
          {
            expr: 'sum by (broker, answer) (rate(penstock_broker_requests_total{broker=~"$broker"}[$__rate_interval]))',
            legend: 'broker {{broker}}: {{answer}}',
          },
        ],
      }),
      lines({
        title: 'Time of a sync',
        help: 'One in a hundred takes longer. A produce of a topic of durability fsync waits for it.',
        unit: 's',
        width: 8,
        queries: [{ expr: quantile(0.99, 'penstock_disk_sync_duration_seconds', 'instance'), legend: '{{instance}}' }],
      }),
    ],
    [
      lines({
        title: 'Kept',
        help: 'What the logs of a topic take.',
        unit: 'bytes',
        stacked: true,
        queries: [{ expr: 'sum by (topic) (penstock_log_bytes{topic=~"$topic"})', legend: '{{topic}}' }],
      }),
      lines({
        title: 'Free for logs',
        help: 'Below the floor the broker takes no more records.',
        unit: 'bytes',
        min: 0,
        queries: [
          { expr: 'penstock_disk_free_bytes', legend: '{{instance}} free' },
          { expr: 'penstock_disk_floor_bytes', legend: '{{instance}} floor' },
        ],
      }),
    ],
  ],
}
