/**
 * `npm run bench -- loss [row …] [--quick]`: the nothing-lost table. What is offered to each row at one rate, while the database
 * goes away, the cable between the site and what it sends to is cut, and each process in the middle is killed in turn; and
 * what of it is in the database afterwards.
 *
 * Rows: `telegraf-memory`, `telegraf-large`, `telegraf-disk`, `telegraf-tail`, `prometheus`, `telegraf-kafka`, `penstock`, and
 * `sample-file`: one file by the obvious configuration. Their programs: bench/peers/README.md. `LOSS_RATE` (8000) is the
 * samples a second, for all rows.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { machine, type Bench } from '../measure.ts'
import { Scope } from '#test/scope'
import { goThrough } from './loss/faults.ts'
import { kafkaRow } from './loss/kafka.ts'
import { penstockRow } from './loss/penstock.ts'
import { planOf, type Plan } from './loss/plan.ts'
import { prometheusRow } from './loss/prometheus.ts'
import { madeFolder, missingOf } from '../peers/parts.ts'
import type { Row } from './loss/row.ts'
import { sampleFile } from './loss/sample-file.ts'
import { fileTable, lossTable, type TitledOutcome } from './loss/table.ts'
import { telegrafRows } from './loss/telegraf.ts'

const rows: readonly Row[] = [...telegrafRows, prometheusRow, kafkaRow, penstockRow]
const fileRow = 'sample-file'

const rateDefault = 8_000

export async function run(bench: Bench): Promise<void> {
  const names = [...rows.map(({ name }) => name), fileRow]
  const unknown = bench.parts.filter((part) => !names.includes(part))
  if (unknown.length > 0) throw new Error(`no row ${unknown.join(', ')}; there are ${names.join(', ')}`)
  const isAsked = (name: string) => bench.parts.length === 0 || bench.parts.includes(name)
  const plan = planOf(rateOf(process.env['LOSS_RATE']), bench.quick)
  const seconds = plan.faultMs / 1_000
  bench.say(`${plan.rate} samples/s; database away ${seconds} s, link cut ${seconds} s, each process killed once`)

  const outcomes: TitledOutcome[] = []
  for (const row of rows.filter(({ name }) => isAsked(name))) {
    const missing = missingOf(row.needs)
    if (missing.length > 0) bench.say(`SKIPPED: ${row.name}: no ${missing.join(', no ')} (bench/peers/README.md)`)
    else {
      try {
        outcomes.push({ title: row.title, ...(await runRow(bench, row, plan)) })
      } catch (error) {
        // The other rows are worth having.
        bench.say(`FAILED: ${row.name}: ${error instanceof Error ? error.message : String(error)}`)
        process.exitCode = 1
      }
    }
  }
  const files = isAsked(fileRow) ? await sampleFile(bench) : []
  for (const { name, rows: offered, stored, told } of files) {
    bench.report({ work: fileRow, peer: name, unit: 'rows lost', value: offered - stored, offered, stored, told })
  }
  const said = `${machine()}; ${plan.rate} samples/s, faults of ${seconds} s`
  const tables = [outcomes.length > 0 ? lossTable(outcomes) : '', files.length > 0 ? fileTable(files) : '']
  const text = [said, ...tables.filter((table) => table !== '')].join('\n\n')
  bench.say(`\n${text}`)
  const results = join(import.meta.dirname, '../results')
  await mkdir(results, { recursive: true })
  await writeFile(join(results, 'loss.md'), `${text}\n`)
}

async function runRow(bench: Bench, row: Row, plan: Plan) {
  bench.say(row.name)
  const scope = new Scope()
  try {
    const folder = await madeFolder(bench.folder, row.name)
    const running = await row.start({ scope, folder, plan })
    // Also when a fault cannot be done: what makes samples would hold the process.
    scope.teardown(() => running.load.stop())
    const outcome = await goThrough(running, plan, bench.say)
    const { rate } = plan
    for (const { name, offered, stored } of outcome.phases) {
      bench.report({ work: name, peer: row.name, unit: 'samples lost', value: offered - stored, offered, stored, rate })
    }
    const { offered, stored, duplicated, isSettled, peak } = outcome
    const figures = { offered, stored, duplicated, memory_bytes: peak.memoryBytes, disk_bytes: peak.diskBytes, rate }
    const value = offered - stored
    const { held } = running.load
    bench.report({ work: 'all', peer: row.name, unit: 'samples lost', value, ...figures, held, settled: isSettled })
    return outcome
  } finally {
    await scope.end()
  }
}

function rateOf(given: string | undefined): number {
  const rate = Number(given ?? rateDefault)
  if (Number.isInteger(rate) && rate >= 100 && rate <= 1_000_000) return rate
  throw new Error(`LOSS_RATE=${given}: want samples a second, a whole number from 100 to 1000000`)
}
