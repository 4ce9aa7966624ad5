/**
 * `npm test`: every `*.test.ts` under tap, one line a file, what failed in full, and the time it took.
 *
 *     npm test                          everything that fits into three minutes
 *     npm test -- --full                the long variants too (PENSTOCK_TEST_FULL=1 in the tests' environment)
 *     npm test -- wire broker/log.test.ts      only these folders and files
 *     npm test -- --explore             properties draw new cases instead of the same ones (seed.ts)
 *     npm test -- --bail                flags of tap go through
 */

import { spawn } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { availableParallelism, constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { Report } from './report.ts'
import { root } from './start.ts'
import { missingTools } from './tools.ts'

/** What a developer waits for without `--full`. */
const goalS = 180

/** A file may take this long before tap ends it: a last resort, for machines that others use too. Kill loops take minutes. */
const fileTimeoutS = { usual: 600, full: 1_200 }

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const full = args.includes('--full')
  const explores = args.includes('--explore')
  const flags = args.filter((arg) => arg.startsWith('-') && arg !== '--full' && arg !== '--explore')
  if (!explores) flags.push(`--node-arg=--import=${new URL('seed.ts', import.meta.url).href}`)
  const paths = args.filter((arg) => !arg.startsWith('-'))
  const files = paths.flatMap(testsIn)
  const empty = paths.find((path) => testsIn(path).length === 0)
  if (empty !== undefined) {
    print(`# no *.test.ts in ${empty}`)
    return 1
  }

  for (const { name, skipped } of missingTools()) print(`# ${name} is not installed: ${skipped} is skipped`)

  const startedMs = performance.now()
  const report = new Report(print)
  const status = await runTap(full, [...flags, ...files], report)
  const tookS = (performance.now() - startedMs) / 1_000

  const { passed, failed, skipped } = report.totals
  print(`# ${passed} passed, ${failed} failed, ${skipped} skipped in ${tookS.toFixed(1)} s`)
  if (!full && tookS > goalS) print(`# that is over the ${goalS} s that \`npm test\` should take on two cores`)
  if (!report.isComplete) print('# tap ended before it had counted everything: the figures above are not the whole')
  return status !== 0 || failed > 0 || passed === 0 || !report.isComplete ? 1 : 0
}

/** A folder stands for the tests in it; tap's own globs would run what .taprc excludes. */
function testsIn(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path]
  return globSync(join(path, '**/*.test.ts'), { exclude: (name) => name.includes('node_modules') }).toSorted()
}

/** Runs tap and resolves with its exit status, or 128 + the signal that ended it. */
function runTap(full: boolean, args: readonly string[], report: Report): Promise<number> {
  const bin = join(root, 'node_modules/.bin')
  const env = {
    ...process.env,
    // tap starts the files with the `node` that runs it; what the tests start by name must be that one too.
    PATH: [bin, process.env['PATH']].join(delimiter),
    ...(full ? { PENSTOCK_TEST_FULL: '1' } : {}),
  }
  // Tests wait for disks and processes more than they compute: two at a time, also where there is one core.
  const jobs = Math.max(2, Math.min(4, availableParallelism()))
  const timeoutS = full ? fileTimeoutS.full : fileTimeoutS.usual
  const child = spawn(
    process.execPath,
    [join(bin, 'tap'), '--reporter=tap', `--jobs=${jobs}`, `--timeout=${timeoutS}`, ...args],
    { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', (line) => report.line(line))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]))
  })
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
