/** Turns the bodies that `POST /telemetry` takes into records. */

import { isRefused, type Labels, readRecord, type GpuRecord, type TelemetryRecord } from '#telemetry/record'
import { formatTime, sourceTime } from '#telemetry/time'
import { normalise } from '#telemetry/normalise'
import { partitionKeyOf } from '#telemetry/identity'
import type { BodyOf } from '../contract.ts'

type Input = Exclude<BodyOf<'postTelemetry'>, unknown[]>

/** A record as it goes into the log. */
export interface Intake {
  readonly record: TelemetryRecord
  readonly data: string
  /** What picks its partition. */
  readonly key: string
}

/**
 * One body of source 002 as a record: times of any kind, `labels_raw` taken apart, and a uuid made of host and device
 * where there is none.
 *
 * @returns why it is none, in one line
 */
export function intakeOf(input: Input, nowMs: number): Intake | { readonly refused: string } {
  const { labels_raw = '', time, labels: given = {}, ...rest } = input
  const parsed = parseLabels(labels_raw)
  if (parsed === undefined) {
    return { refused: `labels_raw is ${JSON.stringify(labels_raw.slice(0, 100))}: want name=value pairs with commas` }
  }
  const text = time === undefined ? formatTime({ ms: nowMs, ns: 0 }) : (sourceTime(time) ?? time)
  const uuid = rest.uuid || fallbackUuid(rest)
  const record = readRecord({ ...rest, uuid, time: text, labels: { ...parsed, ...given } })
  if (isRefused(record)) return record
  const normal = normalise(record as GpuRecord)
  return { record: normal, data: JSON.stringify(normal), key: partitionKeyOf(normal) }
}

/** The most that is known of which GPU it is: two devices of one host differ, those of two hosts too. */
function fallbackUuid({ hostname, gpu_id, device_id }: Input): string {
  return [hostname, gpu_id || device_id].filter(Boolean).join(':')
}

// Blanks are read in one place only: of 4,000 that could stand in three, each way of sharing them out was tried, for half a minute.
const labelPattern = /^([A-Za-z_][\w.:/-]*)\s*=(?:\s*"((?:[^"\\]|\\.|"")*)"\s*|([^,"]*))(?:,\s*|$)/

/**
 * Reads `app=ml-training,DCGM_FI_DRIVER_VERSION="535.129.03"`: pairs between commas; a value may stand in quotes, in which
 * `""` and `\"` are a quote (the sample files write the one, Prometheus the other).
 *
 * @returns `undefined` where it is not that
 */
export function parseLabels(text: string): Labels | undefined {
  // A label may be called __proto__.
  const labels = Object.create(null) as Record<string, string>
  let rest = text.trim()
  while (rest !== '') {
    const match = labelPattern.exec(rest)
    if (match === null) return undefined
    const [whole, name, quoted, bare] = match
    labels[name as string] = quoted === undefined ? (bare as string).trim() : quoted.replace(/\\(.)|""/g, unescape)
    rest = rest.slice(whole.length)
  }
  return labels
}

function unescape(_: string, escaped: string | undefined): string {
  if (escaped === undefined) return '"'
  return escaped === 'n' ? '\n' : escaped
}
