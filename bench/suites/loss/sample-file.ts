/** A file of a fleet, once, through the obvious configuration of each. */

import { join } from 'node:path'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { sampleFiles } from '#streamer/fleet/sample'
import { start } from '#test/start'
import { influxdb2Path } from '#test/tools'

import type { Bench } from '../../measure.ts'
import { Scope } from '../../scope.ts'
import { Influx } from './database.ts'
import { startPenstock } from './penstock.ts'
import { planOf } from './plan.ts'
import { configured, missingOf, telegrafPath } from './row.ts'
import { influxValues, madeFolder } from './telegraf.ts'

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
  readonly rows: number
  readonly stored: number
  /** What became of the others, as the program tells it. */
  readonly told: string
}

/** Each of the two that is there. */
export async function sampleFile(bench: Bench): Promise<FileOutcome[]> {
  if (missingOf([influxdb2Path]).length > 0) {
    bench.say('SKIPPED: sample-file: InfluxDB 2.9.1 is not there (bench/peers/README.md)')
    return []
  }
  const path = join(await madeFolder(bench.folder, 'sample'), 'dcgm.csv')
  const rows = await writeSample(path)
  const outcomes: FileOutcome[] = []
  if (missingOf([telegrafPath]).length > 0) bench.say(`SKIPPED: sample-file by Telegraf: ${telegrafPath} is not there`)
  else outcomes.push(await byTelegraf(bench, path, rows))
  outcomes.push(await byPenstock(bench, path, rows))
  return outcomes
}

async function writeSample(path: string): Promise<number> {
  const file = await open(path, 'w')
  let rows = 0
  for (const part of sampleFiles({ ...fleet, steps, dcgmLayout: 'plain', transferLayout: 'plain' })) {
    if (!part.file.startsWith('dcgm')) continue
    await file.write(part.text)
    rows += part.rows
  }
  await file.close()
  return rows
}

async function byTelegraf(bench: Bench, source: string, rows: number): Promise<FileOutcome> {
  const scope = new Scope()
  try {
    const influx = await Influx.start(scope)
    const folder = await madeFolder(bench.folder, 'sample-telegraf')
    const config = await configured('telegraf-csv.conf', folder, { ...influxValues(influx), SOURCE_FILE: source })
    const telegraf = start(scope, telegrafPath, ['--config', config, '--once'])
    const timer = setTimeout(() => void telegraf.kill('SIGKILL'), timeoutMs)
    await telegraf.exited
    clearTimeout(timer)
    const told = telegraf.stderr.find((line) => /\bE!.*(drop|conflict|Failed to write)/i.test(line)) ?? ''
    const stored = await influx.count()
    return { name: 'telegraf', title: 'Telegraf, no column types', rows, stored, told: told.slice(0, 400) }
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
      told = { read: streamer['read'], dead: [streamer['dead'], collector['dead']], received: collector['received'] }
      if (streamer['done'] === true && Number(collector['received']) >= Number(streamer['sent'])) break
      await sleep(500)
    }
    return { name: 'penstock', title: 'Penstock', rows, stored: await influx.count(), told: JSON.stringify(told) }
  } finally {
    await scope.end()
  }
}
