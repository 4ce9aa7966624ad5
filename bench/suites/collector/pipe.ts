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

/**
 * @param store the settings of the collector's store
 * @param others further processes that the rows cost something
 */
export async function throughPipe(
  bench: Bench,
  folder: string,
  file: RowFile,
  store: Readonly<Record<string, string>> = {},
  others: Readonly<Record<string, { readonly pid: number }>> = {},
): Promise<PipeRound> {
  const scope = new Scope()
  try {
    const env = (part: string): Record<string, string> => ({ DATA_DIR: join(folder, part), LOG_LEVEL: 'info' })
    const broker = await startRole(scope, 'broker', { env: env('broker') })
    const to = { MSG_QUEUE_ADDR: broker.url }
    const collector = await startRole(scope, 'collector', { env: { ...env('collector'), ...to, ...store } })
    const processes = { broker, collector, ...others }
    const before = mapped(processes, ({ pid }) => cpuSecondsOf(pid))
    const streamer = await startRole(scope, 'streamer', { env: { ...env('streamer'), ...to, CSV: file.path } })
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
