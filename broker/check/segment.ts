/** One segment file, read from its start to its end: also a sealed one, which a broker believes. */

import type { LogHead } from '#wire/frames'
import type { Offset } from '#wire/ids'

import type { Disk, DiskFile } from '../disk/disk.ts'
import { scanSegment, type Damage } from '../log/segment.ts'
import { readTrailer, type Trailer } from '../log/trailer.ts'

export interface SegmentReport {
  readonly name: string
  readonly path: string
  /** What its first line says; what it should say where that is damaged. */
  readonly head: LogHead
  /** Neither a head nor a batch: a crash right after it was made. */
  readonly empty: boolean
  readonly trailer: Trailer | undefined
  readonly next: Offset
  readonly records: number
  readonly batches: number
  readonly firstMs: number
  readonly lastMs: number
  /** Where the good batches end, what is sealed of the file ends, and the file ends. */
  readonly end: number
  readonly sealedEnd: number
  readonly size: number
  /** In order. `from` is `to` where offsets are missing and no byte is wrong. */
  readonly damaged: readonly Damage[]
}

/**
 * Reads one file.
 *
 * @param expected its head, should its own be damaged
 * @throws ForeignSegment when another version wrote it
 */
export async function checkSegment(disk: Disk, path: string, expected: LogHead): Promise<SegmentReport> {
  const file = await disk.open(path)
  try {
    const size = await file.size()
    const trailer = await readTrailer(file, size)
    const sealedEnd = trailer?.bytes ?? size
    const scanned = await scanSegment(path, upTo(file, sealedEnd), expected, () => {})
    const end = scanned?.end ?? 0
    const found = scanned?.next ?? expected.firstOffset
    const next = Math.max(found, trailer?.next ?? 0) as Offset
    const damaged = [...(scanned?.damaged ?? [])]
    if (trailer !== undefined && (end < sealedEnd || found < next)) {
      damaged.push({ from: end, to: sealedEnd, firstLost: found, nextGood: next })
    }
    return {
      name: path.slice(path.lastIndexOf('/') + 1),
      path,
      head: scanned?.head ?? expected,
      empty: scanned === undefined && trailer === undefined,
      trailer,
      next,
      records: scanned?.records ?? 0,
      batches: scanned?.batches ?? 0,
      firstMs: scanned?.firstMs ?? 0,
      lastMs: scanned?.lastMs ?? 0,
      end,
      sealedEnd,
      size,
      damaged,
    }
  } finally {
    await file.close()
  }
}

/** The beginning of a file, as if there were no more of it. */
export function upTo(file: DiskFile, bytes: number): DiskFile {
  return {
    size: async () => bytes,
    read: (into, position) => file.read(into.subarray(0, Math.max(0, bytes - position)), position),
    write: (views, position) => file.write(views, position),
    sync: () => file.sync(),
    truncate: (to) => file.truncate(to),
    close: () => file.close(),
  }
}
