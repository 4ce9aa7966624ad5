/** Values over time: of series, and across all GPUs. */

import type { DatabaseSync } from 'node:sqlite'
import {
  type AcrossQuery,
  type AcrossValue,
  type RangeQuery,
  type RangeSeries,
  rangeLimitDefault,
  type RangeValue,
} from '../store.ts'
import { ownerAt } from '../owners.ts'
import { filled, type Window } from '../windows.ts'
import { type Hour, readHours } from './history.ts'
import { type Moment, momentOf, timeOf } from './instants.ts'
import { prepared } from './kept.ts'
import { readChanges } from './owners.ts'
import { entriesFor, servesRollups } from './rollup.ts'
import { gpuOrder, type Row, Where } from './where.ts'
import { WindowsBuilder } from './windows.ts'
import type { Labels } from '#telemetry/record'
import { formatTime, type Instant } from '#telemetry/time'

export function readRange(db: DatabaseSync, query: RangeQuery): RangeSeries[] {
  const where = new Where().equal('sr.metric', query.metric).equal('g.uuid', query.uuid)
  where.equal('g.gpu_i_id', query.gpu_i_id).oneOf('g.uuid', query.uuids)
  // Where GPUs are named, from them to their series: the other way round looks at those of every GPU, twenty times as long for
  // one of a thousand.
  const isNamed = query.uuid !== undefined || query.uuids !== undefined
  const from = isNamed ? 'gpus g CROSS JOIN series sr ON sr.gpu = g.id' : 'series sr LEFT JOIN gpus g ON g.id = sr.gpu'
  const text = `SELECT sr.id, sr.gpu, sr.labels, g.uuid, g.gpu_i_id FROM ${from} ${where.sql} ORDER BY ${gpuOrder}, sr.key`
  const statement = prepared(db, text)
  const times = new Map<number, string>()
  const found = (statement.all(...where.values) as Row[]).map((row) => ({
    id: row.id as number,
    values: query.windowMs === undefined ? new PlainValues(query) : new WindowValues(query, query.windowMs, times),
    series: {
      kind: row.gpu === null ? ('metric' as const) : ('gpu' as const),
      metric: query.metric,
      uuid: (row.uuid ?? '') as string,
      gpu_i_id: (row.gpu_i_id ?? '') as string,
      labels: JSON.parse(row.labels as string) as Labels,
    },
  }))
  const ids = found.map(({ id }) => id)
  const since = query.start === undefined ? { s: 0, ns: 0 } : momentOf(query.start)
  const to = query.end === undefined ? never : momentOf(query.end)
  // Windows are made in the order of time, whichever is asked for, since some look back.
  const order = query.windowMs === undefined ? query.order : 'asc'
  for (const hour of readHours(db, { metric: query.metric, ids }, since, to, order)) {
    const open = found.filter(({ values }) => !values.isFull)
    if (open.length === 0) break
    for (const { id, values } of open) values.add(hour, id)
  }
  return found.map(({ series, values }) => ({ ...series, values: values.finish() }))
}

/** Behind every time that a record may have. */
const never: Moment = { s: 9_300_000_000, ns: 0 }

/** The rows as they are. */
class PlainValues {
  readonly #limit: number
  readonly #isReversed: boolean
  readonly #values: RangeValue[] = []

  constructor({ limit = rangeLimitDefault, order }: RangeQuery) {
    this.#limit = limit
    this.#isReversed = order === 'desc'
  }

  get isFull(): boolean {
    return this.#values.length >= this.#limit
  }

  add(hour: Hour, series: number): void {
    const { times, values } = hour.rows(series)
    const count = Math.min(times.length, this.#limit - this.#values.length)
    for (let done = 0; done < count; done++) {
      const index = this.#isReversed ? times.length - 1 - done : done
      const time = times[index] as number
      const ms = Math.floor(time / 1e6)
      const value = values[index] as number
      this.#values.push({
        time: formatTime({ ms: hour.ms + ms, ns: time - ms * 1e6 }),
        value: Number.isNaN(value) ? null : value,
      })
    }
  }

  finish(): RangeValue[] {
    return this.#values
  }
}

class WindowValues {
  readonly #query: RangeQuery
  readonly #windowMs: number
  readonly #limit: number
  readonly #builder: WindowsBuilder
  readonly #times: Map<number, string>
  /** The place of the first window that is answered. */
  readonly #first: number
  readonly #windows: Window[] = []
  /** Of the last window before it. */
  #previous: number | null = null

  /** @param times of windows by place, for all series: writing them takes longer than all else */
  constructor(query: RangeQuery, windowMs: number, times: Map<number, string>) {
    this.#query = query
    this.#windowMs = windowMs
    this.#times = times
    this.#limit = query.limit ?? rangeLimitDefault
    this.#builder = new WindowsBuilder(windowMs, query.fn ?? 'mean')
    this.#first = query.answerFrom === undefined ? -Infinity : Math.floor(query.answerFrom.ms / windowMs)
  }

