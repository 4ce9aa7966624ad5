/** Transfers summed. Their sites and errors are fields, by which InfluxQL cannot group: the rows are read, a page at a time. */

import { type TransferSum, type TransferSumQuery, TransferTable } from '../transfer-sums.ts'
import { failedAs } from '#telemetry/outcome'
import { type Cell, instantOf, quoted, rowsOf, timeBefore, timeFrom, where } from './influxql.ts'
import { tagText } from './lines.ts'
import type { Databases } from './schema.ts'
import type { Server } from './server.ts'
import { readTexts } from './texts.ts'

const pageRows = 20_000

const columns = 'site, status, bytes, duration_s, error, source_site, destination_site, error_class, has'

export async function readTransferSums(
  server: Server,
  { data, state }: Databases,
  query: TransferSumQuery,
): Promise<TransferSum[]> {
  const { sites, source_site, destination_site, start, end } = query
  if (sites?.length === 0) return []
  const which = where(
    sites && `(${sites.map((site) => `site = ${quoted(site === '' ? '' : tagText(site))}`).join(' OR ')})`,
    source_site === undefined ? undefined : `source_site = ${quoted(source_site)}`,
    destination_site === undefined ? undefined : `destination_site = ${quoted(destination_site)}`,
    start && timeFrom(start),
    end && timeBefore(end),
  )
  const table = new TransferTable(query)
  for (let offset = 0; ; offset += pageRows) {
    const page = `LIMIT ${pageRows} OFFSET ${offset}`
    const [series = []] = await server.query(data, [`SELECT ${columns} FROM transfers${which} ORDER BY time ${page}`])
    const rows = series.flatMap(rowsOf)
    const texts = rows.map((row) => ({ site: textIn(row['site']), status: textIn(row['status']) }))
    const textOf = await readTexts(server, state, texts)
    for (const [index, row] of rows.entries()) {
      const { site: siteTag, status: statusTag } = texts[index] as (typeof texts)[number]
      const status = statusTag === '' ? '' : textOf(statusTag)
      const of = fieldsOf(row)
      const own = { site: siteTag === '' ? '' : textOf(siteTag), source_site: of('source_site') }
      const ends = { ...own, destination_site: of('destination_site') }
      // A field that the row had once, and has no more, still fits the condition.
      if (source_site !== undefined && ends.source_site !== source_site) continue
      if (destination_site !== undefined && ends.destination_site !== destination_site) continue
      const error = textIn(row['error'])
      const [bytes, duration_s] = [Number(of('bytes') ?? 0), Number(of('duration_s') ?? 0)]
      const isTimed = of('bytes') !== null && duration_s > 0
      table.add({
        at: instantOf(row['time']),
        status,
        error,
        error_class: failedAs({ status, error, error_class: of('error_class') ?? '' }),
        ...ends,
        transfers: 1,
        bytes,
        duration_s,
        timed_bytes: isTimed ? bytes : 0,
        timed_s: isTimed ? duration_s : 0,
      })
    }
    if (rows.length < pageRows) return table.finish()
  }
}

/** The fields that count, as texts; `null`: the transfer has it not. */
function fieldsOf(row: Record<string, Cell>): (name: string) => string | null {
  const has = new Set(textIn(row['has']).split(','))
  return (name) => (has.has(name) ? textIn(row[name]) : null)
}

function textIn(cell: Cell | undefined): string {
  return cell === null || cell === undefined ? '' : String(cell)
}
