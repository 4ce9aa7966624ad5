/** A disk that tells how long its syncs take and how much is written: what a slow disk looks like from here. */

import type { Disk, DiskFile } from './disk.ts'

export interface DiskMeter {
  /** Seconds of one sync that succeeded. */
  synced(seconds: number): void
  written(bytes: number): void
  readonly monotonicMs: () => number
}

/** The same disk, with a meter at its files. */
export function metered(disk: Disk, meter: DiskMeter): Disk {
  return {
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    open: async (path) => new MeteredFile(await disk.open(path), meter),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
    space: (folder) => disk.space(folder),
  }
}

class MeteredFile implements DiskFile {
  readonly #file: DiskFile
  readonly #meter: DiskMeter

  constructor(file: DiskFile, meter: DiskMeter) {
    this.#file = file
    this.#meter = meter
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#file.read(into, position)
  }

  async write(views: readonly Uint8Array[], position: number): Promise<number> {
    const bytes = await this.#file.write(views, position)
    this.#meter.written(bytes)
    return bytes
  }

  async sync(): Promise<void> {
    const startMs = this.#meter.monotonicMs()
    await this.#file.sync()
    this.#meter.synced((this.#meter.monotonicMs() - startMs) / 1000)
  }

  truncate(bytes: number): Promise<void> {
    return this.#file.truncate(bytes)
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
