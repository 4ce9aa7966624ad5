/** The real disk: {@link Disk} over `node:fs`. */

import * as callbacks from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

import type { Disk, DiskFile } from './disk.ts'
import { InlineWrites } from './inline.ts'

// Plain descriptors, and the callback API: a FileHandle is an event emitter with a part of its own in C++, some KB a file that
// is open, and its calls take a wrapper object and a turn more (decision 181).
const openFile = promisify(callbacks.open)
const closeFile = promisify(callbacks.close)
const statFile = promisify(callbacks.fstat)
const readFile = promisify(callbacks.read)
const writeViews = promisify(callbacks.writev)
const truncateFile = promisify(callbacks.ftruncate)
const syncFile = promisify(callbacks.fsync)
const syncData = promisify(callbacks.fdatasync)

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
      const fd = await openFile(path, callbacks.constants.O_RDWR | callbacks.constants.O_CREAT, 0o640)
      return new NodeFile(fd, inline)
    },

    rename: (from, to) => fs.rename(from, to),

    remove: (path) => fs.unlink(path),

    async syncFolder(folder) {
      const fd = await openFile(folder, 'r')
      try {
        await inline.beside(() => syncFile(fd))
      } finally {
        await closeFile(fd)
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
  /** -1 once it is closed. */
  #fd: number
  readonly #inline: InlineWrites
  /** That are under way: a descriptor that is closed under a call may be another file's when the call gets to it. */
  #calls = 0
  #idle: (() => void) | undefined

  constructor(fd: number, inline: InlineWrites) {
    this.#fd = fd
    this.#inline = inline
  }

  size(): Promise<number> {
    return this.#call(async (fd) => (await statFile(fd)).size)
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#call(async (fd) => (await readFile(fd, into, 0, into.length, position)).bytesRead)
  }

  async write(views: readonly Uint8Array[], position: number): Promise<number> {
    const written = this.#inline.tryWrite(views, () => callbacks.writevSync(this.#open, views, position))
    if (written !== undefined) return written
    return this.#call(async (fd) => (await writeViews(fd, views as Uint8Array[], position)).bytesWritten)
  }

  sync(): Promise<void> {
    return this.#call((fd) => this.#inline.beside(() => syncData(fd)))
  }

  truncate(bytes: number): Promise<void> {
    return this.#call((fd) => truncateFile(fd, bytes))
  }

  async close(): Promise<void> {
    const fd = this.#fd
    if (fd === -1) return
    this.#fd = -1
    if (this.#calls > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await closeFile(fd)
  }

  get #open(): number {
    if (this.#fd === -1) throw Object.assign(new Error('EBADF: the file is closed'), { code: 'EBADF' })
    return this.#fd
  }

  async #call<T>(work: (fd: number) => Promise<T>): Promise<T> {
    const fd = this.#open
    this.#calls++
    try {
      return await work(fd)
    } finally {
      if (--this.#calls === 0) this.#idle?.()
    }
  }
}
