/** What a record on the wire becomes: pure, one text in, one record or one reason out. */

import { normalise, plainRange } from '#telemetry/normalise'
import {
  type GpuRecord,
  implausible,
  isRefused,
  readRecord,
  type Refused,
  type TelemetryRecord,
} from '#telemetry/record'
import { parseTime } from '#telemetry/time'

/**
 * Reads the text of a record, checks it and brings it under its canonical name and unit.
 *
 * @returns the record, or why it is none
 */
export function transform(text: string): TelemetryRecord | Refused {
  const record = read(text)
  return isRefused(record) ? record : normalise(record)
}

function read(text: string): TelemetryRecord | Refused {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { refused: `not JSON: ${(error as Error).message}` }
  }
  return readRecord(value)
}

/** A text of a GPU's record, around its time and its value, and what it says beside them. */
interface Template {
  readonly before: string
  readonly after: string
  readonly record: GpuRecord
  /** Values that need no second look; none where each does. */
  readonly plain: { readonly min: number; readonly max: number }
  /** What came after it the last time. */
  next: Template | undefined
}

/** As the streamer writes records, and whoever keeps to the order of docs/PROTOCOL.md. */
const head = '{"kind":"gpu","time":"'
const valueName = ',"value":'

/** What JSON and `Number` read alike. */
const plainNumber = /^-?(0|[1-9]\d{0,14})(\.\d{1,6})?$/

/** Templates are found by the text around the value; beyond so many all are forgotten. */
const templatesMax = 100_000

/**
 * {@link transform} for many texts. Those of a series differ in time and value, and each log has its series in the same order at
 * each moment; so a text is held against the one that followed the last time, and nothing is parsed but time and value.
 * Looking a text up in a map takes as long as `JSON.parse` does, comparing it with one a fraction (docs/decisions/058).
 */
export class Transformer {
  #templates = new Map<string, Template>()
  #last: Template | undefined
  /** The last time that was read, which most records share. An empty one is none. */
  #time: string | undefined

  /** @returns what {@link transform} does */
  transform(text: string): TelemetryRecord | Refused {
    const guess = this.#last?.next
    if (guess !== undefined) {
      const record = this.#fitted(text, guess)
      if (record !== undefined) {
        this.#last = guess
        return record
      }
    }
    const record = read(text)
    if (isRefused(record)) return record
    if (record.kind === 'gpu') this.#learn(text, record)
    return normalise(record)
  }

  /** The record of a text that is the template's but for time and value; `undefined` where that is not sure. */
  #fitted(text: string, { before, after, record, plain }: Template): TelemetryRecord | Refused | undefined {
    const timeEnd = text.indexOf('"', head.length)
    const valueAt = timeEnd + before.length
    const valueEnd = text.length - after.length
    // Compared as slices, which is one comparison of memory: `startsWith` and `endsWith` go by characters, 5 times as long.
    if (valueEnd <= valueAt || text.slice(valueEnd) !== after || text.slice(timeEnd, valueAt) !== before)
      return undefined
    if (!text.startsWith(head)) return undefined
    let time = text.slice(head.length, timeEnd)
    if (time === this.#time) time = this.#time
    else if (parseTime(time) === undefined) return undefined
    else this.#time = time
    const given = text.slice(valueAt, valueEnd)
    if (!plainNumber.test(given)) return undefined
    const value = Number(given)
    // Nearly all: told without looking the metric up, twice.
    if (value >= plain.min && value <= plain.max) return { ...record, time, value }
    const refused = implausible(record.metric, value)
    return refused === undefined ? normalise({ ...record, time, value }) : { refused }
  }

  #learn(text: string, record: GpuRecord): void {
    const template = this.#templateOf(text, record)
    if (this.#last !== undefined) this.#last.next = template
    this.#last = template
  }

  #templateOf(given: string, record: GpuRecord): Template | undefined {
    if (!given.startsWith(head) || record.value === null || record.time === anyTime) return undefined
    const timeEnd = given.indexOf('"', head.length)
    const valueAt = given.indexOf(valueName, timeEnd) + valueName.length
    const [value] = /^-?[\d.eE+-]+/.exec(given.slice(valueAt, valueAt + 40)) ?? []
    if (value === undefined) return undefined
    const key = `${given.slice(timeEnd, valueAt)}\0${given.slice(valueAt + value.length)}`
    const known = this.#templates.get(key)
    if (known !== undefined) return known
    // A copy: what came is a slice of a piece of the stream, all of which it would keep in memory.
    const [before = '', after = ''] = Buffer.from(key).toString().split('\0')
    // Names may stand twice in JSON, and in labels: these places count only if what stands there is what is read.
    const probe = read(`${head}${anyTime}${before}null${after}`)
    if (isRefused(probe) || probe.kind !== 'gpu' || probe.time !== anyTime || probe.value !== null) return undefined
    if (this.#templates.size >= templatesMax) this.#templates.clear()
    const plain = plainRange(probe.metric) ?? { min: Infinity, max: -Infinity }
    const template = { before, after, record: probe, plain, next: undefined }
    this.#templates.set(key, template)
    return template
  }
}

/** No record's that a template is made of. */
const anyTime = '1970-01-01T00:00:00Z'
