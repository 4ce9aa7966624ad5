/**
 * Forgets series and GPUs that were last seen before what the store keeps, with their newest values, and owners whose time
 * ended before it. Once an hour, when the rows themselves are gone, in pieces.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type GpuState, gpuKey, type Known, type SeriesState } from './known.ts'
import { inOne } from './retention.ts'
import { hourS } from './rows.ts'

/** Series or GPUs that a piece looks after: some 20 ms of work. */
const pieceMax = 500

interface Job {
  readonly edgeS: number
  /** Keys of series to forget. */
  readonly series: string[]
  isForgotten: boolean
  /** Owners of GPUs below it are done. */
  nextGpu: number
}

export class Trimmer {
  readonly #db: DatabaseSync
  readonly #deleteLatest: StatementSync
  readonly #deleteSeries: StatementSync
  readonly #deleteOwners: StatementSync
  readonly #deleteGpu: StatementSync
  readonly #deleteEnded: StatementSync
  #job: Job | undefined
  #doneS = -1

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#deleteLatest = db.prepare('DELETE FROM latest WHERE series = ?')
    this.#deleteSeries = db.prepare('DELETE FROM series WHERE id = ?')
    this.#deleteOwners = db.prepare('DELETE FROM owners WHERE gpu = ?')
    this.#deleteGpu = db.prepare('DELETE FROM gpus WHERE id = ?')
    // The newest change up to the edge says whose the GPU was there, so it stays; and so do those that say the same before it.
    this.#deleteEnded = db.prepare(`
      DELETE FROM owners WHERE gpu >= :from AND gpu < :to AND s < :edge AND EXISTS (
        SELECT 1 FROM owners next WHERE next.gpu = owners.gpu AND (next.s, next.ns) > (owners.s, owners.ns)
          AND (next.s, next.ns) <= (:edge, 0) AND (next.namespace, next.pod, next.container, next.hpc_job, next.user)
            <> (owners.namespace, owners.pod, owners.container, owners.hpc_job, owners.user)
      )
    `)
  }

  /**
   * Does a piece, once nothing older than `cutS` is left in `points` and in the blocks of whole hours.
   *
   * @returns whether there is more
   */
  piece(known: Known, cutS: number): boolean {
    // Blocks go by the hour, so a series may have rows up to that.
    const edgeS = Math.floor(cutS / hourS) * hourS
    if (this.#job === undefined) {
      if (edgeS <= this.#doneS) return false
      const series = [...known.series].flatMap(([key, { s }]) => (s < edgeS ? [key] : []))
      this.#job = { edgeS, series, isForgotten: false, nextGpu: 0 }
    }
    const job = this.#job
    try {
      if (!job.isForgotten) this.#forget(known, job)
      if (job.isForgotten) this.#endOwners(job)
    } catch (error) {
      this.#job = undefined
      throw error
    }
    if (!job.isForgotten || job.nextGpu < known.nextGpuId) return true
    this.#doneS = job.edgeS
    this.#job = undefined
    return false
  }

  #forget(known: Known, job: Job): void {
    const { edgeS, series: keys } = job
    // What was written to since is no longer old.
    const old = keys.splice(0, pieceMax).flatMap((key) => {
      const series = known.series.get(key)
      return series === undefined || series.s >= edgeS ? [] : [{ key, series }]
    })
    const gone = keys.length > 0 ? [] : withoutSeries(known, new Set(old.map(({ series }) => series)))
    inOne(this.#db, () => {
      for (const { series } of old) {
        this.#deleteLatest.run(series.id)
        this.#deleteSeries.run(series.id)
      }
      for (const [, { id }] of gone) {
        this.#deleteOwners.run(id)
        this.#deleteGpu.run(id)
      }
    })
    job.isForgotten = keys.length === 0
    // Only now, as memory must not be ahead of the file.
    for (const { key, series } of old) {
      known.series.delete(key)
      for (const [metric, plain] of series.gpu?.plain ?? []) if (plain === series) series.gpu?.plain.delete(metric)
    }
    for (const [key] of gone) {
      known.gpus.delete(key)
      const uuid = key.slice(0, key.indexOf('\0'))
      if (key === gpuKey({ uuid, gpu_i_id: '' })) known.whole.delete(uuid)
    }
  }

  #endOwners(job: Job): void {
    const from = job.nextGpu
    job.nextGpu += pieceMax
    inOne(this.#db, () => this.#deleteEnded.run({ from, to: job.nextGpu, edge: job.edgeS }))
  }
}

/** GPUs that have no series beside those that go. */
function withoutSeries(known: Known, going: ReadonlySet<SeriesState>): [string, GpuState][] {
  const seen = new Set<GpuState>()
  for (const series of known.series.values()) {
    if (series.gpu !== undefined && !going.has(series)) seen.add(series.gpu)
  }
  return [...known.gpus].filter(([, gpu]) => !seen.has(gpu))
}
