/** How many series there are, and whether more may come. */

import type { Tags } from './lines.ts'
import { oneOf, where } from './influxql.ts'
import { measurements } from './schema.ts'
import type { Server } from './server.ts'

/** A series that a writer has not seen yet. */
export interface Newcomer {
  readonly measurement: string
  readonly tags: Tags
  readonly head: string
}

export class SeriesLimit {
  readonly #server: Server
  readonly #database: string
  /** Series that there may be. */
  readonly max: number
  /** At least as many as there are; `undefined` before they were counted. */
  #count: number | undefined

  constructor(server: Server, database: string, max: number) {
    this.#server = server
    this.#database = database
    this.max = max
  }

  /** Those of some series that would be too many, by head. The others are counted as there. */
  async refuse(newcomers: readonly Newcomer[]): Promise<ReadonlySet<string>> {
    // InfluxDB 3 does not tell its series, and does not suffer from them.
    if (newcomers.length === 0 || !this.#server.dialect.showsSeries) return new Set()
    let fresh = newcomers
    this.#count ??= await this.#read()
    if (this.#count + fresh.length > this.max) {
      // The count has those twice that were written and forgotten here, and lacks those of other collectors.
      this.#count = await this.#read()
      if (this.#count + fresh.length > this.max) fresh = await this.#absent(newcomers)
    }
    const room = Math.max(0, this.max - this.#count)
    this.#count += Math.min(room, fresh.length)
    return new Set(fresh.slice(room).map(({ head }) => head))
  }

  async #read(): Promise<number> {
    const from = `FROM ${measurements.join(', ')}`
    const [series = []] = await this.#server.query(this.#database, [`SHOW SERIES EXACT CARDINALITY ${from}`])
    return series.reduce((sum, { values }) => sum + Number(values[0]?.[0] ?? 0), 0)
  }

  /** Those that are not there. */
  async #absent(newcomers: readonly Newcomer[]): Promise<Newcomer[]> {
    const there = new Set<string>()
    for (const measurement of measurements) {
      const own = newcomers.filter((newcomer) => newcomer.measurement === measurement)
      if (own.length === 0) continue
      const which = where(
        oneOf('metric', new Set(own.map(({ tags }) => tags['metric'] as string))),
        measurement === 'gpu' ? oneOf('uuid', new Set(own.map(({ tags }) => tags['uuid'] as string))) : undefined,
      )
      const [series = []] = await this.#server.query(this.#database, [`SHOW SERIES FROM ${measurement}${which}`])
      for (const { values } of series) for (const [key] of values) there.add(String(key))
    }
    return newcomers.filter(({ head }) => !there.has(head))
  }
}
