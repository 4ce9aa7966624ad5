/**
 * Group commit: what is pushed while a write is under way forms the next one.
 *
 * One write, and one sync, is in flight at a time. An entry is committed only with all entries before it, in order. When
 * a write fails, everything that was not committed fails with it, so that nothing is left half-written or out of order.
 */

import { writeFully, type DiskFile } from '../disk/disk.ts'

/** Views one write takes: `writev` takes 1,024 (`IOV_MAX`) in one call of the system. */
const viewsMax = 1024

/**
 * When an entry is committed: after `fdatasync`, or after the write alone. A `lazy` queue writes only when it is told to
 * ({@link CommitQueue.flush}); what it cannot write it keeps.
 */
export type CommitMode = 'sync' | 'write' | 'lazy'

/** What a queue writes to and tells. All calls come in order, never two at once. */
export interface CommitTarget<Entry> {
  /** The file for the next write, and where its end is; may roll to a new file first. */
  place(entries: readonly Entry[]): Promise<{ readonly file: DiskFile; readonly position: number }>
  /** The entries are as durable as asked; `end` is the new end of the file. */
  committed(entries: readonly Entry[], end: number): void
  /**
   * None of the entries is in the file. But for a lazy queue, which keeps them, nothing pushed before now is waiting any
   * more.
   */
  failed(entries: readonly Entry[], error: Error): void
  /** The file may hold bytes that cannot be trusted: nothing may be written any more. */
  broken(error: Error): void
}

/**
 * A sync that failed. It is never tried again: the kernel has marked the pages that failed clean, a second sync would say
 * yes and mean nothing.
 */
export class SyncFailed extends Error {
  override readonly name = 'SyncFailed'
}

/** Makes what was written durable; rejects with {@link SyncFailed}. */
export async function syncOnce(file: DiskFile): Promise<void> {
  try {
    await file.sync()
  } catch (error) {
    throw new SyncFailed((error as Error).message, { cause: error })
  }
}

export class CommitQueue<Entry> {
  readonly #target: CommitTarget<Entry>
  readonly #mode: CommitMode
  readonly #turn: () => Promise<void>
  #views: Uint8Array[] = []
  #entries: Entry[] = []
  #running = false
  #run = Promise.resolve()
  #broken: Error | undefined

  /** @param turn resolves when those that push in this turn have pushed; default: behind the microtasks that wait now */
  constructor(target: CommitTarget<Entry>, mode: CommitMode, turn: () => Promise<void> = () => Promise.resolve()) {
    this.#target = target
    this.#mode = mode
    this.#turn = turn
  }

  /** Why nothing can be written any more, once that is so. */
  get broken(): Error | undefined {
    return this.#broken
  }

  /** Queues one entry of some bytes, which must stay unchanged until it is told of. */
  push(view: Uint8Array, entry: Entry): void {
    this.#views.push(view)
    this.#entries.push(entry)
    if (this.#mode !== 'lazy') this.flush()
  }

  /** How many entries wait for a write. */
  get waiting(): number {
    return this.#entries.length
  }

  /** The entry that has waited longest. */
  get oldest(): Entry | undefined {
    return this.#entries[0]
  }

  /** Begins to write what is queued, unless that is under way. */
  flush(): void {
    if (this.#running || this.#views.length === 0) return
    this.#running = true
    this.#run = this.#drain()
  }

  /** Runs something on the files while no write is under way. Rejects with its error; a failed sync ends all writing. */
  async between(action: () => Promise<void>): Promise<void> {
    // Not by idle(): between its end and this line a push could begin the next write.
    while (this.#running) await this.#run
    this.#running = true
    const run = this.#guarded(action)
    this.#run = run
      .finally(() => {
        this.#running = false
        if (this.#mode !== 'lazy') this.flush()
      })
      .catch(() => {})
    await run
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running) await this.#run
  }

  async #drain(): Promise<void> {
    // Later, so that all appends of one turn of the event loop make one write: by microtasks alone the first goes by itself, for
    // each request has its own (decision 180).
    await this.#turn()
    while (this.#views.length > 0) {
      const views = this.#views
      const entries = this.#entries
      // Arrays that are emptied keep their room, and of ten thousand queues most are idle.
      this.#views = views.splice(viewsMax)
      this.#entries = entries.splice(viewsMax)
      if (await this.#write(views, entries)) continue
      if (this.#mode !== 'lazy') continue
      this.#views = [...views, ...this.#views]
      this.#entries = [...entries, ...this.#entries]
      break
    }
    // In the turn that saw the queue empty: a push after it starts anew.
    this.#running = false
  }

  /** @returns whether the entries are committed */
  async #write(views: readonly Uint8Array[], entries: readonly Entry[]): Promise<boolean> {
    let place: { readonly file: DiskFile; readonly position: number } | undefined
    try {
      if (this.#broken !== undefined) throw this.#broken
      place = await this.#target.place(entries)
      await writeFully(place.file, views, place.position)
      if (this.#mode === 'sync') await syncOnce(place.file)
    } catch (error) {
      // What failed to be synced stays where it is: the next start reads it again, and writes it anew.
      if (error instanceof SyncFailed) this.#break(error)
      else await this.#rewind(place, error as Error)
      this.#fail(entries, error as Error)
      return false
    }
    let bytes = 0
    for (const view of views) bytes += view.length
    this.#target.committed(entries, place.position + bytes)
    return true
  }

  async #guarded(action: () => Promise<void>): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    try {
      await action()
    } catch (error) {
      if (error instanceof SyncFailed) this.#break(error)
      throw error
    }
  }

  /** Cuts off what a failed write may have left. */
  async #rewind(
    place: { readonly file: DiskFile; readonly position: number } | undefined,
    cause: Error,
  ): Promise<void> {
    if (place === undefined) return
    try {
      await place.file.truncate(place.position)
      // Without a sync a power loss may bring back what was cut off, at offsets that other records have by then.
      if (this.#mode === 'write') await place.file.sync()
    } catch {
      this.#break(cause)
    }
  }

  #break(error: Error): void {
    this.#broken = error
    this.#target.broken(error)
  }

  #fail(entries: readonly Entry[], error: Error): void {
    if (this.#mode === 'lazy') {
      this.#target.failed(entries, error)
      return
    }
    const all = [...entries, ...this.#entries]
    this.#views = []
    this.#entries = []
    this.#target.failed(all, error)
  }
}
