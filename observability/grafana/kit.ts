/** The pieces that dashboards are made of. Grafana's own types (`@grafana/schema`) hold them to its format. */

import type {
  DashboardCursorSync,
  DashboardLink,
  FieldColorModeId,
  Panel,
  VariableHide,
  VariableModel,
  VariableRefresh,
  Dashboard,
} from '@grafana/schema'

// Enums of that package are values at run time, which types alone are not: the numbers stand here.
const onTimeRangeChanged: VariableRefresh = 2
const crosshair: DashboardCursorSync = 1
const shown: VariableHide = 0

/** Where a click on a value leads. */
export interface DataLink {
  readonly title: string
  readonly url: string
  readonly targetBlank: boolean
}

/** The kind of database that a panel asks. */
export type Source = 'prometheus' | 'influxdb'

export interface Query {
  readonly expr: string
  /** Grafana's template for the name of a series, such as `{{topic}}`. */
  readonly legend?: string
  /** Only the newest value: for tables and single numbers. */
  readonly instant?: boolean
}

export interface PanelOptions {
  readonly title: string
  readonly help: string
  readonly queries: readonly Query[]
  /** One of Grafana's units, such as `s`, `bytes`, `reqps`, `percentunit`. */
  readonly unit: string
  readonly source?: Source
  /** In columns of 24. */
  readonly width?: number
  readonly min?: number
  readonly max?: number
  readonly links?: readonly DataLink[]
  /** From this value on it is yellow, from that one on red. */
  readonly steps?: readonly [warning: number, critical: number]
  readonly stacked?: boolean
}

type Sized = Omit<Panel, 'gridPos' | 'id'> & { readonly width: number; readonly height: number }

/** Lines over time. */
export function lines(options: PanelOptions): Sized {
  return {
    ...panel('timeseries', options, options.width ?? 12, 8),
    options: { legend: { displayMode: 'list', placement: 'bottom', showLegend: true }, tooltip: { mode: 'multi' } },
    fieldConfig: {
      defaults: {
        ...fieldDefaults(options),
        custom: {
          fillOpacity: 10,
          showPoints: 'never',
          stacking: { mode: options.stacked === true ? 'normal' : 'none' },
        },
      },
      overrides: [],
    },
  }
}

/** One number, or a few beside each other. */
export function number(options: PanelOptions): Sized {
  return {
    ...panel('stat', options, options.width ?? 4, 4),
    options: {
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      colorMode: 'value',
      textMode: 'auto',
    },
    fieldConfig: { defaults: fieldDefaults(options), overrides: [] },
  }
}

/** A row for each series, a column for each label and query. */
export function table(
  options: PanelOptions & {
    /** Labels that become columns, in their order. */
    readonly columns: readonly string[]
    /** Units of the columns of values, by query. */
    readonly units: readonly string[]
    readonly names: readonly string[]
    /** Of a column: where a click leads. */
    readonly columnLinks?: Readonly<Record<string, DataLink>>
  },
): Sized {
  const { columns, units, names, columnLinks = {} } = options
  const values = options.queries.map((_, at) => (options.queries.length === 1 ? 'Value' : `Value #${refOf(at)}`))
  const order = [...columns, ...values]
  return {
    ...panel('table', options, options.width ?? 24, 10),
    options: { showHeader: true },
    fieldConfig: {
      defaults: { custom: { filterable: true } },
      overrides: [
        ...values.map((name, at) => ({
          matcher: { id: 'byName', options: name },
          properties: [
            { id: 'displayName', value: names[at] },
            { id: 'unit', value: units[at] },
          ],
        })),
        ...Object.entries(columnLinks).map(([name, link]) => ({
          matcher: { id: 'byName', options: name },
          properties: [{ id: 'links', value: [link] }],
        })),
      ],
    },
    transformations: [
      { id: 'merge', options: {} },
      // What is not named is left out, the time among it.
      { id: 'filterFieldsByName', options: { include: { names: order } } },
      {
        id: 'organize',
        options: {
          indexByName: Object.fromEntries(order.map((name, at) => [name, at])),
          excludeByName: {},
          renameByName: {},
        },
      },
    ],
  }
}

function panel(type: string, options: PanelOptions, width: number, height: number) {
  const { title, help, queries, source = 'prometheus' } = options
  return {
    type,
    title,
    description: help,
    datasource: datasourceOf(source),
    transparent: false,
    repeatDirection: 'h' as const,
    targets: queries.map((query, at) => targetOf(query, source, refOf(at), type === 'table')),
    width,
    height,
  }
}

