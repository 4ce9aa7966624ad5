import { join } from 'node:path'
import { EmbeddedStore } from './embedded/engine.ts'
import { InfluxStore } from './influx/engine.ts'
import { type StoreSettings, storeSettings } from './settings.ts'
import type { Store } from './store.ts'
import { systemClock } from '#lib/clock'
import { readSettings, SettingsError } from '#lib/settings'

/** Where the embedded engine keeps its file. */
export function embeddedPath(dataDir: string): string {
  return join(dataDir, 'store', 'penstock.db')
}

const versions = { influx1: 1, influx2: 2, influx3: 3 } as const

/**
 * Opens the store that the settings name: the InfluxDB of `INFLUXDB_URL`, or else the embedded engine, made when it is not
 * there. An InfluxDB that is away is no error here: each call says so, until it is there.
 *
 * @param options.readOnly for a second process: it may read while a collector writes
 * @throws StoreError; SettingsError for an engine that lacks its address
 */
export async function openStore(
  settings: StoreSettings,
  options: { readonly readOnly?: boolean } = {},
): Promise<Store> {
  const { store, influxdbUrl: url, influxdbBucket: bucket, retentionMs, seriesMax } = { ...defaults, ...settings }
  if (store === 'embedded' || (store === 'auto' && url === undefined))
    return EmbeddedStore.open(embeddedPath(settings.dataDir), { ...options, retentionMs, seriesMax })
  if (url === undefined) throw new SettingsError([`STORE=${store}: set INFLUXDB_URL to the address of the InfluxDB`])
  return new InfluxStore({
    url,
    token: settings.influxdbToken,
    org: settings.influxdbOrg,
    bucket,
    version: store === 'auto' ? undefined : versions[store],
    readOnly: options.readOnly,
    retentionMs,
    seriesMax,
    nowMs: () => systemClock.wallMs(),
  })
}

const defaults = readSettings(storeSettings, { env: {} })
