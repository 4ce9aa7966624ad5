/** The journal of a group, held against the logs that it speaks of. */

import type { Offset, Ordinal, Partition } from '#wire/ids'

import type { Disk } from '../disk/disk.ts'
import { ForeignSegment, scanSegment } from '../log/segment.ts'
import type { Durability } from '../log/types.ts'
import type { Finding, FindingKind, GroupReport } from './report.ts'

/** Which group it is, and the logs of its topic. */
export interface CheckedGroup {
  readonly topic: string
  readonly group: string
  readonly durability: Durability
  /** By partition: the next offset that the log gives. */
  readonly ends: ReadonlyMap<Partition, Offset>
}

interface Progress {
  readonly floor: Offset
  readonly acknowledged: readonly (readonly [number, number])[]
}

/** @param root the data folder */
export async function checkGroup(disk: Disk, root: string, checked: CheckedGroup): Promise<GroupReport> {
  const { topic, group } = checked
  const name = `${topic}/groups/${group}.log`
  const findings: Finding[] = []
  const note = (kind: FindingKind, text: string, rest: Partial<Finding> = {}): void => {
    findings.push({ kind, file: name, text, ...rest })
  }
  const floors = new Map<Partition, Progress>()
  const file = await disk.open(`${root}/${name}`)
  let bytes = 0
  try {
    bytes = await file.size()
    const expected = {
      logId: '',
      topic: group,
      broker: 0 as Ordinal,
      partition: 0 as Partition,
      firstOffset: 0 as Offset,
    }
    const scanned = await scanSegment(name, file, expected, (batch, window, position) => {
      const event = window.toString('utf8', batch.events, batch.end)
      const progress = readProgress(event.slice(event.indexOf('data: ') + 6))
      if (progress === undefined) note('damage', `the record at byte ${position} is not what a group writes`)
      else for (const [partition, each] of progress) floors.set(partition, each)
    })
    if (scanned === undefined && bytes > 0) note('damage', 'nothing of it can be read: all is delivered again')
    for (const { from, to } of scanned?.damaged ?? []) {
      if (from === to) continue
      note('damage', `bytes ${from} to ${to} are damaged: some records may be delivered again`, { bytes: { from, to } })
    }
    if (scanned !== undefined && scanned.end < scanned.bytes) {
      const rest = { bytes: { from: scanned.end, to: scanned.bytes } }
      note('torn', `a torn tail of ${scanned.bytes - scanned.end} bytes: the next start cuts it off`, rest)
    }
  } catch (error) {
    if (!(error instanceof ForeignSegment)) throw error
    note('damage', `the broker does not start with it: ${error.message}`)
  } finally {
    await file.close()
  }
  for (const [partition, progress] of floors) checkFloor(checked, partition, progress, note)
  return {
    kind: 'group',
    topic,
    group,
    bytes,
    floors: new Map(
      [...floors].map(([partition, { floor, acknowledged }]) => {
        const above = acknowledged.reduce((count, [from, to]) => count + to - from, 0)
        return [partition, { floor, above, highest: highestOf(floor, acknowledged) }]
      }),
    ),
    findings,
  }
}

/** Nothing was acknowledged that was not delivered, and of an `fsync` topic nothing is delivered that can be lost. */
function checkFloor(
  { durability, ends }: CheckedGroup,
  partition: Partition,
  { floor, acknowledged }: Progress,
  note: (kind: FindingKind, text: string, rest?: Partial<Finding>) => void,
): void {
  const end = ends.get(partition)
  if (end === undefined) {
    note('note', `speaks of partition ${partition}, which is not there`)
    return
  }
  const highest = highestOf(floor, acknowledged)
  if (highest <= end) return
  const text = `has acknowledged up to ${highest - 1} of partition ${partition}, whose log ends at ${end}`
  if (durability === 'fsync')
    note('damage', `${text}: the log has lost its end`, { lost: { first: end, next: highest } })
  else note('hole', `${text}: it goes on at ${highest}`)
}

function highestOf(floor: Offset, acknowledged: Progress['acknowledged']): Offset {
  return Math.max(floor, acknowledged.at(-1)?.[1] ?? 0) as Offset
}

function readProgress(json: string): Map<Partition, Progress> | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  const { logs } = (value ?? {}) as { readonly logs?: unknown }
  if (typeof logs !== 'object' || logs === null) return undefined
  const progress = new Map<Partition, Progress>()
  for (const [partition, each] of Object.entries(logs)) {
    const { floor, acknowledged = [] } = (each ?? {}) as { readonly floor?: unknown; readonly acknowledged?: unknown }
    if (!/^\d{1,5}$/.test(partition) || !isOffset(floor) || !isRanges(acknowledged)) return undefined
    progress.set(Number(partition) as Partition, { floor: floor as Offset, acknowledged })
  }
  return progress
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isRanges(value: unknown): value is [number, number][] {
  if (!Array.isArray(value)) return false
  return value.every((range) => Array.isArray(range) && isOffset(range[0]) && isOffset(range[1]) && range[0] < range[1])
}
