/** Asks what the panels of a dashboard ask, as Grafana would: with the variables filled in. */

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './start.ts'
import type { InfluxSettings } from './influx.ts'
import type { StartedPrometheus } from './prometheus.ts'

export const dashboardsFolder = join(root, 'observability/grafana/dashboards')

export interface Variable {
  readonly name: string
  readonly type: string
  readonly query: string | { readonly query: string }
  readonly allValue?: string
  readonly multi?: boolean
}

interface Target {
  readonly refId: string
  readonly datasource: { readonly type: 'prometheus' | 'influxdb'; readonly uid: string }
  readonly expr?: string
  readonly query?: string
}

export interface DashboardFile {
  readonly uid: string
  readonly title: string
  readonly templating: { readonly list: readonly Variable[] }
  readonly panels: readonly {
    readonly title: string
    readonly type: string
    readonly targets: readonly Target[]
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly fieldConfig: { readonly defaults: { readonly unit?: string } }
  }[]
}

export function readDashboards(): readonly DashboardFile[] {
  return readdirSync(dashboardsFolder)
    .toSorted()
    .map((name) => JSON.parse(readFileSync(join(dashboardsFolder, name), 'utf8')) as DashboardFile)
}

export interface Databases {
  readonly prometheus: StartedPrometheus
  /** `undefined` leaves out what asks it. */
  readonly influx: (InfluxSettings & { readonly database: string }) | undefined
}

/** What Grafana puts in the place of its own variables, for a scrape each second. */
const builtIn: Readonly<Record<string, string>> = {
  __rate_interval: '10s',
  __interval: '10s',
  __range: '1m',
  timeFilter: 'time > now() - 1h',
}

/** `All`, and of a variable also one of the values that it offers. */
export async function choicesOf(
  { templating }: DashboardFile,
  databases: Databases,
): Promise<Record<string, string>[]> {
  const all: Record<string, string> = {}
  const one: Record<string, string> = {}
  for (const { name, type, query, allValue = '.*' } of templating.list) {
    if (type === 'datasource') continue
    all[name] = allValue
    const offered = await valuesOf(typeof query === 'string' ? query : query.query, databases)
    // A topic that nothing goes through has nothing to show.
    const chosen = offered.find((value) => value === 'telemetry') ?? offered[0]
    if (chosen !== undefined) one[name] = chosen
  }
  return [all, { ...all, ...one }]
}

/** What a variable offers. */
async function valuesOf(query: string, { prometheus, influx }: Databases): Promise<readonly string[]> {
  const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? []
  if (metric !== undefined) return prometheus.get(`label/${label}/values`, { 'match[]': metric })
  if (influx === undefined) return []
  const series = await askInflux(query, influx)
  return series.flatMap(({ values = [] }) => values.map(([, value]) => String(value)))
}

/** The queries of a dashboard that give nothing, each with its panel. */
export async function emptyQueries(
  { title, panels }: DashboardFile,
  values: Readonly<Record<string, string>>,
  databases: Databases,
): Promise<string[]> {
  const empty: string[] = []
  for (const panel of panels) {
    for (const { refId, datasource, expr, query } of panel.targets) {
      const { prometheus, influx } = databases
      const text = filled(expr ?? query ?? '', values)
      if (datasource.type === 'influxdb' && influx === undefined) continue
      const rows =
        datasource.type === 'prometheus'
          ? (await prometheus.get<{ result: { value: [number, string] }[] }>('query', { query: text })).result.filter(
              ({ value }) => value[1] !== 'NaN',
            )
          : await askInflux(text, influx as InfluxSettings & { database: string })
      if (rows.length === 0) empty.push(`${title} / ${panel.title} ${refId}: ${text}`)
    }
  }
  return empty
}

function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$(\w+)/g, (whole, name: string) => {
    const value = builtIn[name] ?? values[name]
    if (value === undefined) throw new Error(`${whole} is no variable of the dashboard: ${text}`)
    return value
  })
}

interface Series {
  readonly values?: readonly (readonly unknown[])[]
}

async function askInflux(
  query: string,
  { influxdbUrl, influxdbToken, database }: InfluxSettings & { readonly database: string },
): Promise<readonly Series[]> {
  const answer = await fetch(`${influxdbUrl}/query?${new URLSearchParams({ db: database, q: query }).toString()}`, {
    headers: { authorization: `Token ${influxdbToken}` },
  })
  const { results, error } = (await answer.json()) as {
    results?: readonly { readonly series?: readonly Series[]; readonly error?: string }[]
    error?: string
  }
  const complaint = error ?? results?.find((result) => result.error !== undefined)?.error
  if (complaint !== undefined) throw new Error(`InfluxDB: ${query}: ${complaint}`)
  return results?.flatMap(({ series = [] }) => series) ?? []
}
