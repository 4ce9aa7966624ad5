/** The points of a write as bodies of requests: line protocol as bytes. */

import type { Instant } from '#telemetry/time'
import { timeDigits } from './lines.ts'
import type { Row } from './rows.ts'

/** In what a server is told times: the coarsest that loses nothing. */
export type Precision = 'ns' | 'ms' | 's'

/** Lines a request: larger ones are no faster, and hold the server's memory longer. */
export const linesMax = 10_000
/** Bytes a request, for lines that are long: a server takes 25 MB. */
export const bodyBytesMax = 4 * 1024 * 1024
/** What a line takes at most beside its head: field, number, time. */
const tailBytesMax = 80

/**
 * The coarsest unit that all times are whole in. Telemetry has whole seconds, nearly always: nine digits a line that are not
 * sent, and not read, are a tenth of what a point takes of InfluxDB 2.
 */
export function precisionOf(rows: readonly Row[]): Precision {
  let precision: Precision = 's'
  // Most rows have the time of the one before.
  let last: Instant | undefined
  for (const { at } of rows) {
    if (at === last) continue
    last = at
    if (at.ns !== 0) return 'ns'
    if (at.ms % 1000 !== 0) precision = 'ms'
  }
  return precision
}

/**
 * Those of the rows that are wanted, in their order.
 *
 * @param memory where the next body is made: `bodyBytesMax`, which serve again once it is sent. Fresh memory costs more than
 *   what is written into it
 */
export function* bodiesOf(
  rows: readonly Row[],
  precision: Precision,
  memory: () => Buffer<ArrayBuffer>,
): Generator<Buffer<ArrayBuffer>, void> {
  let from = 0
  while (from < rows.length) {
    const bytes = memory()
    let lines = 0
    let end = 0
    let last: Instant | undefined
    let digits = ''
    for (; from < rows.length && lines < linesMax; from++) {
      const { state, at, value, isWanted } = rows[from] as Row
      if (!isWanted) continue
      // A character is three bytes at most.
      if (end + 3 * state.head.length + tailBytesMax > bodyBytesMax) break
      if (at !== last) digits = timeIn((last = at), precision)
      // Written where it will be sent from: 70 ns a line; as texts that are joined and encoded it took 200, and garbage.
      end += bytes.write(state.head, end)
      end = value === null ? latin1(bytes, end, ' reported=false') : number(bytes, latin1(bytes, end, ' value='), value)
      bytes[end++] = 32
      end = latin1(bytes, end, digits)
      bytes[end++] = 10
      lines++
    }
    if (lines > 0) yield bytes.subarray(0, end)
  }
}

/** A time as digits of a precision in which it is whole. */
function timeIn(at: Instant, precision: Precision): string {
  if (precision === 'ns') return timeDigits(at)
  return String(precision === 'ms' ? at.ms : at.ms / 1000)
}

/** @returns the place behind it */
function latin1(bytes: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index)
  return at + text.length
}

/** A number as JavaScript writes it. Most are whole and small, and need no text. */
function number(bytes: Buffer, at: number, value: number): number {
  const whole = value | 0
  if (whole !== value || whole < 0) return latin1(bytes, at, String(value))
  let length = 1
  for (let rest = whole; rest >= 10; rest = (rest / 10) | 0) length++
  let rest = whole
  for (let place = at + length - 1; place >= at; place--) {
    const tens = (rest / 10) | 0
    bytes[place] = 48 + rest - 10 * tens
    rest = tens
  }
  return at + length
}
