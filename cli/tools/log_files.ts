/** What the commands of `penstock log` share: which folders are meant, and a disk that tells how far reading is. */

import { stat } from 'node:fs/promises'
import { findFolders } from '#broker/check/find'
import type { Disk } from '#broker/disk/disk'
import { readOnlyDisk } from '#broker/disk/readonly'
import { holderOf } from '#broker/lock'
import type { Io } from '../command.ts'
import { Progress } from '../progress.ts'
import { formatBytes, printable } from '../table.ts'

/**
 * The data folders of brokers that somebody meant.
 *
 * @param given what stands on the command line, if anything does
 * @throws Error for people, when there is none
 */
export async function foldersOf(given: string | undefined, dataDir: string): Promise<readonly string[]> {
  const folder = (given ?? dataDir).replace(/(?<=.)\/+$/, '')
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  const what = 'give the DATA_DIR of a broker, such as data/broker-0'
  if (found === undefined) throw new Error(`there is no folder ${folder}: ${what}`)
  if (!found.isDirectory()) throw new Error(`${folder} is a file: ${what}`)
  const folders = await findFolders(readOnlyDisk, folder)
  if (folders.length === 0) throw new Error(`${folder} is no data folder of a broker (no file identity in it): ${what}`)
  return folders
}

/** Says on standard error that a broker is writing what is being read. */
export function warnOfBroker(folder: string, io: Io): void {
  const holder = holderOf(folder)
  if (holder === undefined) return
  io.stderr.write(
    `${folder} is in use by a ${holder.what} (process ${holder.pid}): what is being written now may look torn or damaged\n`,
  )
}

/** A disk to read, that says how far it is on a terminal. */
export class WatchedDisk {
  readonly disk: Disk
  readonly progress: Progress
  #bytes = 0

  constructor(io: Io) {
    this.progress = new Progress(io.stderr)
    this.disk = { ...readOnlyDisk, open: (path) => this.#open(path, io.signal) }
  }

  async #open(path: string, signal: AbortSignal): ReturnType<Disk['open']> {
    signal.throwIfAborted()
    const file = await readOnlyDisk.open(path)
    return {
      ...file,
      read: async (into, position) => {
        signal.throwIfAborted()
        const count = await file.read(into, position)
        this.#bytes += count
        this.progress.update(`read ${formatBytes(this.#bytes)}, now ${printable(path)}`)
        return count
      },
    }
  }
}

/** When a record was appended, for people; nothing where there is none. */
export function timeText(ms: number): string | undefined {
  return ms === 0 ? undefined : new Date(ms).toISOString()
}
