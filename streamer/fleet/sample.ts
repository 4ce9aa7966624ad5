/**
 * Sample files, piece by piece: what `penstock sample` writes.
 */

import { DcgmCsv, type DcgmLayout } from './dcgm_csv.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { formatStamp } from './time.ts'
import { transferHeader, transferRow, type TransferLayout } from './transfer_csv.ts'

export interface SampleOptions extends FleetOptions {
  /** How many moments, at least 1. */
  readonly steps: number
  readonly dcgmLayout?: DcgmLayout
  readonly transferLayout?: TransferLayout
}

/** The next text of one of the files. The pieces of a file come in order, those of different files take turns. */
export interface SamplePiece {
  /** A file name without a folder, such as `dcgm_metrics_20260101_000000.csv`. */
  readonly file: string
  /** ASCII. */
  readonly text: string
  /** How many rows it holds, the header not counted. */
  readonly rows: number
}

/** How many transfers' rows are gathered into a piece. */
const transferRowsMax = 1000

/**
 * The files of a fleet's first `steps` moments: a DCGM export, and a transfer log (none for `transfersPerMinute: 0`). Each
 * begins with its header. The text is made as it is taken, so a day of a thousand GPUs needs the memory of one moment.
 * Throws a RangeError for an option out of range, before the first piece.
 */
export function* sampleFiles(options: SampleOptions): Generator<SamplePiece, void, undefined> {
  if (!Number.isSafeInteger(options.steps) || options.steps < 1) {
    throw new RangeError(`steps=${options.steps}: want a whole number from 1`)
  }
  const fleet = new Fleet(options)
  const dcgm = new DcgmCsv(fleet, options.dcgmLayout)
  const layout = options.transferLayout ?? 'plain'
  const stamp = formatStamp(options.startMs)
  const gpuFile = `dcgm_metrics_${stamp}.csv`
  const transferFile = `transfers_${stamp}.csv`
  const withTransfers = options.transfersPerMinute !== 0
  yield { file: gpuFile, text: dcgm.header, rows: 0 }
  if (withTransfers) yield { file: transferFile, text: transferHeader(layout), rows: 0 }
  let transferRows: string[] = []
  for (let step = 0; step < options.steps; step++) {
    const sample = fleet.sample()
    for (const { text, rows } of dcgm.rows(sample)) yield { file: gpuFile, text, rows }
    for (const attempt of sample.transfers) transferRows.push(transferRow(attempt, layout))
    const last = step === options.steps - 1
    if (transferRows.length >= transferRowsMax || (last && transferRows.length > 0)) {
      yield { file: transferFile, text: transferRows.join(''), rows: transferRows.length }
      transferRows = []
    }
  }
}
