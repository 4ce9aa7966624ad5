/** The real disk, to look at and not to touch: {@link Disk} over files that are opened for reading only. */

import * as fs from 'node:fs/promises'

import type { Disk, DiskFile } from './disk.ts'
import { nodeDisk } from './node.ts'

/** Reads also what this process must not write, and makes nothing. */
export const readOnlyDisk: Disk = {
  list: (folder) => nodeDisk.list(folder),
  space: (folder) => nodeDisk.space(folder),

  async open(path) {
    const handle = await fs.open(path, 'r')
    const file: DiskFile = {
      size: async () => (await handle.stat()).size,
      read: async (into, position) => (await handle.read(into, 0, into.length, position)).bytesRead,
      close: () => handle.close(),
      write: refuse,
      sync: refuse,
      truncate: refuse,
    }
    return file
  },

  makeFolder: refuse,
  rename: refuse,
  remove: refuse,
  syncFolder: refuse,
}

async function refuse(): Promise<never> {
  throw Object.assign(new Error('this disk is only read'), { code: 'EROFS' })
}
