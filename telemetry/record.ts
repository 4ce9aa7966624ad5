/**
 * The three kinds of records, and the one door through which each enters: {@link readRecord}.
 *
 * Field names are the same from a source's row to the API's answer (docs/PROTOCOL.md). What a record means (which series a
 * point belongs to, which names are one metric) is in `identity.ts` and `catalogue.ts`.
 */

import { metricOf } from './catalogue.ts'
import { parseTime } from './time.ts'
import { withoutSentinel } from './value.ts'

/** Names and texts that describe a record and are not fields of their own. */
export type Labels = Readonly<Record<string, string>>

/** One value of one metric of one GPU (or of one MIG slice of it) at one moment. */
export interface GpuRecord {
  readonly kind: 'gpu'
  /** RFC 3339, as the source gave it. */
  readonly time: string
  /** `nvidia1`: the same on every host, so it identifies nothing. */
  readonly device_id: string
  /** A DCGM field name; {@link normalise} makes it the canonical one. */
  readonly metric: string
  /** In the metric's unit; `null` when the source named the metric and gave no value. */
  readonly value: number | null
  readonly gpu_id: string
  readonly uuid: string
  readonly model_name: string
  readonly hostname: string
  readonly container: string
  readonly pod: string
  readonly namespace: string
  /** The MIG instance: slices of one GPU share its uuid and differ in this. */
  readonly gpu_i_id?: string
  readonly labels: Labels
}

/** One finished (or attempted) data transfer. */
export interface TransferRecord {
  readonly kind: 'transfer'
  /** When it ended, RFC 3339. */
  readonly time: string
  readonly id: string
  readonly site: string
  readonly source: string
  readonly destination: string
  readonly bytes: number | null
  readonly duration_s: number | null
  readonly status: string
  readonly error: string
  /** When it started, RFC 3339. */
  readonly started?: string
  readonly source_site?: string
  readonly destination_site?: string
  /** 1 is the first try. */
  readonly attempt?: number
  /** Whether no further attempt follows. */
  readonly final?: boolean
  readonly error_class?: string
}

/** A value of any other series, such as a field of line protocol (`metric` is `measurement_field`). */
export interface MetricRecord {
  readonly kind: 'metric'
  readonly time: string
  readonly metric: string
  readonly value: number | null
  /** Together with `metric` they are the series. */
  readonly tags: Labels
}

export type TelemetryRecord = GpuRecord | TransferRecord | MetricRecord

/** Why something is no record: one line for an operator (what is wrong, what would be right). */
export interface Refused {
  readonly refused: string
}

/** Whether {@link readRecord} refused. */
export function isRefused(read: TelemetryRecord | Refused): read is Refused {
  return 'refused' in read
}

/** An identity longer than this is a mistake of the source, and would make every index over it large. */
const identityCharsMax = 512

/**
 * Checks what came over the wire (the result of `JSON.parse`) and fills in what may be left out: `kind` (gpu), texts that a
 * source has not (empty), labels (none). Fields that no record has are dropped.
 *
 * A value outside the metric's plausible range is refused, because a GPU at 644,245,923 degrees is a fault of the source
 * (dcgm-exporter issue 312); the numbers by which DCGM says "blank" pass and become `null` in `normalise`.
 */
export function readRecord(value: unknown): TelemetryRecord | Refused {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { refused: `the record is ${describe(value)}: want a JSON object` }
  }
  const given = value as Record<string, unknown>
  switch (given.kind) {
    case undefined:
    case 'gpu':
      return readGpu(given)
    case 'transfer':
      return readTransfer(given)
    case 'metric':
      return readMetric(given)
    default:
      return { refused: `kind is ${describe(given.kind)}: want gpu, transfer or metric` }
  }
}

function readGpu(given: Record<string, unknown>): GpuRecord | Refused {
  const { time, metric, value, uuid, gpu_i_id } = given
  const refused =
    wrongTime('time', time) ??
    wrongName('metric', metric) ??
    wrongName('uuid', uuid) ??
    wrongTexts(given, gpuTexts) ??
    (gpu_i_id === undefined || gpu_i_id === '' ? undefined : wrongName('gpu_i_id', gpu_i_id)) ??
    wrongLabels('labels', given.labels) ??
    wrongValue(value) ??
    implausible(metric as string, value as number | null)
  if (refused !== undefined) return { refused }
  const text = given as Record<string, string | undefined>
  const record: GpuRecord = {
    kind: 'gpu',
    time: time as string,
    device_id: text.device_id ?? '',
    metric: metric as string,
    value: value as number | null,
    gpu_id: text.gpu_id ?? '',
    uuid: uuid as string,
    model_name: text.model_name ?? '',
    hostname: text.hostname ?? '',
    container: text.container ?? '',
    pod: text.pod ?? '',
    namespace: text.namespace ?? '',
    labels: (given.labels as Labels | undefined) ?? noLabels,
  }
  return gpu_i_id === undefined || gpu_i_id === '' ? record : { ...record, gpu_i_id: gpu_i_id as string }
}

