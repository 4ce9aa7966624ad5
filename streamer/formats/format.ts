/**
 * What a file's rows become. A format is told by the header; its mapper turns each row into the text of one record, ready
 * for the wire, or says why it cannot.
 */

import type { CsvReader, RowShape } from './csv.ts'
import { dcgmColumns, DcgmMapper } from './dcgm.ts'
import { SmiMapper } from './smi.ts'
import { smiColumns } from './smi_columns.ts'
import type { TimeShift } from './times.ts'
import { transferColumns, TransferMapper } from './transfers.ts'

/** A record as it is sent. */
export interface KeyedRecord {
  /** JSON. */
  readonly data: string
  /** Picks the partition. */
  readonly key: string
  /** Once it is picked. */
  partition?: number | undefined
}

/** What a row became: a record, or the reason why it is none. */
export type Mapped = KeyedRecord | { readonly refused: string }

export interface Mapper {
  /** Maps the row that the reader stands on; one that holds many values becomes a list. */
  map(row: CsvReader): Mapped | readonly Mapped[]
  /** What the next row is most likely like. */
  expected?(): RowShape | undefined
  /** Notes a row that was sent before, when a mapper needs to have seen all rows of the file; see {@link Format}. */
  skip?(row: CsvReader): void
}

export interface Format {
  readonly name: 'dcgm' | 'nvidia-smi' | 'transfers'
  readonly fields: number
  /** A mapper must see all rows of the file from its first, so a resumed file is read from its start. */
  readonly needsAllRows: boolean
  /**
   * @param pass 0, and one more for each time that the file is read again
   * @param host of rows that name none, as nvidia-smi's
   */
  mapper(times: TimeShift, pass: number, host: string): Mapper
}

/** What the formats want, for messages. */
const wanted =
  'a DCGM export (timestamp, metric_name, uuid, value and more), nvidia-smi --query-gpu=timestamp,index,uuid,name,… ' +
  '--format=csv, or a transfer log (timestamp_iso or timestamp_unix, bytes, and duration, status or site)'

/**
 * Tells the format by the names of the columns, in any order and case.
 *
 * @returns the reason when no format knows them
 */
export function formatOf(header: readonly string[]): Format | { readonly refused: string } {
  const dcgm = dcgmColumns(header)
  if (!('missing' in dcgm)) {
    const columns = dcgm
    return {
      name: 'dcgm',
      fields: header.length,
      needsAllRows: false,
      mapper: (times) => new DcgmMapper(columns, times),
    }
  }
  const transfers = transferColumns(header)
  if (!('missing' in transfers)) {
    const columns = transfers
    // Only a log without ids numbers its equal rows.
    const needsAllRows = columns.id === undefined
    return {
      name: 'transfers',
      fields: header.length,
      needsAllRows,
      mapper: (times, pass) => new TransferMapper(columns, times, pass),
    }
  }
  const smi = smiColumns(header)
  if (smi !== undefined) {
    if ('refused' in smi) return smi
    return {
      name: 'nvidia-smi',
      fields: smi.fields,
      needsAllRows: false,
      mapper: (times, _pass, host) => new SmiMapper(smi, times, host),
    }
  }
  const near = dcgm.missing.length === 1 ? `, it lacks ${dcgm.missing[0]} to be a DCGM export` : ''
  return { refused: `the header is "${header.join(',').slice(0, 200)}"${near}: want ${wanted}` }
}
