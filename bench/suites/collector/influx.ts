/** From a CSV file to InfluxDB 2, against Telegraf. Both must have all rows in the end. */

import { join } from 'node:path'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { type Figure, figureOf } from '../../load/rounds.ts'
import { type RowFile, writeRows } from './fleet.ts'
import { middleOf, type PipeRound, reportShares, throughPipe } from './pipe.ts'
import { type Database, startDatabase } from './server.ts'
import { type Layout, telegrafPath, throughTelegraf } from './telegraf.ts'

const layouts = ['whole', 'lean'] as const satisfies Layout[]

export async function csvToInflux(bench: Bench): Promise<void> {
  const scope = new Scope()
  try {
    const database = await startDatabase(bench, scope)
    if (database === undefined) return
    const telegraf = telegrafPath()
    if (telegraf === undefined) bench.say('no Telegraf: bench/peers/telegraf builds it')
    const file = await writeRows(bench.folder, bench.quick ? 40 : 400)
    const piped: PipeRound[] = []
    const peers: Record<Layout, number[]> = { whole: [], lean: [] }
    for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
      const bucket = `piped-${round}`
      const store = database.env(bucket)
      piped.push(await throughPipe(bench, join(bench.folder, bucket), file, { store, others: { influxdb: database } }))
      await assertWhole(database, bucket, file)
      for (const layout of telegraf === undefined ? [] : layouts) {
        const own = `telegraf-${layout}-${round}`
        const { rowsAS, cpuS } = await throughTelegraf(telegraf as string, bench.folder, file, database, own, layout)
        bench.say(`  telegraf, ${layout}: ${Math.round(rowsAS)} rows/s, ${cpuS.toFixed(1)} s of CPU time`)
        peers[layout].push(rowsAS)
        await assertWhole(database, own, file)
      }
    }
    const { median: value, spread } = figureOf(piped.map(({ rowsAS }) => rowsAS))
    const work = 'csv-to-influx2'
    const own = { work, unit: 'rows/s', value, spread, durability: 'fsync', rows: file.rows }
    if (telegraf === undefined) bench.report(own)
    for (const layout of telegraf === undefined ? [] : layouts) bench.report({ ...own, ...peerOf(layout, peers) })
    reportShares(bench, work, middleOf(piped), file.rows)
  } finally {
    await scope.end()
  }
}

function peerOf(layout: Layout, peers: Readonly<Record<Layout, readonly number[]>>) {
  const figure: Figure = figureOf(peers[layout])
  const peer = layout === 'whole' ? 'telegraf' : 'telegraf, series only'
  return { peer, peer_value: figure.median, peer_spread: figure.spread }
}

/** @throws Error when a row with a value is not there */
async function assertWhole(database: Database, bucket: string, file: RowFile): Promise<void> {
  const count = await database.count(bucket, 'gpu', 'value')
  const want = file.rows - file.blanks
  if (count !== want) throw new Error(`${bucket} has ${count} rows with a value: want ${want}`)
}
