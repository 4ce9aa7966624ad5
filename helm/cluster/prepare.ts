/** What a release is installed beside: its namespace, the sample that is streamed there, and the pods that work in it. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { root } from '#test/start'
import type { Images } from './images.ts'
import { type Site, until, workPod } from './tools.ts'

export interface Asked {
  readonly status: number
  readonly body: string
}

/** The namespace, what is streamed there, and the pods that work in it. Returns the rows of the sample. */
export async function prepare(
  site: Site,
  { penstock }: Images,
  { cpus = 1, tlsSecret }: { cpus?: number; tlsSecret?: string } = {},
): Promise<number> {
  execFileSync(
    'sh',
    ['-c', 'kubectl create namespace "$0" --dry-run=client -o yaml | kubectl apply -f -', site.namespace],
    { stdio: 'ignore' },
  )
  const { name, rows, bytes } = sample()
  site.apply(
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'sample' },
      binaryData: { [name]: bytes.toString('base64') },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'work' },
      data: { 'work.mjs': readFileSync(join(import.meta.dirname, 'work.mjs'), 'utf8') },
    },
    // Of the release; it is there first, so that the pod beside it need not wait.
    workPod('beside', penstock, cpus, tlsSecret),
    workPod('outside', penstock, cpus, tlsSecret),
  )
  return rows
}

/** The flags of helm that name the images. */
export function imageFlags({ penstock, influxdb, prometheus }: Images): string[] {
  const lines = [
    ...imageLines('', penstock),
    ...imageLines('influxdb.', influxdb),
    ...(prometheus === undefined ? [] : imageLines('prometheus.', prometheus)),
  ]
  return lines.flatMap((line) => ['--set', line])
}

function imageLines(of: string, image: string): string[] {
  const at = image.lastIndexOf(':')
  return [`${of}image.repository=${image.slice(0, at)}`, `${of}image.tag=${image.slice(at + 1)}`]
}

/** Waits until the ledger has every row of the sample stored; how many rows it has. */
export async function sampleStored(site: Site): Promise<number> {
  return until('every row of the sample', 120, async () => {
    const { body } = await site.work<Asked>('ask', '/api/v1/pipeline')
    const settled = settledIn(body)
    return settled >= sample().rows ? settled : undefined
  })
}

/** The rows that the ledger has in the store, with a number or without, over all topics. */
function settledIn(pipeline: string): number {
  const { store } = JSON.parse(pipeline) as { store?: { stored?: number; not_reported?: number } }
  return (store?.stored ?? 0) + (store?.not_reported ?? 0)
}

let made: { readonly name: string; readonly rows: number; readonly gpus: number; readonly bytes: Buffer } | undefined

/** A DCGM export of 247 GPUs, one reading of ten metrics: the same bytes each time. */
export function sample(): NonNullable<typeof made> {
  if (made !== undefined) return made
  const folder = mkdtempSync(join(tmpdir(), 'penstock-sample-'))
  try {
    const flags = ['sample', '--out', folder, '--steps', '1', '--transfers', '0', '--start', new Date().toISOString()]
    execFileSync(process.execPath, [join(root, 'cli/penstock.js'), ...flags], { stdio: 'ignore' })
    const [name = ''] = readdirSync(folder)
    const text = readFileSync(join(folder, name), 'utf8')
    const rows = text.trimEnd().split('\n').length - 1
    made = { name: `${name}.gz`, rows, gpus: rows / 10, bytes: gzipSync(text) }
    return made
  } finally {
    rmSync(folder, { recursive: true })
  }
}
