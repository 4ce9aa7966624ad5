/** Transfers: one point each, its id, site and status as tags, so that sites are summed by the server. */

import type { SiteRow, TransferQuery, TransferRow } from '../store.ts'
import type { TransferRecord } from '#telemetry/record'
import { formatTime, type Instant } from '#telemetry/time'
import { type Cell, instantOf, oneOf, quoted, rowsOf, timeBefore, timeFrom, where } from './influxql.ts'
import { headOf, stringField, type Tags, tagText, timeDigits } from './lines.ts'
import type { Outcome } from './outcomes.ts'
import type { Databases } from './schema.ts'
import type { Server } from './server.ts'
import { readTexts } from './texts.ts'

const idsMax = 200

const texts = ['source', 'destination', 'error'] as const
const optionalTexts = ['started', 'source_site', 'destination_site', 'error_class'] as const
const amounts = ['bytes', 'duration_s'] as const

/** A transfer on its way. */
export interface TransferItem {
  readonly record: TransferRecord
  readonly at: Instant
  outcome: Outcome
}

export interface TransferPlan {
  readonly lines: readonly string[]
  /** Statements to run before the lines are written: rows that the same transfers had at another time, site or status. */
  readonly removals: readonly string[]
}

/** What to write for transfers, and whether each of them is new: it goes into `outcome`. */
export async function planTransfers(
  server: Server,
  database: string,
  items: readonly TransferItem[],
): Promise<TransferPlan> {
  const ids = [...new Set(items.map(({ record }) => record.id))]
  const there = await readPlaces(server, database, ids)
  const last = new Map<string, TransferItem>()
  for (const item of items) {
    const { id } = item.record
    item.outcome = there.has(id) || last.has(id) ? 'd' : 's'
    last.set(id, item)
  }
  const removals: string[] = []
  const lines = [...last.values()].map(({ record, at }) => {
    const head = headOf('transfers', tagsOf(record))
    const time = timeDigits(at)
    const isElsewhere = there.get(record.id)?.some((place) => place !== `${head} ${time}`) ?? false
    if (isElsewhere && server.dialect.deletes)
      removals.push(`DELETE FROM transfers WHERE id = ${quoted(tagText(record.id))}`)
    return `${head} ${fieldsOf(record)} ${time}`
  })
  return { lines, removals }
}

/** Head and time of the rows of some transfers, by id. */
async function readPlaces(server: Server, database: string, ids: readonly string[]): Promise<Map<string, string[]>> {
  const places = new Map<string, string[]>()
  for (let from = 0; from < ids.length; from += idsMax) {
    const some = new Map(ids.slice(from, from + idsMax).map((id) => [tagText(id), id]))
    const which = where(oneOf('id', some.keys()))
    const [series = []] = await server.query(database, [`SELECT has FROM transfers${which} GROUP BY *`])
    for (const { tags, values } of series) {
      const id = some.get(tags['id'] as string) as string
      const own = values.map(([time]) => `${headOf('transfers', tags)} ${timeDigits(instantOf(time))}`)
      places.set(id, [...(places.get(id) ?? []), ...own])
    }
  }
  return places
}

function tagsOf({ id, site, status }: TransferRecord): Tags {
  return { id: tagText(id), site: site === '' ? '' : tagText(site), status: status === '' ? '' : tagText(status) }
}

/** Texts of a transfer that become tags. */
export function tagTextsOf({ site, status }: TransferRecord): string[] {
  return [site, status]
}

function fieldsOf(record: TransferRecord): string {
  const has: string[] = []
  const fields = texts.map((name) => `${name}=${stringField(record[name])}`)
  const add = (name: keyof TransferRecord, field: string): void => {
    has.push(name)
    fields.push(`${name}=${field}`)
  }
  for (const name of amounts) if (record[name] !== null) add(name, String(record[name]))
  for (const name of optionalTexts) if (record[name] !== undefined) add(name, stringField(record[name]))
  if (record.attempt !== undefined) add('attempt', `${record.attempt}i`)
  if (record.final !== undefined) add('final', String(record.final))
  // A row that is written again keeps the fields that it is not given, so it says which of them count.
  return `${fields.join()},has=${stringField(has.join())}`
}

