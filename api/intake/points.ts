/** Turns line protocol into records of kind "metric", and what is none into dead letters. */

import { isRefused, readRecord } from '#telemetry/record'
import { partitionKeyOf } from '#telemetry/identity'
import { formatTime, type Instant } from '#telemetry/time'
import type { Intake } from './intake.ts'
import { type BadLine, type FieldValue, type Point, readLines } from './line_protocol.ts'

/** What a timestamp counts, in the words of both versions of the protocol. */
export const precisions = ['ns', 'n', 'us', 'u', 'µ', 'ms', 's', 'm', 'h'] as const
export type Precision = (typeof precisions)[number]

/** Why a line, or fields of it, became no record. */
export interface Letter {
  readonly reason: string
  readonly line: number
  readonly row: string
}

/** A part of what a text holds. */
export interface Points {
  readonly records: readonly Intake[]
  readonly letters: readonly Letter[]
  /** Lines that ended in this part and hold a point, or should. */
  readonly lines: number
  /** Those of them that are no line protocol. */
  readonly unreadable: number
  /** Of records and letters. */
  readonly chars: number
}

export interface PointOptions {
  readonly precision: Precision
  /** Of points without a timestamp, RFC 3339. */
  readonly now: string
  /**
   * A part ends when its records and letters are of so many characters: a short text may hold records that are a thousand
   * times as long, each with the tags of its line.
   */
  readonly partChars: number
  /** False: what was no UTF-8 has become U+FFFD, and lines with it are refused. */
  readonly isUtf8: boolean
}

/** Of a row so much is kept. */
const rowCharsMax = 8 * 1024
/** As in InfluxDB, where a series is named in 64 KiB: each field is a record that repeats the tags. */
const headCharsMax = 65_535
/** In a line with many bad fields so many are told of. */
const flawsMax = 10
/** Beyond 2262, and beyond what may be made a date of. */
const timeMsMax = 9_214_646_400_000

const msOf: Readonly<Record<Precision, number>> = {
  ns: 1e-6,
  n: 1e-6,
  us: 1e-3,
  u: 1e-3,
  µ: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * Each field that holds a number is a record (`metric` = measurement_field). Other fields become a letter, one a line; the
 * numbers beside them are taken.
 */
export function* pointsOf(text: string, options: PointOptions): Generator<Points> {
  const { partChars, isUtf8 } = options
  let part = { records: [] as Intake[], letters: [] as Letter[], lines: 0, unreadable: 0, chars: 0 }
  const next = () => {
    const done = part
    part = { records: [], letters: [], lines: 0, unreadable: 0, chars: 0 }
    return done
  }
  for (const read of readLines(text)) {
    const flaws: string[] = []
    if ('wrong' in read) flaws.push(read.wrong)
    else if (!isUtf8 && text.slice(read.start, read.end).includes('\ufffd')) flaws.push('it is not UTF-8')
    else {
      for (const record of recordsOf(read, options, flaws)) {
        part.records.push(record)
        part.chars += record.data.length
        if (part.chars >= partChars) yield next()
      }
    }
    if (flaws.length > 0) {
      const letter = letterOf(text, read, flaws)
      part.letters.push(letter)
      part.chars += letter.reason.length + letter.row.length
    }
    part.lines++
    if ('wrong' in read) part.unreadable++
    if (part.chars >= partChars) yield next()
  }
  if (part.lines > 0) yield part
}

function* recordsOf(point: Point, { precision, now }: PointOptions, flaws: string[]): Generator<Intake> {
  const head = wrongHead(point)
  const time = point.time === undefined ? now : timeOf(point.time, precision)
  if (head !== undefined) flaws.push(head)
  else if (typeof time !== 'string') flaws.push(time.refused)
  else {
    for (const [name, value] of numbersOf(point, flaws)) {
      const made = intakeOf(`${point.measurement}_${name}`, value, time, point.tags)
      if ('refused' in made) flaws.push(made.refused)
      else yield made
    }
  }
}

/** The fields that hold numbers, each name once, the last one as in InfluxDB; the others are flaws. */
function numbersOf({ fields }: Point, flaws: string[]): Map<string, number> {
  const numbers = new Map<string, number>()
  const kinds = new Map<string, FieldValue>()
  for (const [name, value] of fields) {
    if (kinds.has(name)) flaws.push(`field ${shown(name)} is there twice: the last one counts`)
    kinds.set(name, value)
    if (typeof value === 'number') numbers.set(name, value)
    else {
      numbers.delete(name)
      const what = typeof value === 'string' ? 'a text' : value
      flaws.push(`field ${shown(name)} is ${what}: only numbers are stored`)
    }
  }
  return numbers
}

function intakeOf(metric: string, value: number, time: string, tags: Point['tags']): Intake | { refused: string } {
  const record = readRecord({ kind: 'metric', time, metric, value, tags })
  return isRefused(record) ? record : { record, data: JSON.stringify(record), key: partitionKeyOf(record) }
}

function wrongHead({ measurement, tags }: Point): string | undefined {
  let chars = measurement.length
  for (const name in tags) chars += name.length + (tags[name] as string).length + 2
  return chars > headCharsMax
    ? `measurement and tags have ${chars} characters: want ${headCharsMax} at most`
    : undefined
}

/** Timestamps of line protocol are counts since 1970. */
function timeOf(digits: string, precision: Precision): string | { readonly refused: string } {
  const instant = digits.startsWith('-') ? undefined : instantOf(digits, precision)
  if (instant !== undefined && instant.ms < timeMsMax) return formatTime(instant)
  return { refused: `the timestamp ${digits} in ${precision} is not between 1970 and 2261: is precision= right?` }
}

function instantOf(digits: string, precision: Precision): Instant {
  const ms = msOf[precision]
  if (ms >= 1) return { ms: Number(digits) * ms, ns: 0 }
  // By digits: nanoseconds of today are more than a number holds.
  const subMs = ms === 1e-3 ? 3 : 6
  const padded = digits.padStart(subMs + 1, '0')
  return { ms: Number(padded.slice(0, -subMs)), ns: Number(padded.slice(-subMs)) * (subMs === 3 ? 1_000 : 1) }
}

function letterOf(text: string, { line, start, end }: Point | BadLine, flaws: readonly string[]): Letter {
  const more = flaws.length > flawsMax ? [`and ${flaws.length - flawsMax} more`] : []
  const row = text.slice(start, Math.min(end, start + rowCharsMax)).trimEnd()
  return { reason: [...flaws.slice(0, flawsMax), ...more].join('; '), line, row }
}

function shown(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name
}
