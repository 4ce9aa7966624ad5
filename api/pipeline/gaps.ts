/** Times in which a host gave nothing. Pure. */

import type { AcrossValue, GpuRow } from '#store/store'
import { formatTime, type Instant, parseTime } from '#telemetry/time'

export interface Gap {
  readonly hostname: string
  readonly from: string
  readonly to: string
  readonly duration_s: number
}

export interface GapRange {
  readonly start: Instant
  readonly end: Instant
  readonly windowMs: number
}

/**
 * The windows of the range, joined, in which a host that was seen before has no row.
 *
 * Windows that reach over an end of the range, or begin before the host was first seen, prove nothing.
 *
 * @param values one a window and host that has rows of the metric
 */
export function gapsOf(hosts: ReadonlyMap<string, Instant>, values: readonly AcrossValue[], range: GapRange): Gap[] {
  const { windowMs } = range
  const there = new Map<string, Set<number>>()
  for (const { group = '', time } of values) {
    const places = there.get(group) ?? new Set()
    there.set(group, places.add(Math.floor((parseTime(time)?.ms ?? 0) / windowMs)))
  }
  const end = Math.floor(range.end.ms / windowMs)
  const gaps: Gap[] = []
  for (const [hostname, first] of [...hosts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const own = there.get(hostname)
    const from = Math.max(placeBehind(range.start, windowMs), placeBehind(first, windowMs))
    for (let place = from, begun = from; place <= end; place++) {
      const isThere = place === end || own?.has(place) === true
      if (!isThere) continue
      if (place > begun) gaps.push(gapOf(hostname, begun, place, windowMs))
      begun = place + 1
    }
  }
  return gaps
}

/** Hosts that have a metric, with the time of their first value. */
export function hostsWith(metric: string, rows: readonly GpuRow[]): Map<string, Instant> {
  const hosts = new Map<string, Instant>()
  for (const { hostname, first_seen, metrics } of rows) {
    if (!metrics.includes(metric)) continue
    const own = parseTime(first_seen) as Instant
    const before = hosts.get(hostname)
    if (before === undefined || own.ms < before.ms) hosts.set(hostname, own)
  }
  return hosts
}

function gapOf(hostname: string, from: number, to: number, windowMs: number): Gap {
  const timeOf = (place: number): string => formatTime({ ms: place * windowMs, ns: 0 })
  return { hostname, from: timeOf(from), to: timeOf(to), duration_s: ((to - from) * windowMs) / 1000 }
}

/** The first window that begins at or after a moment. */
function placeBehind({ ms, ns }: Instant, windowMs: number): number {
  return Math.ceil((ms + (ns > 0 ? 1 : 0)) / windowMs)
}
