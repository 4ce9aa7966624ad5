/** The real disk: {@link Disk} over `node:fs`. */

import { fdatasync, writev, writevSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

import type { Disk, DiskFile } from './disk.ts'
import { InlineWrites } from './inline.ts'

const writeViews = promisify(writev)
const syncData = promisify(fdatasync)

const threadsAlone = new InlineWrites(
  0,
  () => 0,
  () => {},
)

/**
 * The disk of this machine.
 *
 * @param inline which writes are made at once; default: a thread makes each
 */
export function openNodeDisk(inline = threadsAlone): Disk {
  const disk: Disk = {
    async list(folder) {
      try {
        return (await fs.readdir(folder)).sort()
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOENT' || code === 'ENOTDIR') return []
        throw error
      }
    },

    async makeFolder(folder) {
      // A plain mkdir tells why it fails; Node's recursive one says ENOENT of a read-only disk.
      const firstMade = await fs.mkdir(folder, { recursive: true }).catch(() => fs.mkdir(folder).then(() => folder))
      if (firstMade === undefined) return
      for (let made = folder; ; made = dirname(made)) {
        await disk.syncFolder(dirname(made))
        if (made === firstMade || dirname(made) === made) return
      }
    },

    async open(path) {
      // Not 'a+': on Linux an appending descriptor ignores the position of a write, and the log says where it writes.
      const handle = await fs.open(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o640)
      return new NodeFile(handle, inline)
    },

    rename: (from, to) => fs.rename(from, to),

    remove: (path) => fs.rm(path),

    async syncFolder(folder) {
      const handle = await fs.open(folder, 'r')
      try {
        await inline.beside(() => handle.sync())
      } finally {
        await handle.close()
      }
    },

    async space(folder) {
      const { bavail, blocks, bsize } = await fs.statfs(folder)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
    },
  }
  return disk
}

/** The disk of this machine; a thread makes each write. */
export const nodeDisk = openNodeDisk()

class NodeFile implements DiskFile {
  readonly #handle: fs.FileHandle
  readonly #inline: InlineWrites

  constructor(handle: fs.FileHandle, inline: InlineWrites) {
    this.#handle = handle
    this.#inline = inline
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(into, 0, into.length, position)).bytesRead
  }

  async write(views: readonly Uint8Array[], position: number): Promise<number> {
    const { fd } = this.#handle
    const written = this.#inline.tryWrite(views, () => writevSync(fd, views, position))
    if (written !== undefined) return written
    // `writev` of the callback API: the promise of a FileHandle costs a wrapper object and a turn more.
    return (await writeViews(fd, views as Uint8Array[], position)).bytesWritten
  }

  sync(): Promise<void> {
    return this.#inline.beside(() => syncData(this.#handle.fd))
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
