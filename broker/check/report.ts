/** What a check tells: of the folder, of each topic, log and group. */

import type { Offset, Ordinal, Partition } from '#wire/ids'

import type { Durability } from '../log/types.ts'
import type { SegmentReport } from './segment.ts'

/**
 * - `damage`: something that was written is not there, or cannot be read any more.
 * - `torn`: the end of a write that a crash cut off; nothing of it was acknowledged, and the next start cuts it off.
 * - `hole`: offsets that hold no record, and that a reader is told of: an unclean stop, or a repair.
 * - `note`: nothing is wrong.
 */
export type FindingKind = 'damage' | 'torn' | 'hole' | 'note'

export interface Finding {
  readonly kind: FindingKind
  /** From the data folder on. */
  readonly file: string
  readonly text: string
  /** Which bytes of the file (the end exclusive), where it is about bytes. */
  readonly bytes?: { readonly from: number; readonly to: number }
  /** Which records are lost (the end exclusive), where some are. */
  readonly lost?: { readonly first: Offset; readonly next: Offset }
}

/** What stands in the data folder itself: its identity. */
export interface FolderReport {
  readonly kind: 'folder'
  /** Not known when the identity is damaged. */
  readonly broker: Ordinal | undefined
  readonly findings: readonly Finding[]
}

export interface TopicReport {
  readonly kind: 'topic'
  readonly topic: string
  readonly partitions: number
  readonly durability: Durability
  readonly findings: readonly Finding[]
}

export interface LogReport {
  readonly kind: 'log'
  readonly topic: string
  readonly partition: Partition
  /** Nothing when no file has a sound head. */
  readonly logId: string | undefined
  readonly segments: readonly SegmentReport[]
  /** The offset of the first record that is kept, and the next one that will be given. */
  readonly first: Offset
  readonly next: Offset
  readonly records: number
  readonly bytes: number
  /** When the first and the last record were appended, in ms since 1970; 0 without any. */
  readonly firstMs: number
  readonly lastMs: number
  readonly findings: readonly Finding[]
}

export interface GroupReport {
  readonly kind: 'group'
  readonly topic: string
  readonly group: string
  readonly bytes: number
  /** By partition: all records below `floor` are acknowledged, and so many above, up to `highest` (exclusive). */
  readonly floors: ReadonlyMap<Partition, { readonly floor: Offset; readonly above: number; readonly highest: Offset }>
  readonly findings: readonly Finding[]
}

export type Report = FolderReport | TopicReport | LogReport | GroupReport

/** What all of the reports come to. */
export interface Summary {
  topics: number
  logs: number
  segments: number
  groups: number
  records: number
  bytes: number
  /** How many findings there are of each kind. */
  readonly found: Record<FindingKind, number>
  /** Records that are lost by damage. */
  lost: number
}

export function emptySummary(): Summary {
  const found = { damage: 0, torn: 0, hole: 0, note: 0 }
  return { topics: 0, logs: 0, segments: 0, groups: 0, records: 0, bytes: 0, found, lost: 0 }
}

/** Adds a report to the sum. */
export function sumUp(summary: Summary, report: Report): void {
  for (const { kind, lost } of report.findings) {
    summary.found[kind]++
    // What a group misses is missed by the log, too.
    if (kind === 'damage' && lost !== undefined && report.kind === 'log') summary.lost += lost.next - lost.first
  }
  if (report.kind === 'topic') summary.topics++
  if (report.kind === 'group') summary.groups++
  if (report.kind !== 'log') return
  summary.logs++
  summary.segments += report.segments.length
  summary.records += report.records
  summary.bytes += report.bytes
}

/** `records 17 to 25 are lost`. */
export function lostText({ first, next }: { readonly first: number; readonly next: number }): string {
  if (first >= next) return 'no record is lost'
  return next - first === 1 ? `record ${first} is lost` : `records ${first} to ${next - 1} are lost`
}