/** Newest first; of one time by id, the last first. */
export async function readTransfers(
  server: Server,
  { data, state }: Databases,
  query: TransferQuery,
): Promise<TransferRow[]> {
  const { site, status, start, end, after, limit = 100 } = query
  const ofTag = (name: string, text: string | undefined): string | undefined =>
    text === undefined ? undefined : `${name} = ${quoted(text === '' ? '' : tagText(text))}`
  const select = (...times: readonly (string | undefined)[]): string =>
    `SELECT * FROM transfers${where(ofTag('site', site), ofTag('status', status), start && timeFrom(start), end && timeBefore(end), ...times)}`
  const newest = `ORDER BY time DESC LIMIT ${limit}`
  const pages = await server.query(
    data,
    after === undefined
      ? [`${select()} ${newest}`]
      : [select(`time = ${timeDigits(after.time)}`), `${select(timeBefore(after.time))} ${newest}`],
  )
  const rows = pages.flat()
  // Of those of one time the server returns any; all of the oldest are needed to take the right ones.
  const oldest = pages.at(-1)?.[0]?.values.at(-1)?.[0]
  if (oldest !== undefined) {
    rows.push(...(await server.query(data, [select(`time = ${timeDigits(instantOf(oldest))}`)])).flat())
  }
  const cells = rows.flatMap(rowsOf)
  const textOf = await readTexts(
    server,
    state,
    cells.map(({ id, site, status }) => ({ id: String(id), site: String(site), status: String(status) })),
  )
  const byId = new Map(cells.map((row) => [`${String(row['id'])} ${String(row['time'])}`, transferOf(row, textOf)]))
  return [...byId.values()]
    .map((row) => ({ row, at: instantOf(row.time) }))
    .filter(({ row, at }) => after === undefined || isFollowing(at, row.id, after))
    .sort((a, b) => b.at.ms - a.at.ms || b.at.ns - a.at.ns || (a.row.id < b.row.id ? 1 : -1))
    .slice(0, limit)
    .map(({ row }) => row)
}

function isFollowing({ ms, ns }: Instant, id: string, after: NonNullable<TransferQuery['after']>): boolean {
  if (ms !== after.time.ms) return ms < after.time.ms
  return ns !== after.time.ns ? ns < after.time.ns : id < after.id
}

function transferOf(cells: Record<string, Cell>, textOf: (content: string) => string): TransferRow {
  const tag = (name: string): string => {
    const content = String(cells[name] ?? '')
    return content === '' ? '' : textOf(content)
  }
  const has = new Set(String(cells['has']).split(','))
  const given = [...amounts, ...optionalTexts, 'attempt', 'final'].filter((name) => has.has(name))
  const own = Object.fromEntries(given.map((name) => [name, cells[name]]))
  const always = Object.fromEntries(texts.map((name) => [name, String(cells[name] ?? '')]))
  const time = formatTime(instantOf(cells['time']))
  const row = { time, id: tag('id'), site: tag('site'), status: tag('status'), bytes: null, duration_s: null }
  return { ...row, ...always, ...own } as unknown as TransferRow
}

/** Sites by name. */
export async function readSites(server: Server, { data, state }: Databases): Promise<SiteRow[]> {
  const [sums = [], newest = []] = await server.query(data, [
    'SELECT count(has), sum(bytes), sum(duration_s) FROM transfers GROUP BY site, status',
    'SELECT last(has) FROM transfers GROUP BY site',
  ])
  const textOf = await readTexts(
    server,
    state,
    [...sums, ...newest].map(({ tags }) => tags),
  )
  const text = (content: string | undefined): string => (content === undefined || content === '' ? '' : textOf(content))
  const last = new Map(newest.map(({ tags, values }) => [text(tags['site']), values[0]?.[0]]))
  const sites = new Map<string, SiteRow>()
  for (const series of sums) {
    const site = text(series.tags['site'])
    const before = sites.get(site)
    const [cells = {}] = rowsOf(series)
    const number = (name: string): number => Number(cells[name] ?? 0)
    sites.set(site, {
      site,
      transfers: (before?.transfers ?? 0) + number('count'),
      statuses: { ...before?.statuses, [text(series.tags['status'])]: number('count') },
      bytes: (before?.bytes ?? 0) + number('sum'),
      duration_s: (before?.duration_s ?? 0) + number('sum_1'),
      last: formatTime(instantOf(last.get(site))),
    })
  }
  return [...sites.values()].sort((a, b) => (a.site < b.site ? -1 : 1))
}
