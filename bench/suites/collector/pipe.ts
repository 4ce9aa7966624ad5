/** The whole pipe: streamer, broker with its durable log and collector, each its own process, from a CSV file to stored rows. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRole, type StartedRole } from '#test/start'

import { cpuSecondsOf } from '../../cpu.ts'
import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import type { RowFile } from './fleet.ts'

/** How often the collector is asked how far it is: at 50 ms the answers were a tenth of its work. */
const pollMs = 250

export interface PipeRound {
  readonly rowsAS: number
  /** CPU seconds of each process while the rows were under way. */
  readonly cpuS: Readonly<Record<string, number>>
}

export interface PipeOptions {
  /** The settings of the collector's store. */
  readonly store?: Readonly<Record<string, string>>
  /** Further processes that the rows cost something. */
  readonly others?: Readonly<Record<string, { readonly pid: number }>>
  /** Settings of all roles. */
  readonly settings?: Readonly<Record<string, string>>
  /** The metrics of all roles are asked for so often. */
  readonly scrapeMs?: number
}

/** Takes the rows of a file through a pipe of its own. */
export async function throughPipe(
  bench: Bench,
  folder: string,
  file: RowFile,
  { store = {}, others = {}, settings = {}, scrapeMs }: PipeOptions = {},
): Promise<PipeRound> {
  const scope = new Scope()
  try {
    const env = (part: string): Record<string, string> => ({
      DATA_DIR: join(folder, part),
      LOG_LEVEL: 'info',
      ...settings,
    })
    const broker = await startRole(scope, 'broker', { env: env('broker') })
    const to = { MSG_QUEUE_ADDR: broker.url }
    const collector = await startRole(scope, 'collector', { env: { ...env('collector'), ...to, ...store } })
    const processes = { broker, collector, ...others }
    const before = mapped(processes, ({ pid }) => cpuSecondsOf(pid))
    const streamer = await startRole(scope, 'streamer', { env: { ...env('streamer'), ...to, CSV: file.path } })
    if (scrapeMs !== undefined) scrape(scope, [broker, collector, streamer], scrapeMs)
    // Its own start is not part of the rate: it begins to read when it listens.
    const listeningMs = performance.now()
    while ((await settledOf(collector)) < file.rows) await sleep(pollMs)
    const seconds = (performance.now() - listeningMs) / 1000
    const after = mapped(processes, ({ pid }) => cpuSecondsOf(pid))
    const cpuS = { streamer: cpuSecondsOf(streamer.pid), ...mapped(after, (value, name) => value - before[name]) }
    bench.say(`  pipe: ${file.rows} rows in ${seconds.toFixed(2)} s`)
    return { rowsAS: file.rows / seconds, cpuS }
  } finally {
    await scope.end()
  }
}

/** Reports what each stage takes of the CPU time of a row. */
export function reportShares(bench: Bench, work: string, { cpuS }: PipeRound, rows: number): void {
  const total = Object.values(cpuS).reduce((sum, seconds) => sum + seconds, 0)
  for (const [stage, seconds] of Object.entries(cpuS)) {
    const peer = { peer: 'all stages', peer_value: (1e6 * total) / rows }
    bench.report({ work: `${work}: cpu of ${stage}`, unit: 'us/row', value: (1e6 * seconds) / rows, ...peer })
  }
}

/** The round in the middle. */
export function middleOf(rounds: readonly PipeRound[]): PipeRound {
  return rounds.toSorted((a, b) => a.rowsAS - b.rowsAS)[rounds.length >> 1] as PipeRound
}

/** Asks for the metrics of each role, as Prometheus does, until the scope ends. */
function scrape(scope: Scope, roles: readonly StartedRole[], everyMs: number): void {
  const timer = setInterval(() => {
    for (const { url } of roles) {
      fetch(`${url}/metrics`)
        .then((answer) => answer.text())
        .catch(() => {})
    }
  }, everyMs)
  scope.teardown(() => clearInterval(timer))
}

/** Records that the ledger has, out of the metrics: `/status` would ask the store. */
async function settledOf(collector: StartedRole): Promise<number> {
  const text = await (await fetch(`${collector.url}/metrics`)).text()
  const counts = text.matchAll(/^telemetry_data_points_total\{[^}]*topic="telemetry"[^}]*\} (\d+)$/gm)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

function mapped<Name extends string, In, Out>(
  given: Readonly<Record<Name, In>>,
  make: (value: In, name: Name) => Out,
): Record<Name, Out> {
  const entries = Object.entries(given) as [Name, In][]
  return Object.fromEntries(entries.map(([name, value]) => [name, make(value, name)])) as Record<Name, Out>
}
