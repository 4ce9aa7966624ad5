import { formatTime, type Instant } from '#telemetry/time'

/** A moment as the tables keep it: whole seconds since 1970, and nanoseconds within the second. */
export interface Moment {
  readonly s: number
  readonly ns: number
}

export function momentOf({ ms, ns }: Instant): Moment {
  const s = Math.floor(ms / 1000)
  return { s, ns: (ms - s * 1000) * 1_000_000 + ns }
}

export function instantOf(s: number, ns: number): Instant {
  const ms = Math.floor(ns / 1_000_000)
  return { ms: s * 1000 + ms, ns: ns - ms * 1_000_000 }
}

/** RFC 3339. */
export function timeOf(s: number, ns: number): string {
  return formatTime(instantOf(s, ns))
}
