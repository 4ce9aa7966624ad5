/** A store of 1,000 GPUs with a day behind it: sealed hours whose blocks are made directly, which takes a tenth of writing them. */

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encodeRollup, encodeRows } from '#store/embedded/block'
import { EmbeddedStore } from '#store/embedded/engine'
import { rollupOf } from '#store/embedded/rollup'
import { embeddedPath } from '#store/open'
import { Fleet } from '#streamer/fleet/fleet'
import type { GpuRecord } from '#telemetry/record'

const hours = 24
const hourMs = 3_600_000

/** 1,000 GPUs; the model leaves one out. */
export const fleetOptions = { seed: 1, hosts: 125, gpusPerHost: 8, transfersPerMinute: 0 }

export interface Filled {
  readonly uuids: readonly string[]
  readonly points: number
  /** Between two values of a series. */
  readonly stepMs: number
}

/** 10 metrics of 999 GPUs make ten million of it. */
const valuesAnHour = 42

/** A kept one ends where it was filled: after that long its newest hour would be missing from the last day. */
const keptMsMax = 1_800_000

/** The same, once for several runs: out of the folder where it is kept, or else put there. */
export async function filledOnce(
  dataDir: string,
  metrics: readonly string[] | 'all',
  keptIn: string | undefined,
): Promise<Filled> {
  const nowMs = Date.now()
  if (keptIn === undefined) return fill(dataDir, metrics, nowMs)
  const about = join(keptIn, 'filled.json')
  const kept = existsSync(about) ? (JSON.parse(readFileSync(about, 'utf8')) as Kept) : undefined
  const isRight = kept?.metrics === String(metrics) && nowMs - kept.atMs < keptMsMax
  if (!isRight) {
    rmSync(keptIn, { recursive: true, force: true })
    const filled = await fill(join(keptIn, 'data'), metrics, nowMs)
    writeFileSync(about, JSON.stringify({ filled, metrics: String(metrics), atMs: nowMs } satisfies Kept))
    return filledOnce(dataDir, metrics, keptIn)
  }
  cpSync(join(keptIn, 'data'), dataDir, { recursive: true })
  return kept.filled
}

interface Kept {
  readonly filled: Filled
  readonly metrics: string
  readonly atMs: number
}

/** @param metrics those that have a day behind them; each has its newest value */
async function fill(dataDir: string, metrics: readonly string[] | 'all', nowMs: number): Promise<Filled> {
  const endMs = Math.floor(nowMs / hourMs) * hourMs
  const startMs = endMs - hours * hourMs
  const probe = new Fleet({ ...fleetOptions, startMs, stepMs: 1000 })
  const only = metrics === 'all' ? {} : { metrics }
  const fleet = new Fleet({ ...fleetOptions, ...only, startMs, stepMs: Math.floor(hourMs / valuesAnHour) })
  mkdirSync(dirname(embeddedPath(dataDir)), { recursive: true })
  const store = await EmbeddedStore.open(embeddedPath(dataDir))
  await writeRecords(store, probe.step().gpu, 0)
  await store.close()

  const db = new DatabaseSync(embeddedPath(dataDir))
  db.exec('DELETE FROM points')
  const rows = db.prepare('SELECT s.id, s.metric, g.uuid FROM series s JOIN gpus g ON g.id = s.gpu').all()
  const ids = new Map(rows.map((row) => [`${String(row['metric'])} ${String(row['uuid'])}`, Number(row['id'])]))
  const insertHour = db.prepare('INSERT INTO hours VALUES (?, ?)')
  const insertBlock = db.prepare('INSERT INTO blocks (hour, series, rollup, rows) VALUES (?, ?, ?, ?)')
  const times = Float64Array.from(
    { length: valuesAnHour },
    (_, step) => Math.floor((step * hourMs) / valuesAnHour) * 1e6,
  )
  let written = 0
  for (let hour = 0; hour < hours; hour++) {
    const columns = fleet.metrics.map(() => fleet.gpus.map(() => new Float64Array(valuesAnHour)))
    for (let step = 0; step < valuesAnHour; step++) {
      const { values } = fleet.sample()
      columns.forEach((gpus, metric) => {
        gpus.forEach((column, gpu) => (column[step] = values[metric * gpus.length + gpu] ?? NaN))
      })
    }
    const absolute = startMs / hourMs + hour
    db.exec('BEGIN')
    for (const [metric, gpus] of columns.entries()) {
      for (const [gpu, values] of gpus.entries()) {
        const id = ids.get(`${fleet.metrics[metric]} ${fleet.gpus[gpu]?.device.uuid}`)
        if (id === undefined) continue
        insertBlock.run(absolute, id, encodeRollup(rollupOf({ times, values })), encodeRows({ times, values }))
        written += valuesAnHour
      }
    }
    insertHour.run(absolute, written)
    db.exec('COMMIT')
  }
  db.close()
  return {
    uuids: fleet.gpus.map(({ device }) => device.uuid),
    points: written,
    stepMs: Math.floor(hourMs / valuesAnHour),
  }
}

/** @returns the offset behind them */
export async function writeRecords(store: EmbeddedStore, records: readonly GpuRecord[], from: number): Promise<number> {
  const offsets = records.map((_, index) => from + index)
  const next = from + records.length
  const part = { logId: '0'.repeat(16), broker: 0, partition: 0, dead: [], next, records, offsets }
  await store.write({ topic: 'telemetry', parts: [part] })
  return next
}
