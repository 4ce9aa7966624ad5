/** The rows that all contestants are given: a generated fleet, as a DCGM export and as records. */

import { appendFileSync, createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { GpuRecord } from '#telemetry/record'
import { Fleet } from '#streamer/fleet/fleet'
import { sampleFiles } from '#streamer/fleet/sample'

const options = {
  seed: 1,
  hosts: 31,
  gpusPerHost: 8,
  startMs: Date.UTC(2026, 0, 1),
  stepMs: 1000,
  transfersPerMinute: 0,
}

export interface RowFile {
  readonly path: string
  readonly rows: number
  /** Rows of which the source names the metric and gives no value. */
  readonly blanks: number
}

/** Writes the file, and reads it once, so that every contestant finds it in the page cache. */
export async function writeRows(folder: string, steps: number): Promise<RowFile> {
  let path = ''
  let rows = 0
  let blanks = 0
  for (const piece of sampleFiles({ ...options, steps })) {
    path = join(folder, piece.file)
    appendFileSync(path, piece.text)
    rows += piece.rows
    blanks += [...piece.text.matchAll(/","(?:\[N\/A\])?","DCGM_FI_DRIVER_VERSION=/g)].length
  }
  for await (const _ of createReadStream(path)) {
    // Only read.
  }
  return { path, rows, blanks }
}

/** The same rows as records, a moment at a time. */
export function* moments(steps: number): Generator<readonly GpuRecord[], void> {
  const fleet = new Fleet(options)
  for (let step = 0; step < steps; step++) yield fleet.step().gpu
}
