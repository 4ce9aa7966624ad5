/**
 * DCGM exports: one row a value, as dcgm-exporter's series come out of Prometheus. Columns of all variants are taken
 * (`Hostname` and `hostname`, `exported_pod`, `GPU_I_ID`, a `labels_raw` in Prometheus' syntax, further columns as labels).
 */

import { isUtf8 } from 'node:buffer'
import { describe, implausible, type GpuRecord } from '#telemetry/record'
import { parseValue, withoutSentinel } from '#telemetry/value'
import { findColumns, type Columns } from './columns.ts'
import type { CsvReader, RowShape } from './csv.ts'
import type { Mapped, Mapper } from './format.ts'
import { parseLabels } from './labels.ts'
import { anyTime, templateOf, type Template } from './template.ts'
import type { TimeShift } from './times.ts'

const table = {
  time: { names: ['timestamp', 'time', 'timestamp_iso', 'ts'], must: true },
  metric: { names: ['metric_name', 'metric', '__name__'], must: true },
  value: { names: ['value'], must: true },
  uuid: { names: ['uuid', 'gpu_uuid'], must: true },
  gpuId: { names: ['gpu_id', 'gpu'] },
  device: { names: ['device', 'device_id'] },
  modelName: { names: ['modelname', 'model_name'] },
  hostname: { names: ['hostname', 'host'] },
  exportedContainer: { names: ['exported_container'] },
  exportedPod: { names: ['exported_pod'] },
  exportedNamespace: { names: ['exported_namespace'] },
  container: { names: ['container'] },
  pod: { names: ['pod'] },
  namespace: { names: ['namespace'] },
  slice: { names: ['gpu_i_id'] },
  sliceProfile: { names: ['gpu_i_profile'] },
  labels: { names: ['labels_raw', 'labels'] },
} as const

export type DcgmColumns = Columns<typeof table>

export function dcgmColumns(header: readonly string[]): DcgmColumns | { readonly missing: readonly string[] } {
  return findColumns(header, table)
}

/** Labels that repeat a column, or that the exporter adds for the scrape. */
const repeated = new Set(
  (
    '__name__ uuid gpu_uuid device gpu modelname model_name hostname container pod namespace exported_container ' +
    'exported_pod exported_namespace gpu_i_id gpu_i_profile'
  ).split(' '),
)

/** The driver's version, by the label's name before and since dcgm-exporter 4.9.0. */
const driverLabels = new Set(['dcgm_fi_driver_version', 'dcgm_fi_system_driver_version'])

/** What is known of a series, or why its rows are none. */
interface Known {
  readonly template: Template | { readonly refused: string }
  /** Its row around time and value; none where that cannot be compared. */
  readonly shape: RowShape | undefined
  /** What came after it the last time. */
  next: Known | undefined
}

/** Characters of keys and texts that the templates may hold together, 64 MiB: some 65,000 series. */
const templateCharsMax = 64 << 20

/** A number as JSON writes it, and short enough to be exact: its text is the record's. */
const plainNumber = /^-?(0|[1-9]\d{0,14})(\.\d{1,6})?$/

/**
 * Nine tenths of a row are the same each time that its series comes, so they are decoded once a series: the bytes of a row
 * without its time and value are the key to the rest of the record's text (docs/decisions/040, 117).
 */
export class DcgmMapper implements Mapper {
  private readonly columns: DcgmColumns
  private readonly times: TimeShift
  private readonly time: number
  private readonly value: number
  private readonly first: number
  private readonly second: number
  private templates = new Map<string, Known>()
  /** That of the row before. */
  private last: Known | undefined
  private lastTimeBytes = Buffer.alloc(0)
  private lastTime: string | undefined
  private templateChars = 0

  constructor(columns: DcgmColumns, times: TimeShift) {
    this.columns = columns
    this.times = times
    this.time = columns.time as number
    this.value = columns.value as number
    this.first = Math.min(this.time, this.value)
    this.second = Math.max(this.time, this.value)
  }

  map(row: CsvReader): Mapped {
    const template = this.templateOf(row)
    if ('refused' in template) return template
    const time = this.timeOf(row)
    if (time === undefined)
      return { refused: `timestamp is ${describe(row.text(this.time))}: want RFC 3339 or seconds since 1970` }
    const givenValue = row.text(this.value)
    // Told apart once: what is plain needs no second look, and its text is the record's.
    const isPlain = plainNumber.test(givenValue)
    const value = isPlain ? withoutSentinel(Number(givenValue)) : parseValue(givenValue)
    if (value === undefined) return { refused: `value is ${describe(givenValue)}: want a number` }
    const refused = value === null ? undefined : implausible(template.metric, value)
    if (refused !== undefined) return { refused }
    const text = isPlain && value !== null ? givenValue : String(value)
    // One object from here to the broker, of one shape.
    const data = `{"kind":"gpu","time":"${time}${template.before}${text}${template.after}`
    return { data, key: template.key, partition: undefined }
  }

