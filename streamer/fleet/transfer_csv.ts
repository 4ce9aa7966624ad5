/**
 * Ended transfers as the rows of a log: the columns that people have, or all we know.
 */

import { formatTime } from './time.ts'
import { placeText, statusOf, type Attempt } from './transfers.ts'

/** `plain`: one row an attempt, and no way to tell which rows are one transfer. `rich`: with ids, ends and errors. */
export type TransferLayout = 'plain' | 'rich'

const plainHeader = 'timestamp_iso,timestamp_unix,bytes,duration,throughput_bytes_per_sec,status,site'

const headers: Readonly<Record<TransferLayout, string>> = {
  plain: `${plainHeader}\n`,
  rich: `${plainHeader},id,source,destination,source_site,destination_site,started,attempt,final,error,error_class\n`,
}

export function transferHeader(layout: TransferLayout): string {
  return headers[layout]
}

/** The row of an attempt with its newline: times at its end, `duration` in seconds. No field needs quotes. */
export function transferRow(attempt: Attempt, layout: TransferLayout): string {
  const { startMs, endMs, bytes, source, destination, failure } = attempt
  const durationMs = endMs - startMs
  const fields = [
    formatTime(endMs),
    String(endMs / 1000),
    String(bytes),
    String(durationMs / 1000),
    String(Math.round((bytes * 1000) / durationMs)),
    statusOf(attempt),
    source.site,
  ]
  if (layout === 'rich') {
    fields.push(attempt.id, placeText(source), placeText(destination), source.site, destination.site)
    fields.push(formatTime(startMs), String(attempt.attempt), String(attempt.final))
    fields.push(failure?.text ?? '', failure?.class ?? '')
  }
  return `${fields.join(',')}\n`
}
