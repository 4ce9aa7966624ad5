/** The text of a GPU record around its time and its value, which is all that changes from one row of a series to the next. */

import { isRefused, readRecord, type GpuRecord, type Refused } from '#telemetry/record'

export interface Template {
  /** Between the time and the value. */
  readonly before: string
  /** Behind the value. */
  readonly after: string
  readonly key: string
  readonly metric: string
}

/** Stands in a template's record, so that it can be checked. */
export const anyTime = '1970-01-01T00:00:00Z'

/** @param record with {@link anyTime} and the value `null` */
export function templateOf(record: GpuRecord): Template | Refused {
  const checked = readRecord(record)
  if (isRefused(checked)) return checked
  const text = JSON.stringify(record)
  // Inside a JSON text quotes are escaped, so these can be nothing but the fields.
  const timeAt = text.indexOf(`"time":"${anyTime}"`) + '"time":"'.length
  const valueAt = text.indexOf('"value":null') + '"value":'.length
  const before = text.slice(timeAt + anyTime.length, valueAt)
  return { before, after: text.slice(valueAt + 'null'.length), key: record.uuid, metric: record.metric }
}