  get isFull(): boolean {
    return this.#query.order !== 'desc' && this.#windows.length >= this.#limit
  }

  add(hour: Hour, series: number): void {
    addHour(this.#builder, this.#windowMs, hour, series)
    this.#take(this.#builder.take())
  }

  finish(): RangeValue[] {
    const { start, end, fill = 'none', answerFrom, order } = this.#query
    this.#take(this.#builder.finish())
    const places = {
      from: answerFrom === undefined ? start && Math.floor(start.ms / this.#windowMs) : this.#first,
      to: end && placeBehind(end, this.#windowMs),
      max: this.#limit,
      order,
      previous: this.#previous,
    }
    return filled(this.#windows, fill, places).map(({ place, value }) => {
      let time = this.#times.get(place)
      if (time === undefined) this.#times.set(place, (time = windowTime(place, this.#windowMs)))
      return { time, value }
    })
  }

  #take(windows: readonly Window[]): void {
    for (const window of windows) {
      if (window.place >= this.#first) this.#windows.push(window)
      else this.#previous = window.value
    }
  }
}

/** From the rollup where there is one that serves, or else from the rows. */
function addHour(builder: WindowsBuilder, windowMs: number, hour: Hour, series: number): void {
  const rollup = builder.takesRollups && servesRollups(windowMs) ? hour.rollup(series, builder.columns) : undefined
  const entries = rollup && entriesFor(rollup, windowMs, builder.fn)
  if (rollup !== undefined && entries !== undefined) builder.addRollup(hour.ms, rollup, ...entries)
  else builder.addRows(hour.ms, hour.rows(series))
}

/** The first window of which nothing is before the instant. */
function placeBehind({ ms, ns }: Instant, windowMs: number): number {
  const place = Math.floor(ms / windowMs)
  return place * windowMs === ms && ns === 0 ? place : place + 1
}

function windowTime(place: number, windowMs: number): string {
  const startMs = place * windowMs
  return timeOf(Math.floor(startMs / 1000), (startMs % 1000) * 1_000_000)
}

/** Hour by hour, and what is closed of each series is put into its windows at once, so that they need not all be kept. */
export function readAcross(db: DatabaseSync, query: AcrossQuery): AcrossValue[] {
  const { metric, windowMs, fn, by } = query
  const rows = db.prepare('SELECT id, gpu FROM series WHERE metric = ? AND gpu IS NOT NULL').all(metric)
  const series = (rows as { id: number; gpu: number }[]).map((row) => ({
    ...row,
    builder: new WindowsBuilder(windowMs, 'mean'),
  }))
  const groupOf = by === undefined ? () => '' : groups(db, by, windowMs)
  const windows = new Map<number, Map<string, Sum>>()
  const put = (gpu: number, means: readonly Window[]): void => {
    for (const { place, value } of means) {
      let window = windows.get(place)
      if (window === undefined) windows.set(place, (window = new Map()))
      const group = groupOf(gpu, place)
      const sum = window.get(group)
      if (sum === undefined) window.set(group, new Sum(value))
      else sum.add(value)
    }
  }
  const ids = series.map(({ id }) => id)
  for (const hour of readHours(db, { metric, ids }, momentOf(query.start), momentOf(query.end))) {
    for (const { id, gpu, builder } of series) {
      addHour(builder, windowMs, hour, id)
      put(gpu, builder.take())
    }
  }
  for (const { gpu, builder } of series) put(gpu, builder.finish())
  return [...windows]
    .sort(([a], [b]) => a - b)
    .flatMap(([place, groups]) =>
      [...groups]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([group, sum]) => {
          const value = { time: windowTime(place, windowMs), value: sum.value(fn), series: sum.count }
          return by === undefined ? value : { group, ...value }
        }),
    )
}

/** What the series of a group have in a window. */
class Sum {
  count = 0
  #sum = 0
  #min = Infinity
  #max = -Infinity

  constructor(value: number | null) {
    this.add(value)
  }

  add(value: number | null): void {
    if (value === null) return
    this.count++
    this.#sum += value
    this.#min = Math.min(this.#min, value)
    this.#max = Math.max(this.#max, value)
  }

  value(fn: AcrossQuery['fn']): number | null {
    if (this.count === 0) return null
    return { sum: this.#sum, mean: this.#sum / this.count, min: this.#min, max: this.#max }[fn]
  }
}

/** What a GPU counts for in a window. */
function groups(
  db: DatabaseSync,
  by: NonNullable<AcrossQuery['by']>,
  windowMs: number,
): (gpu: number, place: number) => string {
  if (by === 'namespace') {
    const changes = readChanges(db)
    return (gpu, place) => ownerAt(changes.get(gpu) ?? [], { ms: place * windowMs, ns: 0 }).namespace
  }
  const rows = db.prepare(`SELECT id, ${by} AS name FROM gpus`).all() as unknown as { id: number; name: string }[]
  const names = new Map(rows.map(({ id, name }) => [id, name]))
  return (gpu) => names.get(gpu) ?? ''
}
