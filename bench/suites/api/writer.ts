/**
 * `node writer.ts DATA_DIR RATE`: writes values of the fleet of `fill.ts`, of now, in batches as a collector does, until it is
 * killed. A line of JSON on standard output after each second: how many were written, how far it is behind, and its processor time.
 */

import { EmbeddedStore } from '#store/embedded/engine'
import { embeddedPath } from '#store/open'
import { Fleet } from '#streamer/fleet/fleet'
import { fleetOptions, writeRecords } from './fill.ts'

const [dataDir = '', rateText = '0'] = process.argv.slice(2)
const rate = Number(rateText)
const batchesPerSecond = 4

const store = await EmbeddedStore.open(embeddedPath(dataDir))
const fleet = new Fleet({ ...fleetOptions, startMs: Math.floor(Date.now() / 1000) * 1000, stepMs: 1000 })
const startedMs = performance.now()
const records = [...fleet.step().gpu]
let offset = 1_000_000
for (let batch = 1; ; batch++) {
  const size = Math.round(rate / batchesPerSecond)
  while (records.length < size) records.push(...fleet.step().gpu)
  offset = await writeRecords(store, records.splice(0, size), offset)
  const aheadMs = startedMs + (1000 * batch) / batchesPerSecond - performance.now()
  if (batch % batchesPerSecond === 0) {
    const { user, system } = process.cpuUsage()
    const cpu_ms = Math.round((user + system) / 1000)
    console.log(JSON.stringify({ written: batch * size, behind_ms: Math.round(Math.max(0, -aheadMs)), cpu_ms }))
  }
  if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs))
}
