/** A disk as one process sees it: every call is a step of the schedule, may fail there, and may be cut off by a crash. */

import type { Disk, DiskFile, DiskSpace } from '../disk/disk.ts'
import { failure, type Inode, type Platter } from './platter.ts'
import type { Random } from './random.ts'
import type { Schedule } from './schedule.ts'

/** How likely it is that a call fails, by kind. */
export interface FaultRates {
  readonly write: number
  readonly sync: number
  readonly other: number
  /** A write that takes some of the bytes, and says so. */
  readonly shortWrite: number
}

export const noFaults: FaultRates = { write: 0, sync: 0, other: 0, shortWrite: 0 }

/** The disk of one life of the broker. After the crash nothing of it is answered any more. */
export class SimulatedDisk implements Disk {
  readonly platter: Platter
  readonly #schedule: Schedule
  readonly #random: Random
  rates: FaultRates
  /** Calls are answered at once: for a look at what there is, that nothing comes between. */
  isQuiet = false
  isGone = false
  /** How many calls were made to fail. */
  failures = 0
  openFiles = 0

  constructor(platter: Platter, schedule: Schedule, random: Random, rates: FaultRates) {
    this.platter = platter
    this.#schedule = schedule
    this.#random = random
    this.rates = rates
  }

  list(folder: string): Promise<readonly string[]> {
    return this.call('list', folder, () => this.platter.list(folder))
  }

  makeFolder(folder: string): Promise<void> {
    return this.call('makeFolder', folder, () => {
      this.#takesRoom(folder)
      this.platter.makeFolder(folder)
    })
  }

  open(path: string): Promise<DiskFile> {
    return this.call('open', path, () => {
      this.mayFail(path)
      this.openFiles++
      return new SimulatedFile(this, path, this.platter.open(path))
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.call('rename', from, () => {
      this.mayFail(from)
      this.platter.rename(from, to)
    })
  }

  remove(path: string): Promise<void> {
    return this.call('remove', path, () => {
      this.mayFail(path)
      this.platter.remove(path)
    })
  }

  syncFolder(folder: string): Promise<void> {
    const count = this.platter.unsyncedNames(folder)
    return this.call('syncFolder', folder, () => {
      this.mayFail(folder)
      this.platter.syncNames(folder, count)
    })
  }

  space(folder: string): Promise<DiskSpace> {
    return this.call('space', folder, () => ({ freeBytes: this.platter.full ? 0 : 2 ** 39, totalBytes: 2 ** 40 }))
  }

  /** One call: its turn comes, it does its work or fails. `cut` is what it does when a crash comes first. */
  call<T>(kind: string, path: string, work: () => T, cut?: () => void): Promise<T> {
    if (this.isGone) return new Promise<T>(() => {})
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const run = (): void => {
      try {
        resolve(work())
      } catch (error) {
        reject(error)
      }
    }
    if (this.isQuiet) run()
    else this.#schedule.add({ label: `${kind} ${path}`, run, ...(cut === undefined ? {} : { cut }) })
    return promise
  }

  /** How many bytes a write takes, and how it ends. */
  fateOfWrite(bytes: number, path: string): { readonly taken: number; readonly error: Error | undefined } {
    const part = (): number => this.cutWrite(bytes)
    if (this.platter.full) return { taken: part(), error: this.#failed('ENOSPC', path) }
    if (this.#random.chance(this.rates.write)) return { taken: part(), error: this.#failed('EIO', path) }
    if (this.#random.chance(this.rates.shortWrite)) return { taken: this.#random.between(1, bytes), error: undefined }
    return { taken: bytes, error: undefined }
  }

  /** How many bytes of a write that fails, or that a crash cuts off, are in the file. */
  cutWrite(bytes: number): number {
    return this.#random.pick([0, bytes, this.#random.between(0, bytes)])
  }

  fateOfSync(inode: Inode, count: number, path: string): void {
    if (this.#random.chance(this.rates.sync)) {
      inode.failSync(count, this.#random)
      throw this.#failed('EIO', path)
    }
    inode.sync(count)
  }

  mayFail(path: string): void {
    if (this.#random.chance(this.rates.other)) throw this.#failed('EIO', path)
  }

  #takesRoom(path: string): void {
    if (this.platter.full) throw this.#failed('ENOSPC', path)
    this.mayFail(path)
  }

  #failed(code: string, path: string): Error {
    this.failures++
    return failure(code, `${path}: told to fail`)
  }
}

class SimulatedFile implements DiskFile {
  readonly #disk: SimulatedDisk
  readonly #path: string
  readonly #inode: Inode
  #isOpen = true

  constructor(disk: SimulatedDisk, path: string, inode: Inode) {
    this.#disk = disk
    this.#path = path
    this.#inode = inode
  }

  size(): Promise<number> {
    return this.#call('size', () => this.#inode.cache.length)
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#call('read', () => {
      this.#disk.mayFail(this.#path)
      return this.#inode.cache.copy(into, 0, position)
    })
  }

  write(views: readonly Uint8Array[], position: number): Promise<number> {
    // The bytes are taken when the turn comes, as the kernel does: who changes them before is found out.
    const put = (bytes: number): void => this.#inode.write(Buffer.concat(views).subarray(0, bytes), position)
    const size = views.reduce((sum, view) => sum + view.length, 0)
    return this.#call(
      'write',
      () => {
        const { taken, error } = this.#disk.fateOfWrite(size, this.#path)
        put(taken)
        if (error !== undefined) throw error
        return taken
      },
      () => put(this.#disk.cutWrite(size)),
    )
  }

  sync(): Promise<void> {
    const count = this.#inode.unsynced
    return this.#call('sync', () => this.#disk.fateOfSync(this.#inode, count, this.#path))
  }

  truncate(bytes: number): Promise<void> {
    return this.#call('truncate', () => {
      this.#disk.mayFail(this.#path)
      this.#inode.truncate(bytes)
    })
  }

  close(): Promise<void> {
    return this.#call('close', () => {
      this.#isOpen = false
      this.#disk.openFiles--
    })
  }

  #call<T>(kind: string, work: () => T, cut?: () => void): Promise<T> {
    const run = (): T => {
      if (!this.#isOpen) throw failure('EBADF', `${kind} of ${this.#path}, which is closed`)
      return work()
    }
    return this.#disk.call(kind, this.#path, run, cut)
  }
}
