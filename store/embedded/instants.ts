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

/** RFC 3339. */
export function timeOf(s: number, ns: number): string {
  return formatTime({ ms: s * 1000 + Math.floor(ns / 1_000_000), ns: ns % 1_000_000 })
}
