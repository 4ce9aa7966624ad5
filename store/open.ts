import { join } from 'node:path'
import { EmbeddedStore } from './embedded/engine.ts'
import type { StoreSettings } from './settings.ts'
import type { Store } from './store.ts'

/** Where the embedded engine keeps its file. */
export function embeddedPath(dataDir: string): string {
  return join(dataDir, 'store', 'penstock.db')
}

/**
 * Opens the store that the settings name: the embedded engine, made when it is not there.
 *
 * @param options.readOnly for a second process: it may read while a collector writes
 * @throws StoreError
 */
export function openStore(settings: StoreSettings, options: { readonly readOnly?: boolean } = {}): Promise<Store> {
  const { dataDir, retentionMs = 0, seriesMax = Infinity } = settings
  return EmbeddedStore.open(embeddedPath(dataDir), { ...options, retentionMs, seriesMax })
}
