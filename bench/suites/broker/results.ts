/** Keeps the figures of full runs in bench/figures, and makes bench/RESULTS.md and its plots of them. */

import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { machine, type Measurement } from '../../measure.ts'
import { merged, page, type Kept } from './page.ts'

const benchFolder = join(import.meta.dirname, '../..')
const figuresFolder = join(benchFolder, 'figures')
const figuresFile = join(figuresFolder, 'broker.jsonl')

/** Puts new figures in the place of older ones of the same works, and writes the page anew. */
export async function keep(
  measured: readonly Omit<Measurement, 'suite' | 'ratio'>[],
  others: number,
  say: (text: string) => void,
): Promise<void> {
  const [date, commit] = [new Date().toISOString().slice(0, 10), commitNow()]
  const fresh = measured.map((each) => ({ suite: 'broker', ...each, date, machine: machine(), commit, others }) as Kept)
  const kept = merged(await keptFigures(), fresh)
  await mkdir(figuresFolder, { recursive: true })
  await writeFile(figuresFile, kept.map((each) => `${JSON.stringify(each)}\n`).join(''))
  const { text, plots } = page(kept)
  for (const [name, svg] of plots) await writeFile(join(figuresFolder, `${name}.svg`), svg)
  await writeFile(join(benchFolder, 'RESULTS.md'), text)
  say('written: bench/RESULTS.md, bench/figures/')
}

async function keptFigures(): Promise<Kept[]> {
  const text = await readFile(figuresFile, 'utf8').catch(() => '')
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Kept)
}

function commitNow(): string {
  const { stdout, status } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: benchFolder, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : 'unknown'
}
