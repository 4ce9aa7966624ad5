/**
 * Transfer logs: one row a transfer (or an attempt of one). The shortest that people have is
 * `timestamp_iso,timestamp_unix,bytes,duration,throughput_bytes_per_sec,status,site`; richer ones name both ends.
 */

import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { describe, isRefused, readRecord, type TransferRecord } from '#telemetry/record'
import { parseValue } from '#telemetry/value'
import { findColumns, type Columns } from './columns.ts'
import type { CsvReader } from './csv.ts'
import type { Mapped, Mapper } from './format.ts'
import type { TimeShift } from './times.ts'

const table = {
  iso: { names: ['timestamp_iso', 'time', 'timestamp', 'completed_at', 'ended'] },
  unix: { names: ['timestamp_unix', 'timestamp_unix_s'] },
  bytes: { names: ['bytes', 'size_bytes', 'size'], must: true },
  duration: { names: ['duration', 'duration_s', 'duration_seconds'] },
  throughput: { names: ['throughput_bytes_per_sec', 'throughput_bytes_per_s'] },
  status: { names: ['status', 'state'] },
  site: { names: ['site'] },
  id: { names: ['id', 'transfer_id', 'tr_id'] },
  source: { names: ['source', 'src', 'src_url', 'srcfs'] },
  destination: { names: ['destination', 'dest', 'dst', 'dst_url', 'dstfs'] },
  error: { names: ['error', 'error_message'] },
  errorClass: { names: ['error_class', 'error_scope', 'tr_error_scope'] },
  started: { names: ['started', 'started_at', 'start_time'] },
  sourceSite: { names: ['source_site', 'src_site'] },
  destinationSite: { names: ['destination_site', 'dest_site', 'dst_site'] },
  attempt: { names: ['attempt'] },
  final: { names: ['final'] },
} as const

export type TransferColumns = Columns<typeof table>

export function transferColumns(header: readonly string[]): TransferColumns | { readonly missing: readonly string[] } {
  const columns = findColumns(header, table)
  if ('missing' in columns) return columns
  const timed = columns.iso !== undefined || columns.unix !== undefined
  const told = columns.duration !== undefined || columns.status !== undefined || columns.site !== undefined
  return timed && told ? columns : { missing: ['timestamp_iso', 'status'] }
}

/** A time without a zone is taken as UTC, unless the row also tells the seconds since 1970. */
const zone = /(z|[+-]\d\d:\d\d)$/i

/** How many distinct rows are remembered to number equal ones; the older half is forgotten then. */
const distinctRowsMax = 500_000

/**
 * Each row becomes an object here: transfers are rare beside metrics, and no two are alike.
 *
 * A row without an id gets the hash of its bytes and its ordinal among the equal rows of the file: the same on each reading,
 * so that a row sent twice is one transfer, and two equal rows are two.
 */
export class TransferMapper implements Mapper {
  private readonly columns: TransferColumns
  private readonly times: TimeShift
  /** Tells a repeated pass from the first: its transfers are other ones. */
  private readonly pass: number
  private counts = new Map<string, number>()
  private olderCounts = new Map<string, number>()

  constructor(columns: TransferColumns, times: TimeShift, pass: number) {
    this.columns = columns
    this.times = times
    this.pass = pass
  }

  skip(row: CsvReader): void {
    if (this.columns.id === undefined) this.hashedId(row)
  }

  map(row: CsvReader): Mapped {
    const { columns } = this
    const text = (column: number | undefined): string => (column === undefined ? '' : row.text(column).trim())
    // First of all: each row counts among its equals, whatever becomes of it.
    const ownId = text(columns.id)
    const id = ownId === '' ? this.hashedId(row) : ownId
    if (!isUtf8(row.buffer.subarray(row.rowStart, row.rowEnd))) return { refused: 'the row is not UTF-8' }
    const iso = text(columns.iso)
    const unix = text(columns.unix)
    const given = unix !== '' && !zone.test(iso) ? unix : iso
    const time = this.times.read(given)
    if (time === undefined) return { refused: `time is ${describe(given)}: want RFC 3339 or seconds since 1970` }
    const bytes = parseValue(text(columns.bytes))
    if (bytes === undefined) return { refused: `bytes is ${describe(text(columns.bytes))}: want a number` }
    const seconds = parseValue(text(columns.duration))
    if (seconds === undefined) return { refused: `duration is ${describe(text(columns.duration))}: want seconds` }
    const attempt = text(columns.attempt)
    const final = text(columns.final).toLowerCase()
    const started = text(columns.started)
    const record: TransferRecord = {
      kind: 'transfer',
      time,
      id: this.renamed(id),
      site: text(columns.site),
      source: text(columns.source),
      destination: text(columns.destination),
      bytes,
      duration_s: seconds ?? durationOf(bytes, parseValue(text(columns.throughput))),
      status: text(columns.status),
      error: text(columns.error),
      ...(started === '' ? undefined : { started: this.times.readOther(started) }),
      ...(text(columns.sourceSite) === '' ? undefined : { source_site: text(columns.sourceSite) }),
      ...(text(columns.destinationSite) === '' ? undefined : { destination_site: text(columns.destinationSite) }),
      ...(/^\d+$/.test(attempt) ? { attempt: Number(attempt) } : undefined),
      ...(final === '' ? undefined : { final: final === 'true' || final === '1' || final === 'yes' }),
      ...(text(columns.errorClass) === '' ? undefined : { error_class: text(columns.errorClass) }),
    }
    const checked = readRecord(record)
    return isRefused(checked) ? checked : { data: JSON.stringify(record), key: record.site }
  }

  /** A transfer of another time is another one. */
  private renamed(id: string): string {
    const { ownMs = 0 } = this.times
    const moved = ownMs === 0 ? id : `${id}~${ownMs}ms`
    return this.pass === 0 ? moved : `${moved}~${this.pass}`
  }

  private hashedId(row: CsvReader): string {
    const digest = hash('sha1', row.buffer.subarray(row.rowStart, row.rowEnd), 'hex').slice(0, 24)
    const ordinal = (this.counts.get(digest) ?? this.olderCounts.get(digest) ?? 0) + 1
    this.counts.set(digest, ordinal)
    if (this.counts.size >= distinctRowsMax / 2) {
      this.olderCounts = this.counts
      this.counts = new Map()
    }
    return ordinal === 1 ? digest : `${digest}-${ordinal}`
  }
}

/** A log that tells the throughput and no duration tells the duration too. */
function durationOf(bytes: number | null, bytesPerS: number | null | undefined): number | null {
  return bytes === null || typeof bytesPerS !== 'number' || bytesPerS <= 0 ? null : bytes / bytesPerS
}
