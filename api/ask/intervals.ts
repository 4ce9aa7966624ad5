/** How often a source gives values: learned from the last ones that the store has of one of its series. */

import type { LatestRow, Store } from '#store/store'
import { type Instant, parseTime } from '#telemetry/time'
import type { StoreReader } from './reader.ts'
import { after, isBefore, minus } from './times.ts'

/** How far back is looked, the shortest first: most sources give a value within seconds, some within hours. */
const backMs = [300_000, 3_600_000, 86_400_000] as const

/** So many values tell an interval. */
const valuesMin = 3

/** Of more values the last ones count. */
const gapsMax = 50

/** What was learned is good for so long: an interval changes when somebody changes the source. */
const keepMs = 300_000
const keptMax = 10_000

export class Intervals {
  readonly #reader: StoreReader
  readonly #known = new Map<string, { readonly atMs: number; readonly intervalS: number | null }>()

  constructor(reader: StoreReader) {
    this.#reader = reader
  }

  /**
   * The interval of a source in seconds; `null` where there are too few values to tell.
   *
   * @param source what the interval is remembered by
   * @param rows the newest of some of its series: the first that tells is believed
   * @param first no value of the source is older
   */
  async of(
    source: string,
    rows: readonly LatestRow[],
    first: Instant | undefined,
    nowMs: number,
  ): Promise<number | null> {
    const known = this.#known.get(source)
    if (known !== undefined && nowMs >= known.atMs && nowMs - known.atMs < keepMs) return known.intervalS
    const intervalS = await this.#look(rows, first)
    if (this.#known.size >= keptMax) this.#known.clear()
    this.#known.set(source, { atMs: nowMs, intervalS })
    return intervalS
  }

  async #look(rows: readonly LatestRow[], first: Instant | undefined): Promise<number | null> {
    for (const ms of backMs) {
      for (const row of rows) {
        const newest = parseTime(row.time) as Instant
        const start = minus(newest, ms)
        const from = first !== undefined && isBefore(start, first) ? first : start
        const interval = intervalOf(await this.#reader.ask((store) => timesOf(store, row, from, newest), []))
        if (interval !== null) return interval
      }
      const [newest] = rows
      const isAll = first !== undefined && newest !== undefined && msOf(newest.time) - ms <= first.ms
      if (isAll) return null
    }
    return null
  }
}

/** The times of the values of one series. */
async function timesOf(store: Store, row: LatestRow, start: Instant, newest: Instant): Promise<string[]> {
  const ofGpu = row.kind === 'gpu' ? { uuid: row.uuid, gpu_i_id: row.gpu_i_id } : {}
  const labels = JSON.stringify(row.labels)
  const all = await store.range({ metric: row.metric, ...ofGpu, start, end: after(newest) })
  const own = all.find((series) => series.kind === row.kind && JSON.stringify(series.labels) === labels)
  return own?.values.map(({ time }) => time) ?? []
}

/** The median time between the last of these, in seconds. @param times rising */
export function intervalOf(times: readonly string[]): number | null {
  const all = times.slice(-gapsMax - 1).map(msOf)
  const gaps = all.slice(1).map((ms, place) => ms - (all[place] as number))
  const real = gaps.filter((gap) => gap > 0).sort((a, b) => a - b)
  return real.length < valuesMin - 1 ? null : (real[real.length >> 1] as number) / 1000
}

function msOf(time: string): number {
  return parseTime(time)?.ms ?? NaN
}
