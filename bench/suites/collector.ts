/**
 * `npm run bench -- collector [work …]`: rows a second from a CSV file to stored rows, and what the store takes by itself.
 *
 * - `csv-to-influx2`: through streamer, broker (`fsync`) and collector into InfluxDB 2, each its own process, against Telegraf,
 *   which reads the same file and writes to the same server, with no log in between.
 * - `csv-to-embedded`: the same into the embedded store, against the store alone in one process.
 * - `influx-write`: what the engine for InfluxDB writes of ready records, against ready line protocol of the same points.
 */

import type { Bench } from '../measure.ts'
import { csvToEmbedded } from './collector/embedded.ts'
import { csvToInflux } from './collector/influx.ts'
import { influxWrite } from './collector/write.ts'

const works: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  'csv-to-influx2': csvToInflux,
  'csv-to-embedded': csvToEmbedded,
  'influx-write': influxWrite,
}

export async function run(bench: Bench): Promise<void> {
  const unknown = bench.parts.filter((part) => works[part] === undefined)
  if (unknown.length > 0) throw new Error(`no work ${unknown.join(', ')}; there are ${Object.keys(works).join(', ')}`)
  for (const [name, work] of Object.entries(works)) {
    if (bench.parts.length > 0 && !bench.parts.includes(name)) continue
    bench.say(name)
    await work(bench)
  }
}
