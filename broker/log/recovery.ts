/**
 * Opening the files of a log: what a clean stop left is believed, what a crash left is read, cut to its last good batch and
 * written anew.
 */

import type { LogHead } from '#wire/frames'
import type { Offset } from '#wire/ids'

import { isDiskFull, writeFully, type Disk, type DiskFile } from '../disk/disk.ts'
import type { Hole } from './holes.ts'
import { Producers } from './producers.ts'
import { ForeignSegment, readSegmentHead, scanSegment, SparseIndex, type Scanned } from './segment.ts'
import { readTrailer } from './trailer.ts'

/** One file of a log. */
export interface Segment {
  readonly path: string
  /** The offset of its first record; the one after its last. */
  readonly first: Offset
  next: Offset
  records: number
  batches: number
  /** When its first and its last batch were appended, in ms since 1970; 0 without any. */
  firstMs: number
  lastMs: number
  /** Where the batches begin, and where what is committed of them ends. */
  readonly start: number
  bytes: number
  /** It ends in a trailer. */
  sealed: boolean
  /** Its records were removed: nobody may open it any more. */
  dropped: boolean
  /** Missing where only the trailer has it yet: nobody has read the segment since the start. */
  index: SparseIndex | undefined
}

/** What was found in a folder. */
export interface Recovered {
  readonly head: Omit<LogHead, 'firstOffset'>
  readonly segments: Segment[]
  readonly holes: Hole[]
  /** The offset after the last record; of a log without files, 0. */
  readonly next: Offset
  readonly lastAppendMs: number
  /** What stood in the folder. */
  readonly names: readonly string[]
}

/** How much of a file is copied at a time. */
const copyBytes = 1 << 20

/** Of a torn tail no more is kept aside. */
const tornBytesMax = 16 << 20

/**
 * Opens the files of a log.
 *
 * @param head what the log is; its id is the one on disk where there is one
 * @param producers is given what the files remember
 * @param holeReason why offsets may be missing between two files of this log
 * @param report is told, in one line each, of damage and of torn tails
 * @throws ForeignSegment when a file is of another version, another log or another broker
 */
export async function recover(
  disk: Disk,
  folder: string,
  head: Omit<LogHead, 'firstOffset'>,
  producers: Producers,
  holeReason: Hole['reason'],
  report: (problem: string) => void,
): Promise<Recovered> {
  const all = await disk.list(folder)
  if (all.length === 0) await disk.makeFolder(folder)
  // A rewrite that a crash cut off: the file that it was made from is still there.
  for (const name of all.filter((each) => /^\d{20}\.log\.new$/.test(each))) await disk.remove(`${folder}/${name}`)
  const names = all.filter((name) => /^\d{20}\.log$/.test(name))
  const [segments, holes]: [Segment[], Hole[]] = [[], []]
  const found = { head, segments, holes, next: 0 as Offset, lastAppendMs: 0, names: all }
  for (const [at, name] of names.entries()) {
    const path = `${folder}/${name}`
    const expected = { ...found.head, firstOffset: Number(name.slice(0, 20)) as Offset }
    const isLast = at === names.length - 1
    // The disk filled up while it was begun, and the records went on in the file before it, with their producers.
    const isBehind = expected.firstOffset < found.next
    // A file that holds nothing still says which offsets were issued before it.
    found.next = Math.max(found.next, expected.firstOffset) as Offset
    const remembered = isBehind ? new Producers() : producers
    const before = found.segments.at(-1)
    const verify = (own: LogHead, records: number): void => check(path, found.head, own, records, before)
    const opened = await openSegment(disk, folder, path, expected, verify, isLast, remembered, report)
    if (opened === undefined || (isBehind && opened.segment.records === 0)) continue
    found.head = { ...found.head, logId: opened.head.logId }
    if (before !== undefined && before.next < opened.segment.first) {
      const { next: from } = before
      found.holes.push({ from, to: opened.segment.first, reason: holeReason })
      if (holeReason === 'damaged')
        report(`${path}: the records ${from} to ${opened.segment.first - 1} before it are lost`)
    }
    found.holes.push(...opened.holes)
    found.segments.push(opened.segment)
    found.next = Math.max(found.next, opened.segment.next) as Offset
    found.lastAppendMs = Math.max(found.lastAppendMs, opened.segment.lastMs)
  }
  return found
}

interface Opened {
  readonly head: LogHead
  readonly segment: Segment
  readonly holes: readonly Hole[]
}

async function openSegment(
  disk: Disk,
  folder: string,
  path: string,
  expected: LogHead,
  verify: (own: LogHead, records: number) => void,
  isLast: boolean,
  producers: Producers,
  report: (problem: string) => void,
): Promise<Opened | undefined> {
  const file = await disk.open(path)
  try {
    const sealed = await openSealed(path, file, producers)
    if (sealed !== undefined) {
      verify(sealed.head, sealed.segment.records)
      return sealed
    }
    const index = new SparseIndex()
    const scanned = await scanSegment(
      path,
      file,
      expected,
      ({ head }, _bytes, position) => {
        index.add(head.firstOffset, head.appendMs, position)
        if (head.producer === undefined || head.sequence === undefined) return
        producers.appended(head.producer, { sequence: head.sequence, first: head.firstOffset, count: head.count })
        producers.committed(head.producer, head.sequence, head.count)
      },
      (states) => producers.restore(states),
    )
    if (scanned === undefined) {
      await setAside(disk, folder, path, report)
      return undefined
    }
    // Before anything is changed: a file that is not ours stays as it is.
    verify(scanned.head, scanned.records)
    reportDamage(path, scanned, report)
    if (isLast) await rewrite(disk, folder, path, file, scanned, report)
    else if (scanned.end < scanned.bytes) {
      report(`${path} has no sound trailer: what stands behind byte ${scanned.end} is passed over`)
    }
    const { next, records, batches, firstMs, lastMs, start, end: bytes } = scanned
    const first = scanned.head.firstOffset
    return {
      head: scanned.head,
      segment: {
        path,
        first,
        next,
        records,
        batches,
        firstMs,
        lastMs,
        start,
        bytes,
        sealed: false,
        dropped: false,
        index,
      },
      holes: scanned.damaged
        .filter(({ firstLost, nextGood }) => firstLost < nextGood)
        .map(({ firstLost: from, nextGood: to }) => ({ from, to, reason: 'damaged' as const })),
    }
  } finally {
    await file.close()
  }
}

