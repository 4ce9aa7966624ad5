/** Rows of `nvidia-smi --query-gpu=… --format=csv`: one a GPU and moment, with a metric in each column, so each is many records. */

import { isUtf8 } from 'node:buffer'
import { describe, implausible } from '#telemetry/record'
import { parseValue } from '#telemetry/value'
import type { CsvReader } from './csv.ts'
import type { Mapped, Mapper } from './format.ts'
import type { SmiColumns, SmiMetric } from './smi_columns.ts'
import { anyTime, templateOf, type Template } from './template.ts'
import type { TimeShift } from './times.ts'

/** GPUs (with what describes them) whose records are remembered. */
const gpusMax = 10_000

/** Fields of two states, as 1 and 0; in lower case. */
const states: ReadonlyMap<string, number> = new Map([
  ['enabled', 1],
  ['disabled', 0],
  ['active', 1],
  ['not active', 0],
  ['yes', 1],
  ['no', 0],
])

type Templates = Map<string, Template | { readonly refused: string }>

export class SmiMapper implements Mapper {
  private readonly columns: SmiColumns
  private readonly times: TimeShift
  private readonly host: string
  /** By what tells one GPU's records from another's. */
  private readonly gpus = new Map<string, Templates>()

  /** @param host the rows name none */
  constructor(columns: SmiColumns, times: TimeShift, host: string) {
    this.columns = columns
    this.times = times
    this.host = host
  }

  map(row: CsvReader): Mapped | readonly Mapped[] {
    const { columns } = this
    if (!isUtf8(row.buffer.subarray(row.rowStart, row.rowEnd))) return { refused: 'the row is not UTF-8' }
    const text = (at: number): string => row.text(at).trim()
    const uuid = text(columns.uuid)
    if (isNone(uuid)) return { refused: `uuid is ${describe(uuid)}: want the one of a GPU` }
    const givenTime = text(columns.time)
    const time = this.times.read(givenTime)
    if (time === undefined) return { refused: `timestamp is ${describe(givenTime)}: want 2026/11/22 12:00:00.123` }

    const labels: [string, string][] = []
    for (const { name, at } of columns.labels) if (!isNone(text(at))) labels.push([name, text(at)])
    const values: [metric: string, value: number | null][] = []
    const mapped: Mapped[] = []
    for (const column of columns.metrics) {
      const given = text(column.at)
      const value = readValue(given, column)
      if (value !== undefined) values.push([column.metric, value])
      else if (column.reading === 'any') labels.push([column.label, given])
      else mapped.push({ refused: `${column.column} is ${describe(given)}: want ${wantOf(column)}` })
    }

    const gpu = this.gpuOf(uuid, columns, text, labels)
    for (const [metric, value] of values) {
      const refused = implausible(metric, value)
      if (refused !== undefined) mapped.push({ refused })
      else mapped.push(recordOf(gpu(metric), time, value))
    }
    return mapped
  }

  /** The records of a GPU, by metric: made once, and again when what describes it has changed. */
  private gpuOf(
    uuid: string,
    { index, model }: SmiColumns,
    text: (at: number) => string,
    labels: readonly [string, string][],
  ): (metric: string) => Template | { readonly refused: string } {
    const gpuId = index === undefined || isNone(text(index)) ? '' : text(index)
    const modelName = model === undefined || isNone(text(model)) ? '' : text(model)
    const key = JSON.stringify([uuid, gpuId, modelName, labels])
    let templates = this.gpus.get(key)
    if (templates === undefined) {
      if (this.gpus.size >= gpusMax) this.gpus.clear()
      templates = new Map()
      this.gpus.set(key, templates)
    }
    const kept = templates
    return (metric) => {
      const found = kept.get(metric)
      if (found !== undefined) return found
      const template = templateOf({
        kind: 'gpu',
        time: anyTime,
        // As dcgm-exporter makes it of the same number.
        device_id: gpuId === '' ? '' : `nvidia${gpuId}`,
        metric,
        value: null,
        gpu_id: gpuId,
        uuid,
        model_name: modelName,
        hostname: this.host,
        container: '',
        pod: '',
        namespace: '',
        labels: Object.fromEntries(labels),
      })
      kept.set(metric, template)
      return template
    }
  }
}

function recordOf(template: Template | { readonly refused: string }, time: string, value: number | null): Mapped {
  if ('refused' in template) return template
  const data = `{"kind":"gpu","time":"${time}${template.before}${String(value)}${template.after}`
  return { data, key: template.key, partition: undefined }
}

/** `null`: not reported; `undefined`: something that this column does not hold. */
function readValue(given: string, { unit, reading }: SmiMetric): number | null | undefined {
  // Whatever stands in brackets is a reason why there is no value: [N/A], [Not Supported], [GPU is lost] …
  if (isNone(given)) return null
  const bare = unit !== '' && given.endsWith(` ${unit}`) ? given.slice(0, -unit.length - 1) : given
  const value = parseValue(bare)
  if (value !== undefined || reading === 'number') return value
  if (reading !== 'mask') {
    const pstate = /^P(\d{1,2})$/.exec(bare)?.[1]
    if (pstate !== undefined) return Number(pstate)
  }
  if (reading !== 'pstate' && /^0x[0-9a-f]{1,16}$/i.test(bare)) {
    const mask = Number(bare)
    return Number.isSafeInteger(mask) ? mask : undefined
  }
  return reading === 'any' ? states.get(bare.toLowerCase()) : undefined
}

function wantOf({ unit, reading }: SmiMetric): string {
  if (reading === 'mask') return 'a mask such as 0x0000000000000004'
  if (reading === 'pstate') return 'a state such as P0'
  return unit === '' ? 'a number' : `a number of ${unit}`
}

function isNone(text: string): boolean {
  return text === '' || (text.startsWith('[') && text.endsWith(']')) || text === 'N/A'
}
