/**
 * `npm run bench -- <suite> [part …] [--quick]`: runs a suite, or some parts of it, prints a JSON object a line on
 * standard output and the table on standard error, and keeps both under `bench/results/`.
 */

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { machine, tableOf, type Measurement, type Suite } from './measure.ts'

// As `penstock` sets it for a broker, before the first file call of this process.
process.env['UV_THREADPOOL_SIZE'] ??= '16'

const suitesFolder = join(import.meta.dirname, 'suites')
const resultsFolder = join(import.meta.dirname, 'results')

const args = process.argv.slice(2)
const quick = args.includes('--quick')
const [name, ...parts] = args.filter((arg) => !arg.startsWith('--'))
const suites = (await readdir(suitesFolder)).filter((file) => file.endsWith('.ts')).map((file) => file.slice(0, -3))

if (name === undefined || !suites.includes(name)) {
  console.error(`usage: npm run bench -- <suite> [part …] [--quick]      suites: ${suites.join(', ')}`)
  process.exitCode = 2
} else {
  await runSuite(name)
}

async function runSuite(suite: string): Promise<void> {
  const { run } = (await import(join(suitesFolder, `${suite}.ts`))) as { readonly run: Suite }
  const folder = await mkdtemp(join(tmpdir(), 'penstock-bench-'))
  const measurements: Measurement[] = []
  console.error(`${suite}: ${machine()}`)
  try {
    await run({
      quick,
      parts,
      folder,
      report(measurement) {
        const { value, peer_value: peerValue } = measurement as { value: number; peer_value?: number }
        const ratio = peerValue === undefined ? {} : { ratio: value / peerValue }
        const whole = { suite, ...measurement, ...ratio } as Measurement
        measurements.push(whole)
        console.log(JSON.stringify(whole))
      },
      say: (text) => console.error(text),
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  const table = tableOf(measurements)
  console.error(`\n${table}`)
  await mkdir(resultsFolder, { recursive: true })
  const lines = measurements.map((each) => JSON.stringify(each)).join('\n')
  await writeFile(join(resultsFolder, `${suite}.jsonl`), `${lines}\n`)
  await writeFile(join(resultsFolder, `${suite}.txt`), `${machine()}\n\n${table}\n`)
}