function targetOf({ expr, legend, instant = false }: Query, source: Source, refId: string, isTable: boolean) {
  const datasource = datasourceOf(source)
  if (source === 'influxdb') {
    const resultFormat = isTable ? 'table' : 'time_series'
    return { refId, datasource, rawQuery: true, query: expr, resultFormat, ...(legend && { alias: legend }) }
  }
  const isInstant = instant || isTable
  const format = isTable ? 'table' : 'time_series'
  return {
    refId,
    datasource,
    expr,
    format,
    instant: isInstant,
    range: !isInstant,
    ...(legend && { legendFormat: legend }),
  }
}

function fieldDefaults({ unit, min, max, links, steps }: PanelOptions) {
  const thresholds = [
    { value: null, color: 'green' },
    ...(steps === undefined
      ? []
      : [
          { value: steps[0], color: 'yellow' },
          { value: steps[1], color: 'red' },
        ]),
  ]
  return {
    unit,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(links === undefined ? {} : { links: [...links] }),
    color: { mode: (steps === undefined ? 'palette-classic' : 'thresholds') as FieldColorModeId },
    thresholds: { mode: 'absolute' as never, steps: thresholds },
  }
}

function refOf(at: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + at)
}

/** By a variable, so that a dashboard works wherever it is imported, whatever its databases are called there. */
function datasourceOf(source: Source) {
  return { type: source, uid: `\${${source}}` }
}

/** Chooses which of the databases of a kind is asked. */
export function datasourceVariable(source: Source, label: string): VariableModel {
  return { name: source, label, type: 'datasource', query: source, hide: shown, refresh: 1, regex: '', multi: false }
}

/** A label of a metric as a choice: all, until one is chosen, also where there is nothing yet to choose from. */
export function labelVariable(name: string, label: string, metric: string, of: string, multi = true): VariableModel {
  return {
    name,
    label,
    type: 'query',
    datasource: datasourceOf('prometheus'),
    query: { query: `label_values(${metric}, ${of})`, refId: name },
    refresh: onTimeRangeChanged,
    sort: 7,
    includeAll: true,
    allValue: '.*',
    multi,
    hide: shown,
    regex: '',
    current: { selected: true, text: 'All', value: '$__all' },
  }
}

/** Values of a tag of InfluxDB as a choice. */
export function tagVariable(name: string, label: string, measurement: string, tag: string): VariableModel {
  const query = `SHOW TAG VALUES FROM "${measurement}" WITH KEY = "${tag}"`
  return {
    name,
    label,
    type: 'query',
    datasource: datasourceOf('influxdb'),
    query,
    refresh: onTimeRangeChanged,
    sort: 1,
    includeAll: true,
    allValue: '.*',
    multi: false,
    hide: shown,
    regex: '',
    current: { selected: true, text: 'All', value: '$__all' },
  }
}

export interface Sheet {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly variables: readonly VariableModel[]
  /** Rows of panels; a row is as high as its highest. */
  readonly rows: readonly (readonly Sized[])[]
  readonly from?: string
}

const columns = 24

/** The dashboard as Grafana reads it. */
export function dashboard({ uid, title, description, variables, rows, from = 'now-1h' }: Sheet): Dashboard {
  let y = 0
  let id = 0
  const panels = rows.flatMap((row) => {
    let x = 0
    const top = y
    const placed = row.map(({ width, height, ...rest }): Panel => {
      if (x + width > columns) throw new Error(`${uid}: ${rest.title}: the row is wider than ${columns} columns`)
      const gridPos = { x, y: top, w: width, h: height }
      x += width
      y = Math.max(y, top + height)
      return { id: ++id, ...rest, gridPos }
    })
    return placed
  })
  return {
    uid,
    title,
    description,
    tags: ['penstock'],
    schemaVersion: 41,
    version: 1,
    editable: true,
    graphTooltip: crosshair,
    refresh: '30s',
    time: { from, to: 'now' },
    timezone: 'browser',
    links: [others],
    templating: { list: [...variables] },
    annotations: { list: [alerts] },
    panels,
  }
}

/** To the other dashboards, with the time that is looked at. */
const others: DashboardLink = {
  title: 'Penstock',
  type: 'dashboards',
  tags: ['penstock'],
  asDropdown: true,
  includeVars: false,
  keepTime: true,
  targetBlank: false,
  icon: 'external link',
  tooltip: '',
  url: '',
}

const alerts = {
  name: 'Alerts',
  datasource: datasourceOf('prometheus'),
  enable: true,
  hide: false,
  iconColor: 'red',
  expr: 'ALERTS{alertstate="firing", alertname=~"Penstock.*|Gpu.*|Transfers.*"}',
  titleFormat: '{{alertname}}',
  step: '60s',
}