/** A file with a sound trailer is believed: its batches are verified when they are read. */
async function openSealed(path: string, file: DiskFile, producers: Producers): Promise<Opened | undefined> {
  const size = await file.size()
  const trailer = await readTrailer(file, size)
  const own = trailer === undefined ? undefined : await readSegmentHead(path, file, size)
  if (trailer === undefined || own === undefined || own.head.firstOffset !== trailer.first) return undefined
  producers.restore(trailer.producers)
  const { first, next, records, batches, firstMs, lastMs, bytes } = trailer
  return {
    head: own.head,
    segment: {
      path,
      first,
      next,
      records,
      batches,
      firstMs,
      lastMs,
      start: own.bytes,
      bytes,
      sealed: true,
      dropped: false,
      index: undefined,
    },
    holes: [],
  }
}

function check(
  path: string,
  own: Omit<LogHead, 'firstOffset'>,
  found: LogHead,
  records: number,
  before: Segment | undefined,
): void {
  const { topic, broker, partition } = own
  if (found.topic !== topic || found.broker !== broker || found.partition !== partition) {
    throw new ForeignSegment(
      `${path} belongs to ${found.topic} partition ${found.partition} of broker ${found.broker}, ` +
        `not to ${topic} partition ${partition} of broker ${broker}: put the file back where it came from`,
    )
  }
  if (before !== undefined && records > 0 && found.firstOffset < before.next) {
    throw new ForeignSegment(`${path} begins at ${found.firstOffset}, the file before it ends at ${before.next}`)
  }
}

function reportDamage(path: string, { damaged }: Scanned, report: (problem: string) => void): void {
  for (const { from, to, firstLost, nextGood } of damaged) {
    const lost = firstLost < nextGood ? `the records ${firstLost} to ${nextGood - 1} are lost` : 'no record is lost'
    report(`${path} is damaged from byte ${from} to ${to}: ${lost}, those behind are served`)
  }
}

/**
 * Writes the good part of a segment to a new file in its place, and syncs it.
 *
 * Pages that an earlier process failed to sync are marked clean: they read well, a sync of them says yes, and a power loss
 * takes them. New pages are not.
 */
async function rewrite(
  disk: Disk,
  folder: string,
  path: string,
  file: DiskFile,
  scanned: Scanned,
  report: (problem: string) => void,
): Promise<void> {
  const { end, bytes } = scanned
  if (end < bytes) await keepTorn(disk, path, file, end, bytes, report)
  const temporary = `${path}.new`
  try {
    const copy = await disk.open(temporary)
    try {
      await copy.truncate(0)
      await copyRange(file, copy, 0, end)
      await copy.sync()
    } finally {
      await copy.close()
    }
    await disk.rename(temporary, path)
    await disk.syncFolder(folder)
  } catch (error) {
    if (!isDiskFull(error)) throw error
    // On a full disk consumers must still be able to free space: the old pages will have to do.
    report(`${path} could not be written anew, the disk is full: it is used as it is`)
    await disk.remove(temporary)
    await file.truncate(end)
    await file.sync()
    // It may have been begun right before the crash.
    await disk.syncFolder(folder)
  }
}

async function keepTorn(
  disk: Disk,
  path: string,
  file: DiskFile,
  end: number,
  bytes: number,
  report: (problem: string) => void,
): Promise<void> {
  const what = `${path} had a torn tail of ${bytes - end} bytes behind byte ${end}: cut off`
  try {
    const kept = await disk.open(`${path}.torn`)
    try {
      await kept.truncate(0)
      await copyRange(file, kept, end, Math.min(bytes, end + tornBytesMax))
      await kept.sync()
    } finally {
      await kept.close()
    }
    report(`${what}, kept as ${path}.torn`)
  } catch (error) {
    if (!isDiskFull(error)) throw error
    report(`${what}; the disk is too full to keep it`)
  }
}

async function copyRange(from: DiskFile, to: DiskFile, start: number, end: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(copyBytes, Math.max(end - start, 1)))
  for (let at = start; at < end;) {
    const count = await from.read(buffer.subarray(0, Math.min(buffer.length, end - at)), at)
    if (count === 0) return
    await writeFully(to, [buffer.subarray(0, count)], at - start)
    at += count
  }
}

/** A file without a whole head line: a crash right after it was made. It held nothing that was acknowledged. */
async function setAside(disk: Disk, folder: string, path: string, report: (problem: string) => void): Promise<void> {
  const kept = `${path}.torn`
  await disk.rename(path, kept)
  await disk.syncFolder(folder)
  report(`${path} has no head line: set aside as ${kept}`)
}
