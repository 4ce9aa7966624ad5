/** What the tests of `penstock up` share: small exports, and an `up` on free ports. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPenstock, temporaryFolder, type Scope } from './start.ts'
import type { Started } from './started.ts'

/** Several processes start in each test, on two shared cores. */
export const fileTimeoutMs = 600_000

const header = 'timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n'

/** An export of `rows` rows: one GPU, one metric, a second apart. */
export function exportOf(rows: number, from = 0): string {
  const lines = Array.from({ length: rows }, (_, at) => {
    const time = new Date(Date.UTC(2026, 0, 1) + (from + at) * 1_000).toISOString().replace('.000', '')
    return `"${time}","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-1","NVIDIA H100","node-1","","","","${at % 100}",""\n`
  })
  return header + lines.join('')
}

/** A folder that goes with the test, and a file in it. */
export function fileOf(t: Scope, text: string): { readonly folder: string; readonly csv: string } {
  const folder = temporaryFolder(t)
  const csv = join(folder, 'metrics.csv')
  writeFileSync(csv, text)
  return { folder, csv }
}

/** `penstock up`, with its data in the folder. */
export function up(
  t: Scope,
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Started {
  return startPenstock(t, ['up', ...args], { env: { PORT: '0', DATA_DIR: join(folder, 'data'), ...env } })
}

/** The lines that it printed about rows. */
export function results({ stdout }: Started): readonly string[] {
  return stdout.filter((line) => line.startsWith('read '))
}
