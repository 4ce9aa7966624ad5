/**
 * Group commit: what is pushed while a write is under way forms the next one.
 *
 * One write, and one sync, is in flight at a time. An entry is committed only with all entries before it, in order. When
 * a write fails, everything that was not committed fails with it, so that nothing is left half-written or out of order.
 */

import { writeFully, type DiskFile } from '../disk/disk.ts'

/** Views one write takes: `writev` takes 1,024 (`IOV_MAX`) in one call of the system. */
const viewsMax = 1024

/** What a queue writes to and tells. All calls come in order, never two at once. */
export interface CommitTarget<Entry> {
  /** The file for the next write, and where its end is; may roll to a new file first. */
  place(): Promise<{ readonly file: DiskFile; readonly position: number }>
  /** The entries are as durable as asked; `end` is the new end of the file. */
  committed(entries: readonly Entry[], end: number): void
  /** None of the entries is in the file, and nothing pushed before now is waiting any more. */
  failed(entries: readonly Entry[], error: Error): void
  /** The file may hold bytes that cannot be trusted: nothing may be written any more. */
  broken(error: Error): void
}

export class CommitQueue<Entry> {
  readonly #target: CommitTarget<Entry>
  readonly #sync: boolean
  #views: Uint8Array[] = []
  #entries: Entry[] = []
  #running = false
  #run = Promise.resolve()
  #broken: Error | undefined

  /** @param sync whether an entry is committed by `fdatasync` (durability `fsync`) or by the write alone (`disk`) */
  constructor(target: CommitTarget<Entry>, sync: boolean) {
    this.#target = target
    this.#sync = sync
  }

  /** Why nothing can be written any more, once that is so. */
  get broken(): Error | undefined {
    return this.#broken
  }

  /** Queues one entry of some bytes, which must stay unchanged until it is told of. */
  push(view: Uint8Array, entry: Entry): void {
    this.#views.push(view)
    this.#entries.push(entry)
    if (this.#running) return
    this.#running = true
    this.#run = this.#drain()
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running) await this.#run
  }

  async #drain(): Promise<void> {
    // A turn later, so that all appends of one turn of the event loop make one write.
    await Promise.resolve()
    while (this.#views.length > 0) {
      const views = this.#views.splice(0, viewsMax)
      const entries = this.#entries.splice(0, viewsMax)
      await this.#write(views, entries)
    }
    // In the turn that saw the queue empty: a push after it starts anew.
    this.#running = false
  }

  async #write(views: readonly Uint8Array[], entries: readonly Entry[]): Promise<void> {
    let place: { readonly file: DiskFile; readonly position: number } | undefined
    try {
      if (this.#broken !== undefined) throw this.#broken
      place = await this.#target.place()
      await writeFully(place.file, views, place.position)
    } catch (error) {
      await this.#rewind(place, error as Error)
      this.#fail(entries, error as Error)
      return
    }
    if (this.#sync) {
      try {
        await place.file.sync()
      } catch (error) {
        // Never retried: the kernel has marked the failed pages clean, a second sync would say yes and mean nothing.
        this.#break(error as Error)
        this.#fail(entries, error as Error)
        return
      }
    }
    let bytes = 0
    for (const view of views) bytes += view.length
    this.#target.committed(entries, place.position + bytes)
  }

  /** Cuts off what a failed write may have left. */
  async #rewind(
    place: { readonly file: DiskFile; readonly position: number } | undefined,
    cause: Error,
  ): Promise<void> {
    if (place === undefined) return
    try {
      await place.file.truncate(place.position)
    } catch {
      this.#break(cause)
    }
  }

  #break(error: Error): void {
    this.#broken = error
    this.#target.broken(error)
  }

  #fail(entries: readonly Entry[], error: Error): void {
    const all = [...entries, ...this.#entries]
    this.#views = []
    this.#entries = []
    this.#target.failed(all, error)
  }
}
