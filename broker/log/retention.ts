/**
 * What of a log is kept: by age, by size, and as long as a group has not acknowledged it. Decides only; the broker acts.
 *
 * Whole files go, oldest first. The age goes before everything: it is how long data may be kept, and what a group that
 * nobody reads with can hold back. Size and acknowledgement never take what a group still has to get.
 */

import type { Offset } from '#wire/ids'

/** `time`: by age and size. `acknowledged`: besides, what every group has acknowledged goes at once. */
export type RetentionMode = 'time' | 'acknowledged'

/** One file of the log. */
export interface KeptSegment {
  readonly first: Offset
  readonly next: Offset
  /** Fewer than `next - first` where it has holes. */
  readonly records: number
  readonly bytes: number
  /** When its newest record was appended, ms since 1970. */
  readonly lastMs: number
}

/** How far a group is in the log. */
export interface GroupFloor {
  readonly name: string
  /** All records below are acknowledged. */
  readonly floor: Offset
  /** Acknowledged above it: ranges, end exclusive, in order. */
  readonly acknowledged: readonly (readonly [number, number])[]
}

export interface RetentionLimits {
  readonly retention: RetentionMode
  readonly retentionBytes: number
  readonly retentionAgeMs: number
  readonly maxBytes: number
}

export interface RetentionInput {
  /** Oldest first. The last is the one that is written, and never goes. */
  readonly segments: readonly KeptSegment[]
  readonly limits: RetentionLimits
  readonly groups: readonly GroupFloor[]
  readonly nowMs: number
  /** Producers are refused until there is room: on the disk, or in this partition. */
  readonly isPressed: boolean
}

export interface RetentionPlan {
  /** The file that is written should be closed, because it could go (or will have to): then decide again. */
  readonly roll: boolean
  /** What ends at or before this goes; `undefined` when all stays. */
  readonly dropBefore: Offset | undefined
  /** By group: records that go and that it has not acknowledged. Only the age does that. */
  readonly lost: ReadonlyMap<string, number>
}

/** Decides for one log. */
export function planRetention(input: RetentionInput): RetentionPlan {
  const { segments, limits, groups, nowMs } = input
  let bytes = 0
  for (const segment of segments) bytes += segment.bytes
  let dropped = 0
  for (const segment of segments.slice(0, -1)) {
    const isWanted = bytes <= limits.retentionBytes && !(limits.retention === 'acknowledged' && groups.length > 0)
    if (!isExpired(segment, limits, nowMs) && (isWanted || !isSettled(segment, groups))) break
    bytes -= segment.bytes
    dropped++
  }
  const lost = new Map<string, number>()
  for (const group of groups) {
    let records = 0
    for (const segment of segments.slice(0, dropped)) records += unacknowledgedIn(segment, group)
    if (records > 0) lost.set(group.name, records)
  }
  return {
    roll: dropped >= segments.length - 1 && shouldRoll(input),
    dropBefore: dropped === 0 ? undefined : (segments[dropped] as KeptSegment).first,
    lost,
  }
}

/** Whether the file that is written stands in the way, when it is all that is left. */
function shouldRoll({ segments, limits, groups, nowMs, isPressed }: RetentionInput): boolean {
  const active = segments.at(-1)
  if (active === undefined || active.records === 0) return false
  if (isExpired(active, limits, nowMs)) return true
  // Where the limit is below the size of a file, files of half the limit: else nothing could go until all of it is over.
  if (active.bytes > Math.min(limits.retentionBytes, limits.maxBytes) / 2) return true
  return isPressed && limits.retention === 'acknowledged' && groups.length > 0 && isSettled(active, groups)
}

function isExpired({ lastMs }: KeptSegment, { retentionAgeMs }: RetentionLimits, nowMs: number): boolean {
  return lastMs + retentionAgeMs <= nowMs
}

function isSettled(segment: KeptSegment, groups: readonly GroupFloor[]): boolean {
  return groups.every((group) => unacknowledgedIn(segment, group) === 0)
}

/** How many records of a file a group has not acknowledged. */
function unacknowledgedIn(segment: KeptSegment, { floor, acknowledged }: GroupFloor): number {
  const from = Math.max(segment.first, floor)
  let count = Math.max(0, segment.next - from)
  for (const [start, end] of acknowledged) {
    count -= Math.max(0, Math.min(end, segment.next) - Math.max(start, from))
  }
  return Math.min(count, segment.records)
}