  /** Neighbours share their time, so it is seldom decoded. */
  private timeOf(row: CsvReader): string | undefined {
    const from = row.starts[this.time] as number
    const to = row.ends[this.time] as number
    if (isEqual(row.buffer, from, to, this.lastTimeBytes)) return this.lastTime
    this.lastTime = this.times.read(row.text(this.time))
    this.lastTimeBytes = Buffer.from(row.buffer.subarray(from, to))
    return this.lastTime
  }

  /** An export has its series in the same order at each moment. */
  expected(): RowShape | undefined {
    return this.last?.next?.shape
  }

  private templateOf(row: CsvReader): Template | { readonly refused: string } {
    const guess = this.last?.next
    // The reader has compared it: no text is made of the row, and nothing is hashed.
    const known = guess?.shape !== undefined && row.shape === guess.shape ? guess : this.lookUp(row)
    if (known !== guess && this.last !== undefined) this.last.next = known
    this.last = known
    return known.template
  }

  private lookUp(row: CsvReader): Known {
    const { buffer, starts, ends, rowStart, rowEnd } = row
    const { first, second } = this
    // With time and value cut out a row still reads in one way only, so equal keys mean equal columns.
    const before = buffer.toString('latin1', rowStart, starts[first])
    const middle = buffer.toString('latin1', ends[first], starts[second])
    const key = before + middle + buffer.toString('latin1', ends[second], rowEnd)
    const found = this.templates.get(key)
    if (found !== undefined) return found
    const template = this.makeTemplate(row)
    const known = { template, shape: row.shapeOf([first, second]), next: undefined }
    this.templateChars +=
      2 * key.length + ('refused' in template ? 100 : template.before.length + template.after.length)
    if (this.templateChars > templateCharsMax) {
      this.templates = new Map()
      this.templateChars = 2 * key.length
      this.last = undefined
    }
    this.templates.set(key, known)
    return known
  }

  private makeTemplate(row: CsvReader): Template | { readonly refused: string } {
    if (!isUtf8(row.buffer.subarray(row.rowStart, row.rowEnd))) return { refused: 'the row is not UTF-8' }
    const record = gpuRecord(row, this.columns)
    return 'refused' in record ? record : templateOf(record)
  }
}

/** Whether `a[from, to)` holds what `b` holds. */
function isEqual(a: Buffer, from: number, to: number, b: Buffer): boolean {
  if (to - from !== b.length) return false
  for (let at = 0; at < b.length; at++) if (a[from + at] !== b[at]) return false
  return true
}

function gpuRecord(row: CsvReader, columns: DcgmColumns): GpuRecord | { readonly refused: string } {
  const text = (column: number | undefined): string => (column === undefined ? '' : row.text(column))
  const givenLabels = text(columns.labels)
  const parsed = parseLabels(givenLabels)
  if (parsed === undefined) {
    return { refused: `labels are ${describe(givenLabels)}: want name="value",name="value"` }
  }
  const byName = new Map<string, string>()
  // A label may be called __proto__.
  const labels = Object.create(null) as Record<string, string>
  const label = (name: string, value: string): void => {
    const lower = name.toLowerCase()
    byName.set(lower, value)
    if (value === '' || repeated.has(lower)) return
    labels[driverLabels.has(lower) ? 'driver_version' : name] = value
  }
  for (const [name, value] of parsed) label(name, value)
  for (const { name, at } of columns.others) label(name, row.text(at))
  const field = (column: number | undefined, ...names: string[]): string => {
    const given = text(column)
    return given === '' ? (names.map((name) => byName.get(name)).find((value) => value !== undefined) ?? '') : given
  }
  /** The workload's own, which Prometheus calls `exported_…` where the plain name is the exporter's pod. */
  const owner = (exported: number | undefined, column: number | undefined, name: string): string =>
    exported === undefined && !byName.has(`exported_${name}`)
      ? field(column, name)
      : field(exported, `exported_${name}`)
  const sliceProfile = field(columns.sliceProfile, 'gpu_i_profile')
  if (sliceProfile !== '') labels.gpu_i_profile = sliceProfile
  const slice = field(columns.slice, 'gpu_i_id')
  return {
    kind: 'gpu',
    time: anyTime,
    device_id: field(columns.device, 'device'),
    metric: text(columns.metric),
    value: null,
    gpu_id: field(columns.gpuId, 'gpu'),
    uuid: field(columns.uuid, 'uuid', 'gpu_uuid'),
    model_name: field(columns.modelName, 'modelname', 'model_name'),
    hostname: field(columns.hostname, 'hostname'),
    container: owner(columns.exportedContainer, columns.container, 'container'),
    pod: owner(columns.exportedPod, columns.pod, 'pod'),
    namespace: owner(columns.exportedNamespace, columns.namespace, 'namespace'),
    ...(slice === '' ? undefined : { gpu_i_id: slice }),
    labels,
  }
}