function readTransfer(given: Record<string, unknown>): TransferRecord | Refused {
  const { time, id, bytes, duration_s, started, attempt, final } = given
  const refused =
    wrongTime('time', time) ??
    wrongName('id', id) ??
    wrongTexts(given, transferTexts) ??
    wrongAmount('bytes', bytes) ??
    wrongAmount('duration_s', duration_s) ??
    (started === undefined ? undefined : wrongTime('started', started)) ??
    (attempt === undefined || (Number.isSafeInteger(attempt) && (attempt as number) > 0)
      ? undefined
      : `attempt is ${describe(attempt)}: want a whole number from 1`) ??
    (final === undefined || typeof final === 'boolean' ? undefined : `final is ${describe(final)}: want true or false`)
  if (refused !== undefined) return { refused }
  const text = given as Record<string, string | undefined>
  return {
    kind: 'transfer',
    time: time as string,
    id: id as string,
    site: text.site ?? '',
    source: text.source ?? '',
    destination: text.destination ?? '',
    bytes: (bytes as number | null | undefined) ?? null,
    duration_s: (duration_s as number | null | undefined) ?? null,
    status: text.status ?? '',
    error: text.error ?? '',
    ...(started === undefined ? undefined : { started: started as string }),
    ...(text.source_site === undefined ? undefined : { source_site: text.source_site }),
    ...(text.destination_site === undefined ? undefined : { destination_site: text.destination_site }),
    ...(attempt === undefined ? undefined : { attempt: attempt as number }),
    ...(final === undefined ? undefined : { final: final as boolean }),
    ...(text.error_class === undefined ? undefined : { error_class: text.error_class }),
  }
}

function readMetric(given: Record<string, unknown>): MetricRecord | Refused {
  const { time, metric, value, tags } = given
  const refused =
    wrongTime('time', time) ?? wrongName('metric', metric) ?? wrongLabels('tags', tags) ?? wrongValue(value)
  if (refused !== undefined) return { refused }
  return {
    kind: 'metric',
    time: time as string,
    metric: metric as string,
    value: value as number | null,
    tags: (tags as Labels | undefined) ?? noLabels,
  }
}

const noLabels: Labels = Object.freeze({})
const gpuTexts = ['device_id', 'gpu_id', 'model_name', 'hostname', 'container', 'pod', 'namespace'] as const
const transferTexts = [
  'site',
  'source',
  'destination',
  'status',
  'error',
  'source_site',
  'destination_site',
  'error_class',
] as const

function wrongTime(name: string, time: unknown): string | undefined {
  if (typeof time === 'string' && parseTime(time) !== undefined) return undefined
  return `${name} is ${describe(time)}: want RFC 3339 between 1970 and 2261, such as 2025-07-18T20:42:34Z`
}

/** For texts that identify: not empty, not endless. */
function wrongName(name: string, text: unknown): string | undefined {
  if (typeof text === 'string' && text !== '' && text.length <= identityCharsMax) return undefined
  if (typeof text === 'string' && text !== '')
    return `${name} has ${text.length} characters: want 1 to ${identityCharsMax}`
  return `${name} is ${describe(text)}: want a text, because it identifies the record`
}

function wrongTexts(given: Record<string, unknown>, names: readonly string[]): string | undefined {
  for (const name of names) {
    const text = given[name]
    if (typeof text !== 'string' && text !== undefined) return `${name} is ${describe(text)}: want a text`
  }
  return undefined
}

function wrongLabels(name: string, labels: unknown): string | undefined {
  if (labels === undefined) return undefined
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    return `${name} is ${describe(labels)}: want an object of texts`
  }
  for (const label in labels) {
    const text = (labels as Record<string, unknown>)[label]
    if (typeof text !== 'string') return `${name}.${label} is ${describe(text)}: want a text`
  }
  return undefined
}

function wrongValue(value: unknown): string | undefined {
  if (value === null || (typeof value === 'number' && Number.isFinite(value))) return undefined
  return `value is ${describe(value)}: want a number, or null when the source reports none`
}

/** Why a value of this metric cannot be true, or `undefined`. Names and units of every exporter version are known. */
export function implausible(name: string, value: number | null): string | undefined {
  if (value === null) return undefined
  const known = metricOf(name)
  if (known === undefined) return undefined
  const { metric } = known
  const scaled = known.toCanonical(value)
  if (scaled >= metric.min && scaled <= metric.max) return undefined
  // A blank is no implausible value. Asked last, since it is rare.
  if (withoutSentinel(value) === null || value >= metric.blankFrom) return undefined
  return `value ${value} of ${name} is implausible: want ${metric.min} to ${metric.max} ${metric.unit}`
}

function wrongAmount(name: string, amount: unknown): string | undefined {
  if (amount === null || amount === undefined) return undefined
  if (typeof amount === 'number' && amount >= 0 && Number.isFinite(amount)) return undefined
  return `${name} is ${describe(amount)}: want a number from 0, or null when the source reports none`
}

/** A value as an operator would quote it, cut to a readable length: what is refused may be a megabyte. */
export function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === '') return 'empty'
  if (typeof value === 'string') return `"${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  return Array.isArray(value) ? 'a list' : 'an object'
}
