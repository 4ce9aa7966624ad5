/**
 * Line protocol: what a record is in InfluxDB, as text. A point is a head (measurement and tags: its series), fields and a
 * time in nanoseconds.
 *
 * Texts of tags are kept so that any text comes back. What the protocol cannot carry in a tag (nothing at all, backslashes,
 * control characters, half a pair of UTF-16) is percent-encoded, and so is the percent sign; everything else stands there as
 * it is. A text of more than {@link tagBytesMax} becomes its hash, and stands in a measurement of its own (`texts`),
 * since a series must be named in 64 KiB.
 */

import { createHash } from 'node:crypto'
import { seriesLabels } from '#telemetry/identity'
import type { GpuRecord, Labels, MetricRecord } from '#telemetry/record'
import type { Instant } from '#telemetry/time'

/** Tags by name; the texts as {@link tagText} makes them. */
export type Tags = Readonly<Record<string, string>>

/** Longer ones, in UTF-8 as they are written, become a hash: a dozen of them still fit into the 65,535 bytes of a series. */
export const tagBytesMax = 4096

/** What a head may take, with room for what the server adds to it. */
export const headBytesMax = 65_000

/** Before the names of a `metric` record's tags, so that none of them is a name of ours or of the server's (`time`, `_field`). */
const tagPrefix = 'tag_'
/** The one tag of them all, where a server fixes the tags of a table when it is made. */
const jointTag = 'tags'

const awkward = /[%\\\p{Cc}]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/gu
const isPlain = /^[\w.:/+-]+$/
const emptyText = '%'
const hashMark = '%#'

/** A text as the content of a tag. */
export function tagText(text: string): string {
  if (isPlain.test(text) && text.length <= tagBytesMax) return text
  if (text === '') return emptyText
  const encoded = text.replace(awkward, percent)
  if (Buffer.byteLength(encoded) <= tagBytesMax) return encoded
  return hashMark + createHash('sha256').update(encoded).digest('hex')
}

/** The text again; of one that became a hash `undefined`. */
export function textOfTag(content: string): string | undefined {
  if (!content.includes('%')) return content
  if (content === emptyText) return ''
  if (content.startsWith(hashMark)) return undefined
  return content.replace(/%u([0-9A-F]{4})|%([0-9A-F]{2})/g, (_, half: string | undefined, code: string) =>
    String.fromCharCode(parseInt(half ?? code, 16)),
  )
}

function percent(text: string): string {
  const code = text.charCodeAt(0)
  return code > 0xff ? `%u${hex(code, 4)}` : `%${hex(code, 2)}`
}

function hex(code: number, width: number): string {
  return code.toString(16).toUpperCase().padStart(width, '0')
}

/** The tags of a GPU's point. */
export function gpuTags({ uuid, gpu_i_id, metric, labels }: GpuRecord): Tags {
  const tags: Record<string, string> = { uuid: tagText(uuid), metric: tagText(metric) }
  if (gpu_i_id !== undefined && gpu_i_id !== '') tags['gpu_i_id'] = tagText(gpu_i_id)
  for (const name of seriesLabels) {
    const text = labels[name]
    if (text !== undefined && text !== '') tags[name] = tagText(text)
  }
  return tags
}

/** @param isJoint all tags of the record in one, as JSON: for a server that takes no further tags for a table */
export function metricTags({ metric, tags }: MetricRecord, isJoint: boolean): Tags {
  const names = Object.keys(tags).sort()
  if (isJoint) {
    const joint = JSON.stringify(Object.fromEntries(names.map((name) => [name, tags[name]])))
    return { metric: tagText(metric), [jointTag]: tagText(joint) }
  }
  const own = names.map((name) => [tagPrefix + tagText(name), tagText(tags[name] as string)])
  return { metric: tagText(metric), ...(Object.fromEntries(own) as Tags) }
}

/** Those of the texts of a record that stand in tags as hashes, by hash. */
export function longTexts(record: GpuRecord | MetricRecord, isJoint: boolean): ReadonlyMap<string, string> {
  const tags = record.kind === 'gpu' ? record.labels : record.tags
  const texts = record.kind === 'gpu' ? [...seriesLabels].map((name) => tags[name] ?? '') : Object.entries(tags).flat()
  if (record.kind === 'metric' && isJoint) {
    texts.push(JSON.stringify(Object.fromEntries(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)))))
  }
  return new Map(texts.map((text) => [tagText(text), text] as const).filter(([content]) => isHash(content)))
}

export function isHash(content: string): boolean {
  return content.startsWith(hashMark)
}

/**
 * The labels that a series' tags stand for: of a GPU those that make it a series of its own, of a metric all of its tags.
 *
 * @param textOf the text of a tag's content
 */
export function labelsOf(kind: 'gpu' | 'metric', tags: Tags, textOf: (content: string) => string): Labels {
  // A label may be called __proto__.
  const labels = Object.create(null) as Record<string, string>
  if (kind === 'gpu') {
    for (const name of seriesLabels) if (has(tags, name)) labels[name] = textOf(tags[name] as string)
    return labels
  }
  if (has(tags, jointTag)) return JSON.parse(textOf(tags[jointTag] as string)) as Labels
  for (const name of Object.keys(tags)) {
    if (name.startsWith(tagPrefix) && has(tags, name))
      labels[textOf(name.slice(tagPrefix.length))] = textOf(tags[name] as string)
  }
  return labels
}

/** An answer names each tag of the measurement; a series that has it not has an empty one. */
function has(tags: Tags, name: string): boolean {
  return tags[name] !== undefined && tags[name] !== ''
}

/** Measurement and tags, in the order in which the server keeps them. Equal texts are the same series. */
export function headOf(measurement: string, tags: Tags): string {
  let head = measurement
  for (const name of Object.keys(tags).sort()) {
    if (has(tags, name)) head += `,${escaped(name)}=${escaped(tags[name] as string)}`
  }
  return head
}

function escaped(content: string): string {
  return isPlain.test(content) ? content : content.replace(/[,= ]/g, '\\$&')
}

/** A text as a field. Half a pair of UTF-16 becomes U+FFFD, as it does in any UTF-8. */
export function stringField(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

/** Nanoseconds since 1970 as digits: beyond what a number holds exactly. */
export function timeDigits({ ms, ns }: Instant): string {
  if (ns === 0) return `${ms}000000`
  return ms === 0 ? String(ns) : ms + String(ns).padStart(6, '0')
}
