/** What a record on the wire becomes: pure, one text in, one record or one reason out. */

import { normalise } from '#telemetry/normalise'
import { isRefused, readRecord, type Refused, type TelemetryRecord } from '#telemetry/record'

/**
 * Reads the text of a record, checks it and brings it under its canonical name and unit.
 *
 * Not cached by text: looking a record's text up without its time and value takes 0.6 µs where `JSON.parse` takes 0.7
 * (docs/decisions/052-collector.md).
 *
 * @returns the record, or why it is none
 */
export function transform(text: string): TelemetryRecord | Refused {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { refused: `not JSON: ${(error as Error).message}` }
  }
  const record = readRecord(value)
  return isRefused(record) ? record : normalise(record)
}
