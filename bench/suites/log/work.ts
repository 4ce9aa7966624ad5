/** What is written in all parts of the suite, and a log to write it to. */

import { nodeDisk } from '#broker/disk/node'
import type { Disk, DiskFile } from '#broker/disk/disk'
import { Log } from '#broker/log/log'
import { readRecords, type Records } from '#broker/log/records'
import { ChunkRing } from '#broker/log/ring'
import type { Appended, Durability } from '#broker/log/types'
import type { Ordinal, Partition } from '#wire/ids'

/** The records of a body that has to be right; good until the next call. */
export function recordsOf(body: Buffer): Records {
  const records = readRecords(body, 'ndjson', 1 << 20)
  if ('refused' in records) throw new Error(records.detail)
  return records
}

/** Opens a log, or makes it. What it reports is an error here. */
export function openLog(
  folder: string,
  durability: Durability,
  ring: ChunkRing,
  { disk = nodeDisk, partition = 0, segmentBytesMax = 256 << 20 } = {},
): Promise<Log> {
  const head = { logId: '00112233445566ff', topic: 'bench', broker: 0 as Ordinal, partition: partition as Partition }
  // As a broker has them by default.
  const options = { durability, segmentBytesMax, queueRecordsMax: 100_000, reserveRecords: 1_000_000 }
  return Log.open(disk, folder, head, options, ring, (problem) => {
    throw new Error(problem)
  })
}

/** Appends a body and waits until it is as durable as the log promises. A full memory is waited for. */
export async function append(log: Log, body: Buffer): Promise<void> {
  for (;;) {
    const appended = log.append(recordsOf(body), undefined, Date.now())
    if (typeof appended === 'object') {
      const outcome = await (appended as Appended).done
      if (outcome === 'durable') return
      throw new Error(outcome)
    }
    if (appended !== 'memory_full') throw new Error(appended)
    await nextTurn()
  }
}

/** Resolves when the event loop has come round, as it does between a request and the next one of a connection. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** This machine's disk, and how many writes went to files. */
export class CountingDisk {
  writes = 0
  readonly disk: Disk = {
    ...nodeDisk,
    open: async (path) => this.#counted(await nodeDisk.open(path)),
  }

  #counted(file: DiskFile): DiskFile {
    return {
      size: () => file.size(),
      read: (into, position) => file.read(into, position),
      write: (views, position) => {
        this.writes++
        return file.write(views, position)
      },
      sync: () => file.sync(),
      truncate: (bytes) => file.truncate(bytes),
      close: () => file.close(),
    }
  }
}
