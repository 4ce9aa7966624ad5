/** Times as a request may give them. The clock is handed in. */

import { parseDuration } from '#lib/quantity'
import { type Instant, parseTime, sourceTime } from '#telemetry/time'

/** What is right, as it stands in a problem. */
export const wantTime = 'RFC 3339 (2025-07-18T20:42:34Z), epoch (s, ms, µs or ns), now, or a time ago such as -15m'

/** Reads RFC 3339, epoch, `now` or `-15m`; `undefined` for anything else. */
export function readTime(text: string, nowMs: number): Instant | undefined {
  if (text === 'now') return { ms: nowMs, ns: 0 }
  if (text.startsWith('-')) {
    const agoMs = parseDuration(text.slice(1))
    return agoMs === undefined || agoMs > nowMs ? undefined : { ms: nowMs - agoMs, ns: 0 }
  }
  // An unescaped + of an offset arrives as a blank.
  const source = sourceTime(text.replace(/ (?=\d\d:\d\d$)/, '+'))
  return source === undefined ? undefined : parseTime(source)
}

/** The instant of a time that we wrote. */
export function parsed(text: string | undefined): Instant | undefined {
  return text === undefined ? undefined : parseTime(text)
}

/** The moment after this one, in nanoseconds: times are included at the start of a range and not at its end. */
export function after({ ms, ns }: Instant): Instant {
  return ns === 999_999 ? { ms: ms + 1, ns: 0 } : { ms, ns: ns + 1 }
}

/** The moment before this one. */
export function before({ ms, ns }: Instant): Instant {
  return ns === 0 ? { ms: ms - 1, ns: 999_999 } : { ms, ns: ns - 1 }
}

export function minus({ ms, ns }: Instant, agoMs: number): Instant {
  return { ms: Math.max(0, ms - agoMs), ns }
}

export function isBefore(a: Instant, b: Instant): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.ns < b.ns)
}

/** Seconds from a time of the store to now, to the millisecond. */
export function ageS(time: string, nowMs: number): number {
  return (nowMs - (parseTime(time)?.ms ?? nowMs)) / 1000
}
