/**
 * A disk that keeps at most so many files open, however many partitions there are: the file that was not used for longest
 * is closed for room, and opened again by the next call on its handle.
 *
 * - No file is closed while a call is in flight on it. One that was written and not synced yet is the last choice, and is
 *   synced first: only a descriptor that was open when the kernel failed to write is sure to hear of it.
 * - A handle that has failed to sync stays failed: its later changes and syncs are refused with the same error.
 * - A handle follows its file through a rename. When its file loses its name (removed, or another one was renamed over
 *   it), the handle reads on until it is closed, as anywhere on Unix, and refuses with `ESTALE` what would change the
 *   file: the bytes would go where nobody finds them.
 */

import type { Disk, DiskFile, DiskSpace } from './disk.ts'
import { PooledFile, type Seat } from './pooled.ts'

export class FilePool implements Disk {
  readonly #disk: Disk
  #openMax: number
  /** Files that are open, being opened or being closed, and folders being synced. */
  #taken = 0
  /** Files being closed for room. */
  #closing = 0
  readonly #waiting: (() => void)[] = []
  /** Open files without a call in flight, least recently used first; and those that were written and not synced yet. */
  readonly #idleClean = new Set<PooledFile>()
  readonly #idleDirty = new Set<PooledFile>()
  /** Counts the calls that have ended. */
  #ended = 0
  /** The handles that their owners have not closed, by path. */
  readonly #handles = new Map<string, readonly PooledFile[]>()
  /** Names change one at a time. */
  #naming = Promise.resolve()

  /** @param openMax files open at one time, at least 1; calls on more of them wait for each other */
  constructor(disk: Disk, openMax: number) {
    this.#disk = disk
    this.#openMax = Math.max(1, openMax)
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#disk.list(folder)
  }

  makeFolder(folder: string): Promise<void> {
    return this.#withRoom(() => this.#disk.makeFolder(folder))
  }

  syncFolder(folder: string): Promise<void> {
    return this.#withRoom(() => this.#disk.syncFolder(folder))
  }

  space(folder: string): Promise<DiskSpace> {
    return this.#disk.space(folder)
  }

  async open(path: string): Promise<DiskFile> {
    const handle = new PooledFile(this.#seat, path)
    // Before it is opened, so that a change of names meanwhile knows of it.
    this.#enrol(handle)
    try {
      await handle.open()
    } catch (error) {
      this.#strike(handle)
      throw error
    }
    return handle
  }

  rename(from: string, to: string): Promise<void> {
    return this.#changeNames(from, from === to ? undefined : to, () => this.#disk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#changeNames(path, path, () => this.#disk.remove(path))
  }

  /**
   * Changes names while no file is opened or closed by them.
   *
   * @param from the path that will not be there any more
   * @param to the path whose handles lose their file, and to which the others move
   */
  #changeNames(from: string, to: string | undefined, change: () => Promise<void>): Promise<void> {
    const changed = this.#changeNamesAfter(this.#naming, from, to, change)
    this.#naming = changed.catch(() => {})
    return changed
  }

  async #changeNamesAfter(
    earlier: Promise<void>,
    from: string,
    to: string | undefined,
    change: () => Promise<void>,
  ): Promise<void> {
    await earlier
    const handlesOf = (path: string | undefined) => this.#handles.get(path ?? '') ?? []
    const lost = handlesOf(to)
    const held = new Set([...handlesOf(from), ...lost])
    try {
      await Promise.all([...held].map((handle) => handle.hold()))
      await Promise.all(lost.map((handle) => handle.keepOpen()))
      await change()
      for (const handle of lost) this.#strike(handle)
      for (const handle of lost) handle.lose()
      if (to !== undefined) for (const handle of handlesOf(from)) this.#move(handle, to)
    } finally {
      for (const handle of held) handle.release()
      this.#serve()
    }
  }

  #move(handle: PooledFile, path: string): void {
    this.#strike(handle)
    handle.path = path
    this.#enrol(handle)
  }

  #enrol(handle: PooledFile): void {
    this.#handles.set(handle.path, (this.#handles.get(handle.path) ?? []).concat(handle))
  }

  #strike(handle: PooledFile): void {
    const others = this.#handles.get(handle.path)?.filter((each) => each !== handle) ?? []
    if (others.length === 0) this.#handles.delete(handle.path)
    else this.#handles.set(handle.path, others)
  }

  /** What its handles need of the pool. */
  readonly #seat: Seat = {
    room: () => this.#room(),
    open: (path) => this.#openFile(path),
    openBeyond: (path) => {
      this.#taken++
      return this.#disk.open(path)
    },
    giveBack: () => this.#leave(),
    begin: (handle) => {
      if (!this.#idleClean.delete(handle)) this.#idleDirty.delete(handle)
    },
    end: (handle) => {
      handle.idleSince = ++this.#ended
      ;(handle.isDirty ? this.#idleDirty : this.#idleClean).add(handle)
      this.#serve()
    },
    leave: (handle) => {
      if (!this.#idleClean.delete(handle)) this.#idleDirty.delete(handle)
      this.#leave()
    },
    closed: (handle) => this.#strike(handle),
  }

  async #openFile(path: string): Promise<DiskFile> {
    for (;;) {
      try {
        return await this.#disk.open(path)
      } catch (error) {
        const { code } = error as { readonly code?: unknown }
        const victim = code === 'EMFILE' || code === 'ENFILE' ? this.#victim() : undefined
        if (victim === undefined) throw error
        // Something else (sockets) has more of the process's files than was left for it: go on with fewer.
        this.#openMax = Math.max(1, Math.min(this.#openMax, this.#taken) - 1)
        await victim.closeForRoom()
        this.#taken--
      }
    }
  }

  async #withRoom<T>(call: () => Promise<T>): Promise<T> {
    await this.#room()
    try {
      return await call()
    } finally {
      this.#leave()
    }
  }

  /** Takes room for one file, in turn. */
  async #room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    this.#serve()
    await promise
  }

  #leave(): void {
    this.#taken--
    this.#serve()
  }

  /** Lets in who waits, and closes files for the others. */
  #serve(): void {
    while (this.#waiting.length > 0 && this.#taken < this.#openMax) {
      this.#taken++
      ;(this.#waiting.shift() as () => void)()
    }
    while (this.#closing < this.#waiting.length) {
      const victim = this.#victim()
      if (victim === undefined) return
      this.#closing++
      void this.#close(victim)
    }
  }

  async #close(victim: PooledFile): Promise<void> {
    await victim.closeForRoom()
    this.#closing--
    this.#leave()
  }

  /** The file to be closed next, taken out of those that are idle. */
  #victim(): PooledFile | undefined {
    for (const handle of this.#idleClean) {
      if (handle.isHeld) continue
      this.#idleClean.delete(handle)
      return handle
    }
    const areOthersBusy = this.#taken > this.#idleDirty.size + this.#idleClean.size
    for (const handle of this.#idleDirty) {
      if (handle.isHeld) continue
      // Nothing has happened since its write: its owner is about to sync it, and another call will end.
      if (handle.idleSince === this.#ended && areOthersBusy) return undefined
      this.#idleDirty.delete(handle)
      return handle
    }
    return undefined
  }
}
