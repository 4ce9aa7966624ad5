/**
 * What a repair would keep and lose, and the repair: a damaged file is written anew with its good batches, behind a copy of
 * it that is kept aside as `.damaged`. Offsets stay as they are: what is lost becomes a hole that readers are told of.
 *
 * Torn tails are left to the next start of the broker, and a reservation, an identity or the options of a topic to a person:
 * what stood in them cannot be known from the rest.
 */

import { formatLogHead, type LogHead } from '#wire/frames'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { writeFully, type Disk, type DiskFile } from '../disk/disk.ts'
import { Producers, type ProducerStates } from '../log/producers.ts'
import { formatSegmentHead, indexStepBytes, scanSegment, SparseIndex } from '../log/segment.ts'
import { formatTrailer } from '../log/trailer.ts'
import type { Finding, GroupReport, LogReport, Report } from './report.ts'
import { upTo, type SegmentReport } from './segment.ts'

/** A file that a repair writes anew. */
export interface Repair {
  /** From the data folder on. */
  readonly file: string
  /** Where it keeps the file as it is. */
  readonly aside: string
  readonly keepsRecords: number
  readonly keepsBatches: number
  readonly losesRecords: number
  run(): Promise<void>
}

/** How much of a file is copied at a time. */
const copyBytes = 1 << 20

/**
 * What is to be done in a folder; nothing when it is sound.
 *
 * @param reports what the check told of it
 * @param newLogId 16 hexadecimal digits, for a log of which no file has a sound head
 */
export async function repairsOf(
  disk: Disk,
  root: string,
  reports: readonly Report[],
  newLogId: () => string,
): Promise<readonly Repair[]> {
  const repairs: Repair[] = []
  const groups = reports.filter((report) => report.kind === 'group')
  for (const report of reports) {
    if (report.kind === 'group') repairs.push(...(await repairsOfGroup(disk, root, report)))
    if (report.kind !== 'log') continue
    const { topic, partition } = report
    // Only of an `fsync` topic it is damage that a group is beyond the end.
    const beyond = groups.filter((each) => each.topic === topic && each.findings.some(isBeyondEnd))
    const atLeast = Math.max(0, ...beyond.map((each) => each.floors.get(partition)?.highest ?? 0)) as Offset
    repairs.push(...(await repairsOfLog(disk, root, report, atLeast, newLogId)))
  }
  return repairs
}

/** @param atLeast the log goes on there or behind */
async function repairsOfLog(
  disk: Disk,
  root: string,
  report: LogReport,
  atLeast: Offset,
  newLogId: () => string,
): Promise<readonly Repair[]> {
  const { topic, partition, segments, findings } = report
  const logId = report.logId ?? newLogId()
  const folder = `${root}/${topic}/partition-${partition}`
  const names = await disk.list(folder)
  const repairs: Repair[] = []
  for (const [at, segment] of segments.entries()) {
    const following = segments[at + 1]
    const file = `${topic}/partition-${partition}/${segment.name}`
    const missing = findings.filter((each) => isMissingBefore(each, following))
    const damage = findings.filter((each) => each.kind === 'damage' && each.file === file && each.bytes !== undefined)
    const beyond = following === undefined ? Math.max(0, atLeast - report.next) : 0
    if (damage.length + missing.length + beyond === 0) continue
    const next = Math.max(segment.next, following?.head.firstOffset ?? (beyond > 0 ? atLeast : 0)) as Offset
    const aside = asideName(names, segment.name)
    repairs.push({
      file,
      aside: `${topic}/partition-${partition}/${aside}`,
      keepsRecords: segment.records,
      keepsBatches: segment.batches,
      losesRecords: lostIn([...damage, ...missing]) + beyond,
      run: () => rewriteSegment(disk, folder, segment, logId, next, aside),
    })
  }
  return repairs
}

/** What is to be done for a journal; nothing for one that is sound. */
async function repairsOfGroup(disk: Disk, root: string, report: GroupReport): Promise<readonly Repair[]> {
  const { topic, group, findings } = report
  if (!findings.some((each) => each.kind === 'damage' && each.bytes !== undefined)) return []
  const folder = `${root}/${topic}/groups`
  const name = `${group}.log`
  const aside = asideName(await disk.list(folder), name)
  const path = `${folder}/${name}`
  const { records, batches } = await goodOf(disk, path, undefined, headOfGroup(group))
  return [
    {
      file: `${topic}/groups/${name}`,
      aside: `${topic}/groups/${aside}`,
      keepsRecords: records,
      keepsBatches: batches,
      // What a journal loses is delivered again.
      losesRecords: 0,
      run: () => rewriteJournal(disk, folder, name, aside, headOfGroup(group)),
    },
  ]
}

function isMissingBefore({ kind, file, bytes, lost }: Finding, segment: SegmentReport | undefined): boolean {
  return (
    segment !== undefined &&
    kind === 'damage' &&
    lost !== undefined &&
    bytes === undefined &&
    file.endsWith(`/${segment.name}`)
  )
}

function isBeyondEnd({ kind, lost }: Finding): boolean {
  return kind === 'damage' && lost !== undefined
}

function lostIn(findings: readonly Finding[]): number {
  let records = 0
  for (const { lost } of findings) if (lost !== undefined) records += lost.next - lost.first
  return records
}

/** A name that is free. */
function asideName(names: readonly string[], name: string): string {
  const base = `${name}.damaged`
  let aside = base
  for (let number = 2; names.includes(aside); number++) aside = `${base}.${number}`
  return aside
}

