/** GPUs as the API tells them, out of the rows of the store; and which of them an id means. */

import { metricOf } from '#telemetry/catalogue'
import type { GpuAttributes, GpuRow, LatestRow } from '#store/store'
import type { Gpu, GpuReference, LatestValue } from '../contract.ts'
import { missingIn } from './missing.ts'
import { stateOf } from './state.ts'
import type { Key } from './pages.ts'
import { ageS } from './times.ts'

/** When an answer is made, and from which age on its values are stale. */
export interface Moment {
  readonly nowMs: number
  readonly staleAfterMs: number
}

/**
 * Joins the inventory with the newest values. Both come by host and index.
 *
 * @param around all GPUs of the hosts of these
 */
export function gpusOf(
  inventory: readonly GpuRow[],
  latest: readonly LatestRow[],
  moment: Moment,
  around: readonly GpuRow[] = inventory,
): Gpu[] {
  return inventory.map(gpuMaker(latest, moment, around))
}

/** The same one by one. */
export function gpuMaker(
  latest: readonly LatestRow[],
  moment: Moment,
  around: readonly GpuRow[],
): (row: GpuRow) => Gpu {
  const missingSince = missingIn(around, moment.staleAfterMs)
  const rowsOf = new Map<string, LatestRow[]>()
  for (const row of latest) {
    if (row.kind !== 'gpu') continue
    const id = idOf(row)
    const rows = rowsOf.get(id)
    if (rows === undefined) rowsOf.set(id, [row])
    else rows.push(row)
  }
  const age = ager(moment.nowMs)
  return (row) => gpuOf(row, rowsOf.get(idOf(row)) ?? [], missingSince(row), age, moment)
}

function gpuOf(
  row: GpuRow,
  latest: readonly LatestRow[],
  missing_since: string | null,
  age: (time: string) => number,
  { staleAfterMs }: Moment,
): Gpu {
  const values: Record<string, LatestValue> = {}
  const series: Gpu['series'] = []
  for (const { metric, labels, time, value } of latest) {
    const reading = { value, reported: value !== null, time, age_s: age(time) }
    if (Object.keys(labels).length > 0) series.push({ metric, labels: { ...labels }, ...reading })
    // The one name that an assignment does not take. An object without a prototype would, and costs a quarter more to fill and to write.
    else if (metric === '__proto__') Object.defineProperty(values, metric, { value: reading, enumerable: true })
    else values[metric] = reading
  }
  const age_s = age(row.last_seen)
  const stale = age_s * 1000 > staleAfterMs
  const { container, pod, namespace, labels, first_seen, last_seen } = row
  return {
    ...referenceOf(row),
    container,
    pod,
    namespace,
    labels: { ...labels },
    first_seen,
    last_seen,
    missing_since,
    age_s,
    stale,
    state: stateOf({ stale, gpu_i_id: row.gpu_i_id, values }, staleAfterMs),
    values,
    series,
  }
}

/** {@link ageS}; most values have the time of the one before. */
function ager(nowMs: number): (time: string) => number {
  let last = ''
  let age_s = NaN
  return (time) => {
    if (time !== last) {
      age_s = ageS(time, nowMs)
      last = time
    }
    return age_s
  }
}

export function referenceOf(row: GpuAttributes): GpuReference {
  const { uuid, gpu_i_id, hostname, gpu_id, device_id, model_name } = row
  return { id: idOf(row), uuid, gpu_i_id, hostname, gpu_id, device_id, model_name }
}

/** Of a whole GPU its uuid; of a MIG slice, which shares it, the instance behind it. */
export function idOf({ uuid, gpu_i_id }: Pick<GpuAttributes, 'uuid' | 'gpu_i_id'>): string {
  return gpu_i_id === '' ? uuid : `${uuid}:${gpu_i_id}`
}

/** Where a GPU stands among all: by host, then by index as a number. */
export function placeOf({ hostname, gpu_id, uuid, gpu_i_id }: GpuReference): Key {
  return [hostname, integerOf(gpu_id), gpu_id, uuid, integerOf(gpu_i_id), gpu_i_id]
}

function integerOf(text: string): number {
  const value = parseInt(text, 10)
  return Number.isNaN(value) ? 0 : value
}

/** What may be asked of the store to find a GPU, the narrowest first; `{}` is the whole inventory. */
export function searchesFor(id: string): { readonly uuid?: string; readonly hostname?: string }[] {
  const colon = id.lastIndexOf(':')
  const front = id.slice(0, Math.max(0, colon))
  return [{ uuid: id }, ...(front === '' ? [] : [{ uuid: front }, { hostname: front }]), {}]
}

/**
 * Those rows that an id means: a uuid, `uuid:slice`, `host:index`, `host:device` or a device. The exacter reading wins, and
 * a whole GPU wins over its slices.
 */
export function matching(rows: readonly GpuRow[], id: string): GpuRow[] {
  const readings: ((row: GpuRow) => boolean)[] = [
    (row) => idOf(row) === id,
    (row) => row.uuid === id,
    (row) => `${row.hostname}:${row.gpu_id}` === id || `${row.hostname}:${row.device_id}` === id,
    (row) => row.device_id === id,
  ]
  for (const reads of readings) {
    const found = rows.filter(reads)
    const whole = found.filter(({ gpu_i_id }) => gpu_i_id === '')
    if (found.length > 0) return whole.length === 1 ? whole : found
  }
  return []
}

/** The units of the metrics that an answer has. */
export function unitsOf(gpus: readonly Gpu[]): Record<string, string> {
  const units: Record<string, string> = {}
  const names = new Set(gpus.flatMap((gpu) => [...Object.keys(gpu.values), ...gpu.series.map(({ metric }) => metric)]))
  for (const name of [...names].sort()) {
    const unit = metricOf(name)?.metric.unit
    if (unit !== undefined) units[name] = unit
  }
  return units
}
