/** The dashboard of transfers between sites. */

import { influxdb, prometheus, quantile } from './common.ts'
import { labelVariable, lines, number, type Sheet, table } from './kit.ts'

const ofSites = '{site=~"$site"}'

export const transfers: Sheet = {
  uid: 'penstock-transfers',
  title: 'Transfers',
  description: 'Transfers by site: how many, how much, how fast, what failed, how fresh.',
  variables: [prometheus, influxdb, labelVariable('site', 'Site', 'penstock_transfers_total', 'site')],
  rows: [
    [
      number({
        title: 'Transfers',
        help: 'In the range that is looked at.',
        unit: 'short',
        width: 6,
        queries: [{ expr: `sum(increase(penstock_transfers_total${ofSites}[$__range]))`, instant: true }],
      }),
      number({
        title: 'Failed',
        help: 'The share of them.',
        unit: 'percentunit',
        width: 6,
        steps: [0.05, 0.1],
        queries: [
          {
            expr: 'sum(increase(penstock_transfers_total{site=~"$site", result="failed"}[$__range])) / sum(increase(penstock_transfers_total{site=~"$site"}[$__range]))',
            instant: true,
          },
        ],
      }),
      number({
        title: 'Moved',
        help: 'In the range that is looked at.',
        unit: 'bytes',
        width: 6,
        queries: [{ expr: `sum(increase(penstock_transfer_bytes_total${ofSites}[$__range]))`, instant: true }],
      }),
      number({
        title: 'Quietest site',
        help: 'How long its newest transfer is ago (dtms_data_fresh_seconds).',
        unit: 's',
        width: 6,
        steps: [1800, 3600],
        queries: [{ expr: `max(dtms_data_fresh_seconds${ofSites})`, instant: true }],
      }),
    ],
    [
      lines({
        title: 'Transfers',
        help: 'By site and what became of them.',
        unit: 'ops',
        queries: [
          {
            expr: `sum by (site, result) (rate(penstock_transfers_total${ofSites}[$__rate_interval]))`,
            legend: '{{site}} {{result}}',
          },
        ],
      }),
      lines({
        title: 'Moved',
        help: 'By site.',
        unit: 'Bps',
        queries: [
          {
            expr: `sum by (site) (rate(penstock_transfer_bytes_total${ofSites}[$__rate_interval]))`,
            legend: '{{site}}',
          },
        ],
      }),
    ],
    [
      lines({
        title: 'How long they take',
        help: 'Half of them, and one in twenty, take longer.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.5, 'penstock_transfer_duration_seconds', 'site', ofSites),
            legend: '{{site}} half',
          },
          {
            expr: quantile(0.95, 'penstock_transfer_duration_seconds', 'site', ofSites),
            legend: '{{site}} one in twenty',
          },
        ],
      }),
      lines({
        title: 'Freshness',
        help: 'How long the newest transfer of a site is ago; over an hour the site is stale.',
        unit: 's',
        queries: [{ expr: `dtms_data_fresh_seconds${ofSites}`, legend: '{{site}}' }],
      }),
    ],
    [
      lines({
        title: 'Moved, from the store',
        help: 'Every transfer once, however often it was delivered.',
        unit: 'bytes',
        source: 'influxdb',
        queries: [
          {
            expr: 'SELECT sum("bytes") FROM "transfers" WHERE "site" =~ /^$site$/ AND $timeFilter GROUP BY time($__interval), "site" fill(none)',
            legend: '$tag_site',
          },
        ],
      }),
      table({
        title: 'Last transfers',
        help: 'From the store.',
        unit: 'none',
        source: 'influxdb',
        width: 12,
        columns: ['Time', 'site', 'status', 'bytes', 'duration_s', 'source', 'destination', 'error'],
        names: [],
        units: [],
        queries: [
          {
            expr: 'SELECT "site", "status", "bytes", "duration_s", "source", "destination", "error" FROM "transfers" WHERE "site" =~ /^$site$/ AND $timeFilter ORDER BY time DESC LIMIT 50',
          },
        ],
      }),
    ],
  ],
}
