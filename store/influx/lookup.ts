/** What a writer asks the database before it writes: which rows are there already. */

import type { Instant } from '#telemetry/time'
import { instantOf, oneOf, timeFrom, where } from './influxql.ts'
import { headOf, type Tags, tagText, timeDigits } from './lines.ts'
import { isBefore, type PointRecord } from './memory.ts'
import type { Server } from './server.ts'

/** A row that is there. */
export interface Newest {
  readonly at: Instant
  readonly hasValue: boolean
  readonly tags: Tags
}

/** Times that lie so close are asked for by one range; the rows between come along. */
const gapMsMax = 60_000
const gapMsMin = 1_000
/** More names than this in a condition cost the server more than rows that were not asked for. */
export const namesMax = 500
const statementsMax = 100

/**
 * The newest row of each series that has one at `from` or later, by head.
 *
 * @param records of the series of interest; others may come along
 */
export async function readNewest(
  server: Server,
  database: string,
  records: readonly PointRecord[],
  from: Instant,
): Promise<Map<string, Newest>> {
  const newest = new Map<string, Newest>()
  for (const kind of kindsOf(records)) {
    // Of a GPU all metrics: the newest of them is its newest sighting.
    const [uuids, metrics] = filters(records, kind)
    const which = where(timeFrom(from), kind === 'gpu' ? uuids : metrics)
    const select = (field: string): string => `SELECT last(${field}) FROM ${kind}${which} GROUP BY *`
    const [values = [], others = []] = await server.query(database, [select('value'), select('reported')])
    const add = (hasValue: boolean, { tags, values }: (typeof others)[number]): void => {
      const head = headOf(kind, tags)
      const at = instantOf(values[0]?.[0])
      const rival = newest.get(head)
      // A row that has both was written without a value first: the value stands.
      if (rival === undefined || isBefore(rival.at, at)) newest.set(head, { at, hasValue, tags })
    }
    for (const series of values) add(true, series)
    for (const series of others) add(false, series)
  }
  return newest
}

/** Rows that may be there: by head, then by the digits of their time, whether they have a value. */
export type Existing = ReadonlyMap<string, ReadonlyMap<string, boolean>>

export interface Place {
  readonly record: PointRecord
  readonly at: Instant
}

/** Which of some identities are there; rows beside them may come along. */
export async function readExisting(server: Server, database: string, places: readonly Place[]): Promise<Existing> {
  const existing = new Map<string, Map<string, boolean>>()
  for (const kind of kindsOf(places.map(({ record }) => record))) {
    const own = places.filter(({ record }) => record.kind === kind)
    const statements = clustersOf(own).map((cluster) => {
      const records = cluster.map(({ record }) => record)
      const [first, last] = [cluster[0] as Place, cluster.at(-1) as Place]
      const which = where(timeFrom(first.at), `time <= ${timeDigits(last.at)}`, ...filters(records, kind))
      return `SELECT value, reported FROM ${kind}${which} GROUP BY *`
    })
    for (let from = 0; from < statements.length; from += statementsMax) {
      const answers = await server.query(database, statements.slice(from, from + statementsMax))
      for (const { tags, values } of answers.flat()) {
        const head = headOf(kind, tags)
        const rows = existing.get(head) ?? new Map<string, boolean>()
        existing.set(head, rows)
        for (const [time, value] of values) rows.set(timeDigits(instantOf(time)), value !== null)
      }
    }
  }
  return existing
}

/**
 * Places by time, cut where nothing is asked for over a longer time: twice what usually lies between two, so that samples
 * taken at an interval are one cluster, however long it is.
 */
function clustersOf(places: readonly Place[]): Place[][] {
  const sorted = places.toSorted(({ at: a }, { at: b }) => a.ms - b.ms || a.ns - b.ns)
  const gaps = sorted.slice(1).map(({ at }, index) => at.ms - (sorted[index] as Place).at.ms)
  const usual = gaps.filter((gap) => gap > 0).sort((a, b) => a - b)
  const gapMs = Math.min(gapMsMax, Math.max(gapMsMin, 2 * (usual[usual.length >> 1] ?? 0)))
  const clusters: Place[][] = []
  for (const [index, place] of sorted.entries()) {
    const cluster = clusters.at(-1)
    if (cluster !== undefined && (gaps[index - 1] as number) <= gapMs) cluster.push(place)
    else clusters.push([place])
  }
  return clusters
}

function kindsOf(records: readonly PointRecord[]): Set<PointRecord['kind']> {
  return new Set(records.map(({ kind }) => kind))
}

/** Conditions that hold for the records, as far as they are few. */
function filters(records: readonly PointRecord[], kind: PointRecord['kind']) {
  const own = records.filter((record) => record.kind === kind)
  const few = (tag: string, texts: readonly string[]): string | undefined => {
    const contents = new Set(texts.map(tagText))
    return contents.size > namesMax ? undefined : oneOf(tag, contents)
  }
  const uuids = own.flatMap((record) => (record.kind === 'gpu' ? [record.uuid] : []))
  return [
    few('uuid', uuids),
    few(
      'metric',
      own.map(({ metric }) => metric),
    ),
  ] as const
}
