/**
 * `npm run bench -- pipeline`: what it costs to watch the pipeline. The same file goes from CSV to the embedded store in turns
 *
 * - `plain`: nobody asks for the metrics (which are counted all the same), and there are no traces;
 * - `metrics`: each role's metrics are asked for every 5 s, three times as often as Prometheus does by itself;
 * - `metrics and traces`: and one batch in a hundred is traced, to a receiver in this process.
 *
 * Held against each other is the processor time of all roles for a row: by the clock the differences are smaller than what lies between two runs.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { rm } from 'node:fs/promises'

import type { Bench } from '../measure.ts'
import { writeRows } from './collector/fleet.ts'
import { type PipeOptions, throughPipe } from './collector/pipe.ts'
import { report, takeTurns } from '../load/rounds.ts'

const scrapeMs = 5_000

export async function run(bench: Bench): Promise<void> {
  const file = await writeRows(bench.folder, bench.quick ? 100 : 800)
  const receiver = await openReceiver()
  try {
    let round = 0
    const costOf = (options: PipeOptions) => async (): Promise<number> => {
      const folder = join(bench.folder, `round-${round++}`)
      const { cpuS } = await throughPipe(bench, folder, file, options)
      await rm(folder, { recursive: true })
      return (1e6 * Object.values(cpuS).reduce((sum, seconds) => sum + seconds, 0)) / file.rows
    }
    const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_TRACES_SAMPLER_ARG: '0.01' }
    const { plain, ...watched } = await takeTurns(bench, bench.quick ? 1 : 7, {
      plain: costOf({}),
      metrics: costOf({ scrapeMs }),
      'metrics and traces': costOf({ scrapeMs, settings }),
    })
    for (const [work, figure] of Object.entries(watched)) {
      report(bench, `cost with ${work}`, 'us/row', figure, { plain }, { rows: file.rows, goal: 1.03 })
    }
    bench.say(`spans that came: ${receiver.spans()}`)
  } finally {
    await receiver.close()
  }
}

/** Takes what an OpenTelemetry exporter sends, and counts its spans. */
async function openReceiver() {
  let spans = 0
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      spans += Buffer.concat(pieces).toString().split('"spanId"').length - 1
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => spans,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
