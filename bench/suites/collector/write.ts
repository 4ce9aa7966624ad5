/** What the engine for InfluxDB writes of ready records, against ready line protocol of the same points. */

import { InfluxStore } from '#store/influx/engine'
import { gpuTags, headOf, timeDigits } from '#store/influx/lines'
import type { GpuRecord } from '#telemetry/record'
import { type Instant, parseTime } from '#telemetry/time'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { report, secondsOf, sideBySide, takeTurns } from '../log/rounds.ts'
import { moments } from './fleet.ts'
import { type Database, startDatabase } from './server.ts'

/** Points of a body, and bodies at once: what the server takes best. */
const bodyPoints = 5_000
const bodiesAtOnce = 4
/** Logs that the records come from, and so batches at once. */
const logs = 4
/** `BATCH_RECORDS`. While more waits than that, as here, a collector hands over larger batches. */
const batchRecords = 5_000

export async function influxWrite(bench: Bench): Promise<void> {
  const scope = new Scope()
  try {
    const database = await startDatabase(bench, scope)
    if (database === undefined) return
    const byLog: GpuRecord[][] = Array.from({ length: logs }, () => [])
    const shareOf = new Map<string, number>()
    const lines: string[] = []
    for (const moment of moments(bench.quick ? 40 : 250)) {
      for (const record of moment) {
        // A GPU is of one partition.
        let share = shareOf.get(record.uuid)
        if (share === undefined) shareOf.set(record.uuid, (share = shareOf.size % logs))
        byLog[share]?.push(record)
        lines.push(lineOf(record))
      }
    }
    let round = 0
    const contestants = {
      engine: async () => lines.length / (await throughEngine(database, `engine-${round++}`, byLog)),
      'ready line protocol': async () => lines.length / (await readyLines(database, `ready-${round++}`, lines)),
    }
    // A collector runs for months: in the first round the engine takes twice its time, while it is compiled.
    bench.say('once each, uncounted')
    for (const contestant of Object.values(contestants)) await contestant()
    const figures = await takeTurns(bench, bench.quick ? 2 : 5, contestants)
    const { engine, ...peers } = figures
    report(bench, 'influx-write', 'points/s', engine, peers, { rows: lines.length })
  } finally {
    await scope.end()
  }
}

function lineOf(record: GpuRecord): string {
  const field = record.value === null ? 'reported=false' : `value=${record.value}`
  return `${headOf('gpu', gpuTags(record))} ${field} ${timeDigits(parseTime(record.time) as Instant)}`
}

async function readyLines(database: Database, bucket: string, lines: readonly string[]): Promise<number> {
  await database.newBucket(bucket)
  const bodies: string[] = []
  for (let from = 0; from < lines.length; from += bodyPoints)
    bodies.push(lines.slice(from, from + bodyPoints).join('\n'))
  return secondsOf(() => sideBySide(bodies.length, bodiesAtOnce, (at) => database.write(bucket, bodies[at] as string)))
}

/** The records of each log in batches one after the other, the logs beside each other, as a collector has them. */
async function throughEngine(
  database: Database,
  bucket: string,
  byLog: readonly (readonly GpuRecord[])[],
): Promise<number> {
  const { influxdbUrl: url, influxdbToken: token, influxdbOrg: org } = database.settings
  const options = { url, token, org, bucket, retentionMs: 0, seriesMax: 1_000_000, nowMs: () => 0 }
  const store = new InfluxStore(options)
  try {
    await store.totals()
    return await secondsOf(() =>
      sideBySide(logs, logs, async (log) => {
        const records = byLog[log] as readonly GpuRecord[]
        const most = batchRecords * store.writeGrowth
        for (let from = 0; from < records.length; from += most) {
          const own = records.slice(from, from + most)
          const offsets = own.map((_, index) => from + index)
          const place = { logId: String(log).padStart(16, '0'), broker: 0, partition: log }
          const part = { ...place, records: own, offsets, dead: [], next: from + own.length }
          await store.write({ topic: 'telemetry', parts: [part] })
        }
      }),
    )
  } finally {
    await store.close()
  }
}
