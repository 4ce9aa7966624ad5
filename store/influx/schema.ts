/**
 * What stands where. Points and transfers are in the database that the settings name, under whatever retention its operator
 * gave it; what must outlive that (the ledger, the inventory) is in a second one.
 */

import { seriesLabels } from '#telemetry/identity'

/** The measurements of points, by the kind of record. */
export const measurements = ['gpu', 'metric'] as const

/** Databases of InfluxDB 1 and 3, buckets of InfluxDB 2. */
export interface Databases {
  readonly data: string
  readonly state: string
}

export function databasesOf(name: string): Databases {
  return { data: name, state: `${name}_state` }
}

/** The tags of each measurement, for a server that wants them told when a table is made. */
export const dataTables: Readonly<Record<string, readonly string[]>> = {
  gpu: ['uuid', 'gpu_i_id', 'metric', ...seriesLabels],
  metric: ['metric', 'tags'],
  transfers: ['site', 'status', 'id'],
}

export const stateTables: typeof dataTables = {
  ledger: ['topic', 'log_id'],
  gpus: ['uuid', 'gpu_i_id'],
  occupants: ['uuid', 'gpu_i_id'],
  texts: ['hash'],
}
