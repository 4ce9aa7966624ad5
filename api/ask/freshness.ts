/** What is looked at for its freshness: hosts, GPUs, metrics, each with the row that tells its newest value. Pure. */

import type { GpuRow, LatestRow } from '#store/store'
import { type Instant, parseTime } from '#telemetry/time'
import { idOf } from './gpus.ts'
import { isBefore } from './times.ts'

export interface Subject {
  readonly name: string
  readonly hostname: string | null
  /** What its interval is that of. */
  readonly source: string
  /** Its newest row. */
  readonly newest: LatestRow
  /** Newest rows of some of its series, to learn the interval from: one may have had its first value just now. */
  readonly samples: readonly LatestRow[]
  /** No value of its members is older; `undefined`: not known. */
  readonly first: Instant | undefined
  /** The newest time of each of its members. */
  readonly members: readonly string[]
}

/** Series by which an interval is looked for. */
const samplesMax = 4

export type SubjectKind = 'host' | 'gpu' | 'metric'

/** Those that are furthest behind first; of one time by name. */
export function subjectsOf(by: SubjectKind, rows: readonly GpuRow[], latest: readonly LatestRow[]): Subject[] {
  const ofGpus = latest.filter(({ kind }) => kind === 'gpu')
  const groups =
    by === 'metric'
      ? Map.groupBy(latest, ({ metric }) => metric)
      : Map.groupBy(ofGpus, by === 'host' ? ({ hostname }) => hostname : idOf)
  const first = new Map(rows.map((row) => [idOf(row), parseTime(row.first_seen) as Instant]))
  const subjects = [...groups].map(([name, own]): Subject => {
    const newest = own.reduce(newerOf)
    const byGpu = Map.groupBy(
      own.filter(({ kind }) => kind === 'gpu'),
      idOf,
    )
    return {
      name,
      hostname: by === 'gpu' ? newest.hostname : null,
      // The GPUs of a host are read by one exporter, at one interval.
      source: by === 'metric' ? `metric ${name}` : `host ${newest.hostname}`,
      newest,
      samples: [newest, ...own.filter((row) => row !== newest && row.time === newest.time).slice(0, samplesMax - 1)],
      first: [...byGpu.keys()].flatMap((id) => first.get(id) ?? []).reduce<Instant | undefined>(earlierOf, undefined),
      members: [...byGpu.values()].map((values) => values.reduce(newerOf).time),
    }
  })
  return subjects.sort((a, b) => compare(placeOf(a), placeOf(b)))
}

export interface Place {
  readonly time: Instant
  readonly id: string
}

export function placeOf({
  newest,
  name,
}: {
  readonly name: string
  readonly newest: { readonly time: string }
}): Place {
  return { time: parseTime(newest.time) as Instant, id: name }
}

/** Below 0 where `a` comes first. */
export function compare(a: Place, b: Place): number {
  if (isBefore(a.time, b.time)) return -1
  if (isBefore(b.time, a.time)) return 1
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}

function earlierOf(a: Instant | undefined, b: Instant): Instant {
  return a !== undefined && isBefore(a, b) ? a : b
}

function newerOf(a: LatestRow, b: LatestRow): LatestRow {
  return isBefore(parseTime(a.time) as Instant, parseTime(b.time) as Instant) ? b : a
}
