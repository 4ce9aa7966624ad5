/** How a range is cut into windows. */

import type { Instant } from '#telemetry/time'

/** Answers have at most so many windows. */
export const windowsMax = 1_000

/** How many windows a range is cut into when the request does not say. */
const windowsDefault = 90

/** A length of windows that cuts a range into {@link windowsDefault} or a few less, in whole seconds. */
export function windowMsFor(rangeMs: number): number {
  return Math.max(1, Math.ceil(rangeMs / windowsDefault / 1000)) * 1000
}

/** A length of windows by which all before this moment is one window; whole hours, of which stores have rollups. */
export function wholeMs({ ms }: Instant): number {
  return (Math.floor(ms / 3_600_000) + 1) * 3_600_000
}
