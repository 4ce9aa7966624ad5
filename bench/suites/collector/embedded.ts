/** From a CSV file to the embedded store, against the store alone: the same records, with neither wire nor log in between. */

import { join } from 'node:path'
import { openStore } from '#store/open'

import type { Bench } from '../../measure.ts'
import { figureOf } from '../../load/rounds.ts'
import { moments, writeRows } from './fleet.ts'
import { middleOf, type PipeRound, reportShares, throughPipe } from './pipe.ts'

export async function csvToEmbedded(bench: Bench): Promise<void> {
  // Of 1 million rows a third passes before everything is compiled: 4 million show what a file of a day would.
  const steps = bench.quick ? 40 : 1600
  const file = await writeRows(bench.folder, steps)
  const direct: number[] = []
  const piped: PipeRound[] = []
  for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
    direct.push(await storeAlone(join(bench.folder, `direct-${round}`), steps))
    piped.push(await throughPipe(bench, join(bench.folder, `piped-${round}`), file))
  }
  const { median, spread } = figureOf(piped.map(({ rowsAS }) => rowsAS))
  const alone = figureOf(direct)
  const work = 'csv-to-embedded'
  const peer = { peer: 'store alone', peer_value: alone.median, peer_spread: alone.spread }
  bench.report({ work, unit: 'rows/s', value: median, spread, ...peer, durability: 'fsync', rows: file.rows })
  reportShares(bench, work, middleOf(piped), file.rows)
}

/** Writes the records, a moment at a time, and returns records a second. */
async function storeAlone(folder: string, steps: number): Promise<number> {
  const store = await openStore({ dataDir: folder })
  try {
    let offset = 0
    let busyMs = 0
    for (const records of moments(steps)) {
      const startedMs = performance.now()
      const offsets = records.map((_, index) => offset + index)
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
