/**
 * `npm run loadtest -- PROFILE [work …] [--duration D]`: starts a pipeline on this machine, has k6 load it, waits until all is
 * stored, and says whether what was acknowledged is. Status 0 when the thresholds held and nothing is lost, 1 otherwise.
 */

import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'

import { parseDuration } from '#lib/quantity'
import { Scope } from '#test/scope'
import { k6Path, skipWithout, tools } from '#test/tools'

import { settled, sumOf } from './account.ts'
import { lasting, profiles, secondsOf, works, type ProfileName, type Work } from './profiles.ts'
import { figure, htmlOf, isGood, lineOf, markdownOf, type Run, type Summary } from './report.ts'
import { startStack, type Stack } from './stack.ts'

const script = join(import.meta.dirname, 'k6/main.ts')
const resultsFolder = join(import.meta.dirname, 'results')

/** How long what is in the logs may take to be stored when the load is over. */
const settleMs = 120_000

interface Asked {
  readonly name: ProfileName
  readonly chosen: readonly Work[]
  readonly seconds: number
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const asked = readArgs(args)
  if (typeof asked === 'string') {
    console.error(`loadtest: ${asked}\n${usage()}`)
    return 2
  }
  const missing = skipWithout(tools.k6)
  if (missing !== false) {
    console.error(`loadtest: ${missing}: bash .ci/k6 builds it (Go, two minutes, once)`)
    return 2
  }
  const scope = new Scope()
  // Ctrl-C ends what was started, too: the exit handlers of the children's watchdog see to the rest.
  process.once('SIGINT', () => void scope.end().then(() => process.exit(130)))
  const folder = await mkdtemp(join(tmpdir(), 'penstock-loadtest-'))
  try {
    const stack = await startStack(scope, folder)
    const run = await load(stack, asked, folder)
    await keep(run)
    console.log(lineOf(run.sum))
    return isGood(run) ? 0 : 1
  } finally {
    await scope.end()
    await rm(folder, { recursive: true, force: true })
  }
}

async function load(stack: Stack, { name, chosen, seconds }: Asked, folder: string): Promise<Run> {
  const startedAt = new Date().toISOString()
  // A terminal is shown the progress; a log is not filled with it.
  const quiet = process.stdout.isTTY ? [] : ['--quiet']
  const exported = join(folder, 'summary.json')
  await k6(['run', ...quiet, '--no-usage-report', '--summary-export', exported, script], {
    BROKERS: stack.brokers.join(','),
    PROXY: stack.proxy,
    API: stack.api,
    API_KEY: stack.apiKey,
    PROFILE: name,
    WORKS: chosen.join(','),
    SECONDS: String(seconds),
  })
  const summary = JSON.parse(await readFile(exported, 'utf8')) as Summary
  const counted = (what: string): number => figure(summary, `records_${what}`, 'count')
  const sum = sumOf(
    {
      offered: counted('offered'),
      acknowledged: counted('acknowledged'),
      refused: counted('refused'),
      unanswered: counted('unanswered'),
      consumed: counted('consumed'),
    },
    await settled(stack, settleMs),
    await stack.ended(),
  )
  return { name, profile: lasting(profiles[name], seconds), chosen, startedAt, machine: machine(), summary, sum }
}

/** Its own summary goes to our output. A crossed threshold is status 99, and stands in the summary too. */
async function k6(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const given = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`])
  const [command, ...rest] = args as readonly [string, ...string[]]
  const child = spawn(k6Path, [command, ...given, ...rest], { stdio: ['ignore', 'inherit', 'inherit'] })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const thresholdCrossed = 99
  if (status !== 0 && status !== thresholdCrossed) throw new Error(`k6 ended with status ${status}`)
}

async function keep(run: Run): Promise<void> {
  const folder = join(resultsFolder, `${run.startedAt.slice(0, 19).replaceAll(':', '')}-${run.name}`)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'report.md'), markdownOf(run))
  await writeFile(join(folder, 'report.html'), htmlOf(run))
  await writeFile(join(folder, 'summary.json'), `${JSON.stringify({ ...run.sum, k6: run.summary }, undefined, 2)}\n`)
  console.log(`report: ${join(folder, 'report.html')} (and report.md, summary.json)`)
}

function readArgs(args: readonly string[]): Asked | string {
  const at = args.indexOf('--duration')
  const [name = '', ...chosen] = args.filter((_, index) => at === -1 || (index !== at && index !== at + 1))
  if (!Object.hasOwn(profiles, name)) return `want a profile, not ${JSON.stringify(name)}`
  const unknown = chosen.find((work) => !Object.hasOwn(works, work))
  if (unknown !== undefined) return `there is no work ${JSON.stringify(unknown)}`
  const profile = name as ProfileName
  const { stages } = profiles[profile]
  const given = at === -1 ? undefined : (args[at + 1] ?? '')
  const seconds = given === undefined ? secondsOf(profiles[profile]) : Math.floor((parseDuration(given) ?? 0) / 1_000)
  if (seconds < stages.length) {
    return `--duration ${given}: want a duration such as 90s, 10m or 8h, a second for each of the ${stages.length} stages at least`
  }
  return { name: profile, chosen: (chosen.length === 0 ? Object.keys(works) : chosen) as Work[], seconds }
}

function usage(): string {
  const rows = (table: Readonly<Record<string, string>>): string =>
    Object.entries(table)
      .map(([name, about]) => `  ${name.padEnd(14)} ${about}\n`)
      .join('')
  const abouts = Object.fromEntries(Object.entries(profiles).map(([name, { about }]) => [name, about]))
  return `usage: npm run loadtest -- PROFILE [work …] [--duration D]

profiles:
${rows(abouts)}
works, all at once unless named:
${rows(works)}`
}

function machine(): string {
  const all = cpus()
  return `${all.length} x ${all[0]?.model ?? 'unknown processor'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`
}