/** @param next the offset behind the file: what is missing before it is known then */
async function rewriteSegment(
  disk: Disk,
  folder: string,
  segment: SegmentReport,
  logId: string,
  next: Offset,
  aside: string,
): Promise<void> {
  const { path, sealedEnd } = segment
  const head = { ...segment.head, logId }
  const good = await goodOf(disk, path, sealedEnd, head)
  const lines = formatSegmentHead(head, good.remembered)
  const trailer = formatTrailer({
    first: head.firstOffset,
    next,
    records: good.records,
    batches: good.batches,
    bytes: lines.length + good.bytes,
    firstMs: good.firstMs,
    lastMs: good.lastMs,
    index: good.index(lines.length).rows,
    producers: good.producers.states,
  })
  await replaceBy(disk, folder, segment.name, aside, [lines, good.ranges, trailer])
}

async function rewriteJournal(disk: Disk, folder: string, name: string, aside: string, expected: LogHead) {
  const { head, ranges } = await goodOf(disk, `${folder}/${name}`, undefined, expected)
  await replaceBy(disk, folder, name, aside, [Buffer.from(formatLogHead(head), 'latin1'), ranges, Buffer.alloc(0)])
}

/** What can be kept of a file. */
interface Good {
  readonly head: LogHead
  /** What the file remembers of producers at its start, and what they have written at its end. */
  readonly remembered: ProducerStates
  readonly producers: Producers
  /** Bytes that stand one behind the other, in order; all of them together. */
  readonly ranges: readonly Range[]
  readonly bytes: number
  readonly records: number
  readonly batches: number
  readonly firstMs: number
  readonly lastMs: number
  /** An index for a file in which the ranges stand from a position on. */
  index(start: number): SparseIndex
}

interface Range {
  readonly from: number
  readonly to: number
}

/** @param end where to stop reading; the end of the file where nothing is said */
async function goodOf(disk: Disk, path: string, end: number | undefined, expected: LogHead): Promise<Good> {
  const producers = new Producers()
  const rows: [Offset, number, number][] = []
  const ranges: Range[] = []
  let remembered: ProducerStates = new Map()
  let bytes = 0
  const file = await disk.open(path)
  try {
    const scanned = await scanSegment(
      path,
      upTo(file, end ?? (await file.size())),
      expected,
      (batch, _bytes, from) => {
        const { firstOffset: first, appendMs, count, producer, sequence } = batch.head
        const to = from + batch.end - batch.at
        if (bytes - (rows.at(-1)?.[2] ?? -Infinity) >= indexStepBytes) rows.push([first, appendMs, bytes])
        bytes += to - from
        const last = ranges.at(-1)
        if (last?.to === from) ranges[ranges.length - 1] = { from: last.from, to }
        else ranges.push({ from, to })
        if (producer === undefined || sequence === undefined) return
        producers.appended(producer, { sequence, first, count })
        producers.committed(producer, sequence, count)
      },
      (states) => {
        remembered = states
        producers.restore(states)
      },
    )
    const { records = 0, batches = 0, firstMs = 0, lastMs = 0, head = expected } = scanned ?? {}
    const index = (start: number): SparseIndex =>
      SparseIndex.of(rows.map(([first, ms, position]) => [first, ms, position + start]))
    return { head, remembered, producers, ranges, bytes, records, batches, firstMs, lastMs, index }
  } finally {
    await file.close()
  }
}

/** Puts another content in the place of a file: a crash leaves the one or the other, and the copy kept aside. */
async function replaceBy(
  disk: Disk,
  folder: string,
  name: string,
  aside: string,
  [before, ranges, behind]: readonly [Buffer, readonly Range[], Buffer],
): Promise<void> {
  const source = await disk.open(`${folder}/${name}`)
  try {
    const whole = [{ from: 0, to: await source.size() }]
    await writeCopy(disk, `${folder}/${aside}`, source, Buffer.alloc(0), whole, Buffer.alloc(0))
    await writeCopy(disk, `${folder}/${name}.new`, source, before, ranges, behind)
  } finally {
    await source.close()
  }
  // The copy has its name for sure before the original loses it.
  await disk.syncFolder(folder)
  await disk.rename(`${folder}/${name}.new`, `${folder}/${name}`)
  await disk.syncFolder(folder)
}

async function writeCopy(
  disk: Disk,
  path: string,
  source: DiskFile,
  before: Buffer,
  ranges: readonly Range[],
  behind: Buffer,
): Promise<void> {
  const copy = await disk.open(path)
  try {
    await copy.truncate(0)
    if (before.length > 0) await writeFully(copy, [before], 0)
    let at = before.length
    const buffer = Buffer.allocUnsafe(copyBytes)
    for (const { from, to } of ranges) {
      for (let position = from; position < to;) {
        const count = await source.read(buffer.subarray(0, Math.min(copyBytes, to - position)), position)
        if (count === 0) throw new Error(`${path}: the file that it is copied from has become shorter`)
        await writeFully(copy, [buffer.subarray(0, count)], at)
        position += count
        at += count
      }
    }
    if (behind.length > 0) await writeFully(copy, [behind], at)
    await copy.sync()
  } finally {
    await copy.close()
  }
}

function headOfGroup(group: string): LogHead {
  const [broker, partition, firstOffset] = [0 as Ordinal, 0 as Partition, 0 as Offset]
  return { logId: '0000000000000000', topic: group, broker, partition, firstOffset }
}
