/**
 * Whether our load is a bottleneck: what it can send to a server that does nothing but answer, and what `wrk`, which is written in C,
 * gets out of the same broker. Where both get the same, the broker is what is measured.
 *
 * Seen once, with `--quick` on two processors: one record a request, 56,000 to 62,000 requests/s into the server that does nothing,
 * where a broker took 15,000 (`node`) and 22,000 to 24,000 (`uws`), and `wrk` got 14,000 to 18,000 and 23,000 to 26,000; in batches
 * 4.7 to 6.9 million records/s, where a broker took 1.5 and 2.3 to 3.1 million.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Scope } from '#test/scope'
import { start } from '#test/start'

import { post, postOf } from '../../load/posts.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import { takeTurns, type Figure } from '../../load/rounds.ts'
import { missingOf } from '../../peers/parts.ts'
import { outputOf } from './output.ts'
import { reportWith } from './produce.ts'
import type { Stage } from './stage.ts'

const connections = 32
const path = '/produce?topic=load'
const topics = 'load:partitions=4:durability=disk'

/** By work: records of a request, and requests of a round. */
const works = {
  'generator-batch': { batch: batchRecords, quick: 600, full: 4_000 },
  'generator-single': { batch: 1, quick: 20_000, full: 100_000 },
} as const

export async function generator(stage: Stage): Promise<void> {
  const { bench } = stage
  const scope = new Scope()
  const hasWrk = missingOf(['wrk']).length === 0
  if (!hasWrk) bench.say('SKIPPED: no wrk: there is no second opinion of our load')
  try {
    for (const [work, { batch, quick, full }] of Object.entries(works)) {
      const requests = bench.quick ? quick : full
      const body = bodyOf(batch, recordBytes)
      const whole = postOf(path, body)
      const sink = start(scope, process.execPath, [
        fileURLToPath(import.meta.resolve('./sink.ts')),
        String(whole.length),
      ])
      const sinkPort = Number(/\d+$/.exec(await sink.waitFor(/^port \d+$/))?.[0])
      const loadCores: number[] = []
      const contestants: Record<string, () => Promise<number>> = {
        sink: async () => {
          const posted = await post(sinkPort, () => [whole], requests, connections)
          loadCores.push(posted.loadCores)
          return (batch * requests) / posted.seconds
        },
      }
      for (const engine of stage.engines) {
        const broker = await stage.broker('generator', engine, { topics, memory: '64MiB' })
        contestants[engine] = async () =>
          (batch * requests) / (await broker.load(path, body, requests, connections)).seconds
        if (hasWrk) contestants[`${engine}-wrk`] = () => byWrk(bench.folder, broker.role.port, body, batch, bench.quick)
      }
      for (const warm of Object.values(contestants)) await warm()
      const figures: Partial<Record<string, Figure>> = await takeTurns(bench, bench.quick ? 2 : 3, contestants)
      for (const engine of stage.engines) {
        const peers = { wrk: figures[`${engine}-wrk`], sink: figures['sink'] }
        const hows = { sink: 'our load into a server that only answers', wrk: `wrk -t1 -c${connections}` }
        const figure = figures[engine]
        const extra = { engine, batch, connections, sink_load_cores: Math.max(...loadCores) }
        if (figure !== undefined) reportWith(stage, work, figure, peers, hows, extra)
      }
    }
  } finally {
    await scope.end()
  }
}

/** Records a second. @throws Error when wrk counts a refusal */
async function byWrk(folder: string, port: number, body: Buffer, batch: number, quick: boolean): Promise<number> {
  const bodyFile = join(folder, 'wrk-body')
  const script = join(folder, 'wrk.lua')
  await writeFile(bodyFile, body)
  await writeFile(
    script,
    `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/x-ndjson"\nwrk.body = io.open("${bodyFile}"):read("*a")\n`,
  )
  const seconds = quick ? '1' : '3'
  const text = await outputOf('wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}`,
    '-s',
    script,
    `http://127.0.0.1:${port}${path}`,
  ])
  if (text.includes('Non-2xx')) throw new Error(text)
  return batch * Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1])
}
