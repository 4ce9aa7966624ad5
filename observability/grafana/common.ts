/** What several dashboards share: the choice of a database, of a role, and how a share and a quantile are asked for. */

import { datasourceVariable, labelVariable } from './kit.ts'

export const prometheus = datasourceVariable('prometheus', 'Prometheus')
export const influxdb = datasourceVariable('influxdb', 'InfluxDB')
export const role = labelVariable('role', 'Role', 'penstock_build_info', 'role')

/** The share of requests that fail; 0 where none does. */
export function errorsBy(by: string, of: string): string {
  const requests = (more: string) => `sum by (${by}) (rate(http_requests_total{${of}${more}}[$__rate_interval]))`
  return `(${requests(', status=~"5.."')} or 0 * ${requests('')}) / ${requests('')}`
}

/** @param of the labels in braces; left out: all */
export function quantile(q: number, histogram: string, by: string, of = ''): string {
  return `histogram_quantile(${q}, sum by (${by}, le) (rate(${histogram}_bucket${of}[$__rate_interval])))`
}
