/** The store as a reader in another process than its writer sees it: it may not be there yet, and it may be replaced. */

import { statSync } from 'node:fs'
import { StoreError } from '#store/errors'
import { embeddedPath, openStore } from '#store/open'
import { isEmbedded, type StoreSettings } from '#store/settings'
import type { Store } from '#store/store'
import type { Bounds } from '../keys/bounds.ts'
import { boundedStore, type StoreView } from './bounded.ts'

/** Asks the store for a key. */
export interface BoundReader {
  /** As {@link StoreReader.ask}. */
  ask<T>(question: (store: StoreView) => Promise<T>, empty: T): Promise<T>
}

export class StoreReader {
  readonly #settings: StoreSettings
  #store: Store | undefined
  /** Which file `#store` has open. */
  #inode: bigint | undefined
  #problem: string | null = null

  constructor(settings: StoreSettings) {
    this.#settings = settings
  }

  /** Why the store could not be read when it was last asked, in one line; null: it could, or there is none yet. */
  get problem(): string | null {
    return this.#problem
  }

  /**
   * Asks the store, or answers `empty` where there is none: nothing was collected yet.
   *
   * @throws StoreError
   */
  async ask<T>(question: (store: Store) => Promise<T>, empty: T): Promise<T> {
    try {
      const store = await this.#open()
      const answer = store === undefined ? empty : await question(store)
      this.#problem = null
      return answer
    } catch (error) {
      if (isEmptyFile(error)) return empty
      this.#problem = error instanceof Error ? error.message : String(error)
      throw error
    }
  }

  /** The store as a key may see it. */
  within(bounds: Bounds): BoundReader {
    return { ask: (question, empty) => this.ask((store) => question(boundedStore(store, bounds)), empty) }
  }

  async close(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    await store?.close()
  }

  async #open(): Promise<Store | undefined> {
    // A database of its own is no file that could be another tomorrow.
    if (!isEmbedded(this.#settings)) return (this.#store ??= await openStore(this.#settings, { readOnly: true }))
    const inode = statSync(embeddedPath(this.#settings.dataDir), { bigint: true, throwIfNoEntry: false })?.ino
    // Somebody moved the data folder away and began anew: the open file is the old one.
    if (this.#store !== undefined && inode !== this.#inode) await this.close()
    if (inode === undefined) return undefined
    if (this.#store === undefined) {
      this.#store = await openStore(this.#settings, { readOnly: true })
      this.#inode = inode
    }
    return this.#store
  }
}

/** The collector has made the file and not yet its tables. */
function isEmptyFile(error: unknown): boolean {
  if (!(error instanceof StoreError)) return false
  return error.code === 'missing' || (error.code === 'internal' && error.message.includes('no such table'))
}
