/**
 * `npm run bench -- pipeline`: rows a second from a CSV file to stored rows, through streamer, broker (durable log, `fsync`),
 * collector and embedded store, each its own process; and what each stage takes of it in CPU time.
 *
 * The peer is the store alone: the same records written in this process, with neither wire nor log in between.
 */

import { createReadStream } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { openStore } from '#store/open'
import type { Offset } from '#wire/ids'
import { sampleFiles } from '#streamer/fleet/sample'
import { Fleet } from '#streamer/fleet/fleet'
import { startRole, type StartedRole } from '#test/start'

import type { Bench } from '../measure.ts'
import { Scope } from '../scope.ts'

const startMs = Date.UTC(2026, 0, 1)
const fleet = { seed: 1, hosts: 31, gpusPerHost: 8, startMs, stepMs: 1000, transfersPerMinute: 0 }

/** Metrics x GPUs of one moment of that fleet. */
const rowsAStep = 2470

/** How often the collector is asked whether it is done. */
const pollMs = 20

export async function run(bench: Bench): Promise<void> {
  const steps = bench.quick ? 80 : 400
  const rounds = bench.quick ? 1 : 3
  bench.say(`making a file of about ${(steps * rowsAStep).toLocaleString('en-US')} rows`)
  const file = await writeFile(bench.folder, steps)
  await readOnce(file)
  const direct: number[] = []
  const piped: Round[] = []
  // The two take turns: a machine that slows down slows both.
  for (let round = 0; round < rounds; round++) {
    direct.push(await storeAlone(join(bench.folder, `direct-${round}`), steps))
    piped.push(await wholePipe(bench, join(bench.folder, `piped-${round}`), file))
    bench.say(
      `round ${round + 1} of ${rounds}: ${Math.round((piped.at(-1) as Round).rowsAS).toLocaleString('en-US')} rows/s`,
    )
  }
  const best = piped.toSorted((a, b) => a.rowsAS - b.rowsAS)[piped.length >> 1] as Round
  bench.report({
    work: 'csv-to-embedded',
    unit: 'rows/s',
    value: best.rowsAS,
    peer: 'store alone',
    peer_value: median(direct),
    durability: 'fsync',
    rows: best.rows,
  })
  const total = Object.values(best.cpuS).reduce((sum, seconds) => sum + seconds, 0)
  for (const [stage, seconds] of Object.entries(best.cpuS)) {
    bench.report({
      work: `cpu-${stage}`,
      unit: 'us/row',
      value: (1e6 * seconds) / best.rows,
      peer: 'all stages',
      peer_value: (1e6 * total) / best.rows,
    })
  }
}

interface Round {
  readonly rows: number
  readonly rowsAS: number
  /** CPU seconds of each process while the rows were under way. */
  readonly cpuS: Readonly<Record<string, number>>
}

async function wholePipe(bench: Bench, folder: string, file: string): Promise<Round> {
  const scope = new Scope()
  try {
    const env = (part: string): Record<string, string> => ({ DATA_DIR: join(folder, part), LOG_LEVEL: 'warn' })
    const broker = await startRole(scope, 'broker', { env: { ...env('broker'), LOG_LEVEL: 'info' } })
    const to = { MSG_QUEUE_ADDR: broker.url, LOG_LEVEL: 'info' }
    const collector = await startRole(scope, 'collector', { env: { ...env('collector'), ...to } })
    const before = { broker: await cpuOf(broker), collector: await cpuOf(collector) }
    const startedMs = performance.now()
    // The streamer starts with its work: its own start is not part of the rate, and is taken out by its first row.
    const streamer = await startRole(scope, 'streamer', { env: { ...env('streamer'), ...to, CSV: file } })
    const listeningMs = performance.now()
    const rows = await settled(streamer, collector)
    const seconds = (performance.now() - listeningMs) / 1000
    const cpuS = {
      streamer: await cpuOf(streamer),
      broker: (await cpuOf(broker)) - before.broker,
      collector: (await cpuOf(collector)) - before.collector,
    }
    bench.say(`streamer up in ${Math.round(listeningMs - startedMs)} ms, ${rows} rows in ${seconds.toFixed(2)} s`)
    return { rows, rowsAS: rows / seconds, cpuS }
  } finally {
    await scope.end()
  }
}

/** Waits until every row of the file stands in the store, and returns how many there are. */
async function settled(streamer: StartedRole, collector: StartedRole): Promise<number> {
  for (;;) {
    const [from, to] = await Promise.all([streamer.status(), collector.status()])
    const received = Number(to['received'])
    if (from['done'] === true && received >= Number(from['read'])) return received
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

async function cpuOf(role: StartedRole): Promise<number> {
  const text = await (await fetch(`${role.url}/metrics`)).text()
  return Number(/^process_cpu_seconds_total\S* (\S+)$/m.exec(text)?.[1])
}

/** Writes the records of the same fleet, in batches of the collector's size, and returns records a second. */
async function storeAlone(folder: string, steps: number): Promise<number> {
  const store = await openStore({ dataDir: folder })
  try {
    const model = new Fleet(fleet)
    let offset = 0
    let busyMs = 0
    for (let step = 0; step < steps; step++) {
      const { gpu: records } = model.step()
      const startedMs = performance.now()
      const offsets = records.map((_, index) => (offset + index) as Offset)
      const next = offset + records.length
      const part = { logId: '00000000000000ff', broker: 0, partition: 0, records, offsets, dead: [], next }
      await store.write({ topic: 'telemetry', parts: [part] })
      offset = next
      busyMs += performance.now() - startedMs
    }
    return (1000 * offset) / busyMs
  } finally {
    await store.close()
  }
}

async function writeFile(folder: string, steps: number): Promise<string> {
  let file = ''
  for (const piece of sampleFiles({ ...fleet, steps })) {
    file = join(folder, piece.file)
    await appendFile(file, piece.text)
  }
  return file
}

/** Reads the file, so that every round finds it in the page cache. */
async function readOnce(file: string): Promise<void> {
  for await (const _ of createInterface({ input: createReadStream(file) })) {
    // Only read.
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}
