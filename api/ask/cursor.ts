/** Where a page of transfers ended, as text that only we read: a client hands it back as it got it. */

import { type Instant, parseTime } from '#telemetry/time'

interface Place {
  readonly time: string
  readonly id: string
}

export function cursorOf({ time, id }: Place): string {
  return Buffer.from(JSON.stringify([time, id])).toString('base64url')
}

/** `undefined` for what {@link cursorOf} did not write. */
export function readCursor(text: string): { readonly time: Instant; readonly id: string } | undefined {
  try {
    const place: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (!Array.isArray(place) || place.length !== 2) return undefined
    const [time, id] = place as unknown[]
    const instant = typeof time === 'string' ? parseTime(time) : undefined
    return instant === undefined || typeof id !== 'string' ? undefined : { time: instant, id }
  } catch {
    return undefined
  }
}
