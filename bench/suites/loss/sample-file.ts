/** A file of a fleet, once, through the obvious configuration of each. */

import { join } from 'node:path'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { sampleFiles } from '#streamer/fleet/sample'
import { start } from '#test/start'
import { influxdb2Path } from '#test/tools'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { Influx } from './database.ts'
import { startPenstock } from './penstock.ts'
import { planOf } from './plan.ts'
import { configured, madeFolder, missingOf, telegrafPath } from '../../peers/parts.ts'
import { influxValues } from './telegraf.ts'

/** As the exports have them: ten metrics of 247 GPUs, values without a point in some rows and with one in others. */
const fleet = {
  seed: 1,
  hosts: 31,
  gpusPerHost: 8,
  startMs: Date.UTC(2026, 0, 1),
  stepMs: 30_000,
  transfersPerMinute: 0,
}
const steps = 100

const timeoutMs = 600_000

export interface FileOutcome {
  readonly name: string
  readonly title: string
  /** Rows that hold a number; an export has others, too: `[N/A]`, or nothing. */
  readonly rows: number
  readonly stored: number
  /** What became of the others, as the program tells it. */
  readonly told: string
}

/** By those that are there. */
export async function sampleFile(bench: Bench): Promise<FileOutcome[]> {
  if (missingOf([influxdb2Path]).length > 0) {
    bench.say('SKIPPED: sample-file: InfluxDB 2.9.1 is not there (bench/peers/README.md)')
    return []
  }
  const path = join(await madeFolder(bench.folder, 'sample'), 'dcgm.csv')
  const rows = await writeSample(path)
  const outcomes: FileOutcome[] = []
  if (missingOf([telegrafPath]).length > 0) bench.say(`SKIPPED: sample-file by Telegraf: ${telegrafPath} is not there`)
  else for (const once of [true, false]) outcomes.push(await byTelegraf(bench, path, rows, once))
  outcomes.push(await byPenstock(bench, path, rows))
  return outcomes
}

async function writeSample(path: string): Promise<number> {
  const file = await open(path, 'w')
  let numbers = 0
  for (const part of sampleFiles({ ...fleet, steps, dcgmLayout: 'plain', transferLayout: 'plain' })) {
    if (!part.file.startsWith('dcgm')) continue
    await file.write(part.text)
    // Quoted fields; the value is the eleventh.
    for (const line of part.text.split('\n')) if (/^-?\d/.test(line.split('","')[10] ?? '')) numbers++
  }
  await file.close()
  return numbers
}

/** @param once it reads the file and ends; else it follows the file, and is over when it is at rest */
async function byTelegraf(bench: Bench, source: string, rows: number, once: boolean): Promise<FileOutcome> {
  const scope = new Scope()
  try {
    const name = `telegraf-csv-${once ? 'once' : 'tail'}`
    const influx = await Influx.start(scope)
    const folder = await madeFolder(bench.folder, `sample-${name}`)
    const config = await configured(`${name}.conf`, folder, { ...influxValues(influx), SOURCE_FILE: source })
    const telegraf = start(scope, telegrafPath, ['--config', config, ...(once ? ['--once'] : [])])
    const untilMs = performance.now() + timeoutMs
    // It does not tell that it is at the end: for so long it has neither written nor complained.
    const quietMs = 30_000
    let sinceMs = performance.now()
    let before = ''
    while (!telegraf.hasExited() && performance.now() - sinceMs < quietMs && performance.now() < untilMs) {
      const now = `${await influx.written()} ${telegraf.stderr.length}`
      if (once || now !== before) sinceMs = performance.now()
      before = now
      await sleep(1_000)
    }
    const refusals = telegraf.stderr.filter((line) => /will be dropped|conflict/i.test(line))
    const overflow = telegraf.stderr.findLast((line) => /buffer overflow/i.test(line)) ?? ''
    const told = `${refusals.length} requests refused: ${refusals[0]?.slice(0, 400) ?? ''} ${overflow}`
    const title = once ? 'Telegraf, reading it at once' : 'Telegraf, following it'
    return { name, title, rows, stored: await influx.count(), told }
  } finally {
    await scope.end()
  }
}

async function byPenstock(bench: Bench, source: string, rows: number): Promise<FileOutcome> {
  const scope = new Scope()
  try {
    const influx = await Influx.start(scope)
    const folder = await madeFolder(bench.folder, 'sample-penstock')
    const { ports } = await startPenstock({ scope, folder, plan: planOf(1, true) }, influx, source)
    const statusOf = async (role: string): Promise<Record<string, unknown>> =>
      (await (await fetch(`http://127.0.0.1:${ports[role]}/status`)).json()) as Record<string, unknown>
    const untilMs = performance.now() + timeoutMs
    let told = {}
    while (performance.now() < untilMs) {
      const [streamer, collector] = await Promise.all([statusOf('streamer'), statusOf('collector')])
      told = {
        read: streamer['read'],
        dead: [streamer['dead'], collector['dead']],
        not_reported: collector['not_reported'],
      }
      if (streamer['done'] === true && Number(collector['received']) >= Number(streamer['sent'])) break
      await sleep(500)
    }
    return { name: 'penstock', title: 'Penstock', rows, stored: await influx.count(), told: JSON.stringify(told) }
  } finally {
    await scope.end()
  }
}
