/** Where a page ended, as text that only we read: a client hands it back as it got it. */

import { type Instant, parseTime } from '#telemetry/time'

interface Place {
  readonly time: string
  readonly id: string
}

export function cursorOf({ time, id }: Place): string {
  return writeCursor([time, id])
}

/** `undefined` for what {@link cursorOf} did not write. */
export function readCursor(text: string): { readonly time: Instant; readonly id: string } | undefined {
  const [time, id] = readTexts(text, 2) ?? []
  const instant = time === undefined ? undefined : parseTime(time)
  return instant === undefined || id === undefined ? undefined : { time: instant, id }
}

export function writeCursor(texts: readonly string[]): string {
  return Buffer.from(JSON.stringify(texts)).toString('base64url')
}

/** The texts of a cursor; `undefined` for one that has not so many, or is none. */
export function readTexts(cursor: string, count: number): string[] | undefined {
  try {
    const texts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    const isOurs = Array.isArray(texts) && texts.length === count && texts.every((text) => typeof text === 'string')
    return isOurs ? texts : undefined
  } catch {
    return undefined
  }
}
