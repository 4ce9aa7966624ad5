/** The settings of a store: where it is, for all who open one, and what it takes, for who writes. */

import { setting, type Settings } from '#lib/settings'

/** What picks the engine and says where it is. */
export const storePlace = {
  store: setting.choice('STORE', {
    values: ['auto', 'embedded', 'influx1', 'influx2', 'influx3'],
    help: 'where records are kept; auto: the InfluxDB of INFLUXDB_URL (its version is asked), or embedded without one',
    default: 'auto',
  }),
  influxdbUrl: setting.url('INFLUXDB_URL', { help: 'the InfluxDB to write to' }),
  influxdbToken: setting.text('INFLUXDB_TOKEN', { help: 'its token; for InfluxDB 1.x user:password', secret: true }),
  influxdbOrg: setting.text('INFLUXDB_ORG', { help: 'the organisation (InfluxDB 2)' }),
  influxdbBucket: setting.text('INFLUXDB_BUCKET', {
    help: 'the bucket; the database of InfluxDB 1.x and 3',
    default: 'telemetry',
  }),
}

export const storeSettings = {
  ...storePlace,
  retentionMs: setting.duration('RETENTION', {
    help: 'older records are not taken, and the embedded store removes them; 0: everything is kept',
    default: '0',
    min: '0',
    max: '36500d',
  }),
  seriesMax: setting.integer('SERIES_MAX', {
    help: 'series that the store takes; records of further ones go to the dead letters',
    default: '1000000',
    min: 1,
    max: 100_000_000,
  }),
}

/** Those of a role; in tests and tools what is left out has its default. */
export type StoreSettings = { readonly dataDir: string } & Partial<Settings<typeof storeSettings>>

/** Whether records are kept in a file of this machine. */
export function isEmbedded({ store = 'auto', influxdbUrl }: StoreSettings): boolean {
  return store === 'embedded' || (store === 'auto' && influxdbUrl === undefined)
}
