/** One log: its files by themselves, and one behind the other. */

import type { LogHead } from '#wire/frames'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { readWhole, type Disk } from '../disk/disk.ts'
import { ForeignSegment } from '../log/segment.ts'
import type { Durability } from '../log/types.ts'
import { lostText, type Finding, type FindingKind, type LogReport } from './report.ts'
import { checkSegment, type SegmentReport } from './segment.ts'

const segmentPattern = /^\d{20}\.log$/
const asidePattern = /\.log\.(torn|damaged)(\.\d+)?$/

/** Which log it is, and what its topic promises. */
export interface CheckedLog {
  /** From the data folder on: `telemetry/partition-3`. */
  readonly name: string
  readonly topic: string
  readonly partition: Partition
  /** Nothing where the identity of the folder is damaged. */
  readonly broker: Ordinal | undefined
  readonly durability: Durability
}

/**
 * Reads all files of a log.
 *
 * @param root the data folder
 */
export async function checkLog(disk: Disk, root: string, log: CheckedLog): Promise<LogReport> {
  const folder = `${root}/${log.name}`
  const names = await disk.list(folder)
  const findings: Finding[] = []
  const segments: SegmentReport[] = []
  const note = (kind: FindingKind, file: string, text: string, rest: Partial<Finding> = {}): void => {
    findings.push({ kind, file: `${log.name}/${file}`, text, ...rest })
  }
  const files = names.filter((name) => segmentPattern.test(name))
  let logId: string | undefined
  for (const [at, name] of files.entries()) {
    const expected = expectedHead(log, name, logId)
    let segment: SegmentReport
    try {
      segment = await checkSegment(disk, `${folder}/${name}`, expected)
    } catch (error) {
      if (!(error instanceof ForeignSegment)) throw error
      note('damage', name, `the broker does not start with it: ${error.message}`)
      continue
    }
    const isLast = at === files.length - 1
    const before = segments.at(-1)
    if (segment.empty) {
      if (isLast) note('torn', name, 'has no head line: the next start sets it aside')
      else note('damage', name, 'holds nothing that can be read', { bytes: { from: 0, to: segment.size } })
      continue
    }
    checkHead(log, segment, expected, note)
    checkOrder(log, before, segment, note)
    checkBytes(segment, isLast ? undefined : firstOf(files[at + 1] as string), note)
    if (segment.head.logId !== '') logId ??= segment.head.logId
    segments.push(segment)
  }
  const reserved = await checkReservation(disk, folder, names, note)
  for (const name of names) {
    if (asidePattern.test(name)) note('note', name, 'bytes that were set aside')
    else if (name.endsWith('.new')) note('note', name, 'a rewrite that was cut off: the next start removes it')
    else if (!segmentPattern.test(name) && name !== 'reservation') note('note', name, 'is none of ours')
  }
  return {
    kind: 'log',
    topic: log.topic,
    partition: log.partition,
    logId,
    segments,
    first: segments[0]?.head.firstOffset ?? reserved,
    next: Math.max(segments.at(-1)?.next ?? 0, reserved, firstOf(files.at(-1) ?? '0')) as Offset,
    records: sum(segments, (segment) => segment.records),
    bytes: sum(segments, (segment) => segment.size),
    firstMs: segments.find((segment) => segment.batches > 0)?.firstMs ?? 0,
    lastMs: Math.max(0, ...segments.map((segment) => segment.lastMs)),
    findings,
  }
}

type Note = (kind: FindingKind, file: string, text: string, rest?: Partial<Finding>) => void

function expectedHead({ topic, partition, broker }: CheckedLog, name: string, logId: string | undefined): LogHead {
  return { logId: logId ?? '', topic, partition, broker: broker ?? (0 as Ordinal), firstOffset: firstOf(name) }
}

function checkHead(log: CheckedLog, { name, head }: SegmentReport, expected: LogHead, note: Note): void {
  const wrong: string[] = []
  const isForeign = log.broker !== undefined && head.broker !== log.broker
  if (head.topic !== log.topic || head.partition !== log.partition || isForeign) {
    wrong.push(`belongs to ${head.topic} partition ${head.partition} of broker ${head.broker}: put it back there`)
  }
  if (head.firstOffset !== expected.firstOffset) wrong.push(`begins at ${head.firstOffset}, which is not its name`)
  if (expected.logId !== '' && head.logId !== '' && head.logId !== expected.logId) {
    wrong.push(`is of log ${head.logId}, the files before it are of ${expected.logId}`)
  }
  for (const text of wrong) note('damage', name, text)
}

function checkOrder(
  { durability }: CheckedLog,
  before: SegmentReport | undefined,
  { name, head }: SegmentReport,
  note: Note,
): void {
  if (before === undefined || before.next === head.firstOffset) return
  const [first, next] = [before.next, head.firstOffset]
  if (first > next) {
    note('damage', name, `begins at ${next}, the file before it ends at ${first}: the broker does not start with it`)
  } else if (before.trailer === undefined && before.end < before.size) {
    // Said of the file before.
  } else if (durability === 'fsync') {
    const text = `a file before it is missing: ${lostText({ first, next })}`
    note('damage', name, text, { lost: { first, next } })
  } else {
    note('hole', name, `${first} to ${next - 1} hold no record: an unclean stop, or a file before it is missing`)
  }
}

/** @param following where the next file begins; nothing of the last one */
function checkBytes(segment: SegmentReport, following: Offset | undefined, note: Note): void {
  const { name, damaged, trailer, end, size, next } = segment
  for (const { from, to, firstLost: first, nextGood } of damaged) {
    const lost = { first, next: nextGood }
    const rest = first < nextGood ? { lost } : {}
    if (from === to) note('hole', name, `${first} to ${nextGood - 1} hold no record`, rest)
    else note('damage', name, `bytes ${from} to ${to} are damaged: ${lostText(lost)}`, { bytes: { from, to }, ...rest })
  }
  if (trailer !== undefined) return
  const bytes = { from: end, to: size }
  if (following === undefined) {
    if (end < size) note('torn', name, `a torn tail of ${size - end} bytes: the next start cuts it off`, { bytes })
    return
  }
  const lost = { first: next, next: following }
  if (end < size) {
    const text = `bytes ${end} to ${size}, its end, are damaged: ${lostText(lost)}`
    note('damage', name, text, { bytes, ...(next < following ? { lost } : {}) })
  } else {
    note('note', name, 'is not sealed: it is read whole at each start')
  }
}

/** Where the log goes on at least, because it was not closed. */
async function checkReservation(disk: Disk, folder: string, names: readonly string[], note: Note): Promise<Offset> {
  if (!names.includes('reservation')) return 0 as Offset
  const text = (await readWhole(disk, `${folder}/reservation`)).toString('latin1')
  const next = Number(/^\{"next":(\d{1,16})\}\n$/.exec(text)?.[1])
  if (!Number.isSafeInteger(next)) {
    note('damage', 'reservation', 'the broker does not start: write {"next":N} into it, N above every id ever seen')
    return 0 as Offset
  }
  note('note', 'reservation', `the log was not closed: it goes on at ${next} at least`)
  return next as Offset
}

/** The offset that a segment file is named by. */
export function firstOf(name: string): Offset {
  return Number(name.slice(0, 20)) as Offset
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0
  for (const item of items) total += of(item)
  return total
}
