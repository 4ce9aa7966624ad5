/** One handle of a `FilePool`: its descriptor, and what has become of its file. `pool.ts` says what is promised. */

import type { DiskFile } from './disk.ts'

/** What a handle needs of its pool. */
export interface Seat {
  /** Takes room for one open file. */
  room(): Promise<void>
  /** Opens a file that there is room for. */
  open(path: string): Promise<DiskFile>
  /** Opens a file and takes room for it even where there is none. */
  openBeyond(path: string): Promise<DiskFile>
  /** Gives back room without an open file. */
  giveBack(): void
  /** The first call in flight on an open file begins, and the last one ends. */
  begin(handle: PooledFile): void
  end(handle: PooledFile): void
  /** The file takes no room any more. */
  leave(handle: PooledFile): void
  /** The owner has closed the handle. */
  closed(handle: PooledFile): void
}

/** A file of a pool, as its owner sees it: open, although its descriptor comes and goes. */
export class PooledFile implements DiskFile {
  readonly #seat: Seat
  path: string
  /** How many calls of the pool had ended when its last one did. */
  idleSince = 0
  #file: DiskFile | undefined
  #opening: Promise<void> | undefined
  /** The file is being opened or closed at this moment: {@link path} is in use. */
  #changing: Promise<void> | undefined
  #calls = 0
  /** A change counts when it begins and when it ends, so that a sync between the two does not cover it. */
  #changes = 0
  #synced = 0
  #failure: Error | undefined
  #held: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #isLost = false
  #isClosed = false

  constructor(seat: Seat, path: string) {
    this.#seat = seat
    this.path = path
  }

  get isDirty(): boolean {
    return this.#changes !== this.#synced && this.#failure === undefined
  }

  get isHeld(): boolean {
    return this.#held !== undefined
  }

  /** Opens the file; the other calls do it too. */
  open(): Promise<void> {
    return this.#call(async () => {})
  }

  size(): Promise<number> {
    return this.#call((file) => file.size())
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#call((file) => file.read(into, position))
  }

  write(views: readonly Uint8Array[], position: number): Promise<number> {
    return this.#change((file) => file.write(views, position))
  }

  truncate(bytes: number): Promise<void> {
    return this.#change((file) => file.truncate(bytes))
  }

  sync(): Promise<void> {
    return this.#call((file) => {
      this.#checkChangeable()
      return this.#sync(file)
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#seat.closed(this)
    await this.#changing
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    this.#seat.begin(this)
    try {
      await file.close()
    } finally {
      if (!this.#isLost) this.#seat.leave(this)
    }
  }

  /** Closes the file, which is idle; the next call opens it again. Never rejects. */
  closeForRoom(): Promise<void> {
    const file = this.#file as DiskFile
    this.#file = undefined
    return this.#whileChanging(async () => {
      try {
        if (this.isDirty) await this.#sync(file)
      } catch {
        // Kept by #sync: the owner's next change or sync is refused with it.
      }
      // What is synced is not lost by a close that fails.
      await file.close().catch(() => {})
    })
  }

  /** From now on the file is neither opened nor closed for room, until {@link release}. */
  async hold(): Promise<void> {
    this.#held = Promise.withResolvers<void>()
    await this.#changing
  }

  release(): void {
    this.#held?.resolve()
    this.#held = undefined
  }

  /** Sees to it that the file is open, while it still has its name. The handle is held. */
  async keepOpen(): Promise<void> {
    if (this.#file !== undefined || this.#isClosed) return
    await this.#whileChanging(async () => {
      try {
        this.#file = await this.#seat.openBeyond(this.path)
      } catch (error) {
        this.#seat.giveBack()
        throw error
      }
    })
    if (this.#calls === 0) this.#seat.end(this)
  }

  /** The file has lost its name. It belongs to this handle alone now, outside of the pool, until it is closed. */
  lose(): void {
    if (this.#isClosed) return
    this.#isLost = true
    this.#seat.leave(this)
  }

  #change<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    return this.#call(async (file) => {
      this.#checkChangeable()
      this.#changes++
      try {
        return await work(file)
      } finally {
        this.#changes++
      }
    })
  }

  #checkChangeable(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isLost) throw failure('ESTALE', `${this.path} was removed or replaced: it cannot be changed any more`)
  }

  async #sync(file: DiskFile): Promise<void> {
    const changes = this.#changes
    try {
      await file.sync()
      this.#synced = changes
    } catch (error) {
      this.#failure ??= error as Error
      throw error
    }
  }

  async #call<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    if (this.#calls++ === 0) this.#seat.begin(this)
    try {
      return await work(this.#file ?? (await this.#opened()))
    } finally {
      if (--this.#calls === 0 && this.#file !== undefined && !this.#isLost && !this.#isClosed) this.#seat.end(this)
    }
  }

  async #opened(): Promise<DiskFile> {
    for (;;) {
      if (this.#isClosed) throw failure('EBADF', `${this.path} is closed`)
      if (this.#file !== undefined) return this.#file
      this.#opening ??= this.#open().finally(() => (this.#opening = undefined))
      await this.#opening
    }
  }

  async #open(): Promise<void> {
    await this.#changing
    await this.#seat.room()
    while (this.#held !== undefined) await this.#held.promise
    // Closed, or opened because it lost its name, while it waited.
    if (this.#isClosed || this.#file !== undefined) {
      this.#seat.giveBack()
      return
    }
    await this.#whileChanging(async () => {
      try {
        this.#file = await this.#seat.open(this.path)
      } catch (error) {
        this.#seat.giveBack()
        throw error
      }
    })
  }

  async #whileChanging(change: () => Promise<void>): Promise<void> {
    const changed = change()
    this.#changing = changed.catch(() => {}).finally(() => (this.#changing = undefined))
    await changed
  }
}

function failure(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code })
}
