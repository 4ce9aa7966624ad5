/**
 * What may be in a record: the body of a produce request becomes a table of lines, or a refusal that names the line.
 *
 * A record must not be able to forge a line of the log. An event stream ends its lines with LF, CR or CRLF, so no CR may
 * reach the log; a line of a record is always written behind `data: `, so no text in it can look like `id:` or a header.
 */

import { isUtf8 } from 'node:buffer'

import type { ProblemCode } from '#wire/problems'

const LF = 10
const CR = 13
const SPACE = 32

/** Bytes with the start and end of each line in them. Valid as long as the body it was made from. */
export interface Records {
  readonly bytes: Buffer
  /** Pairs of positions, start and end (exclusive), two a line. */
  readonly lines: Uint32Array
  readonly lineCount: number
  /** How many records the lines make: each its own, or (`text/plain`) all of them one. */
  readonly count: number
}

/** A body that is refused as a whole. `line` counts from 1. */
export interface Refused {
  readonly refused: Extract<ProblemCode, 'binary_record' | 'bad_record' | 'record_too_large' | 'empty_batch'>
  readonly detail: string
  readonly line?: number
}

/** How a body is cut into records. */
export type BodyKind = 'ndjson' | 'json' | 'text'

/**
 * Cuts a body into records.
 *
 * - `ndjson`: a record a line, split on LF only; a CR before the LF is dropped, any other becomes a space (in legal JSON a
 *   raw CR stands only between tokens); empty lines are skipped. The lines are not parsed.
 * - `json`: one record; its line ends become spaces. It must parse.
 * - `text`: one record; CR and CRLF are line ends and come back as LF.
 *
 * A leading byte order mark is dropped. NUL and what is not UTF-8 are refused.
 */
export function readRecords(body: Uint8Array, kind: BodyKind, recordBytesMax: number): Records | Refused {
  let bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) bytes = bytes.subarray(3)
  if (bytes.includes(0))
    return { refused: 'binary_record', detail: 'a NUL byte', line: lineOf(bytes, bytes.indexOf(0)) }
  if (!isUtf8(bytes)) return { refused: 'binary_record', detail: 'not UTF-8', line: firstBadLine(bytes) }
  if (kind === 'json') {
    const parsed = checkJson(bytes)
    if (parsed !== undefined) return parsed
    bytes = withoutLineEnds(bytes)
  } else if (bytes.includes(CR)) {
    bytes = kind === 'ndjson' ? withoutReturns(bytes) : normalised(bytes)
  }
  const table = kind === 'text' ? splitText(bytes) : splitLines(bytes)
  if (table.lineCount === 0) return { refused: 'empty_batch', detail: 'the body holds no record' }
  if (kind === 'text') {
    if (bytes.length > recordBytesMax) return tooLarge(bytes.length, recordBytesMax, 1)
    return { bytes, ...table, count: 1 }
  }
  for (let line = 0; line < table.lineCount; line++) {
    const length = (table.lines[2 * line + 1] as number) - (table.lines[2 * line] as number)
    if (length > recordBytesMax) return tooLarge(length, recordBytesMax, lineOf(bytes, table.lines[2 * line] as number))
  }
  return { bytes, ...table, count: table.lineCount }
}

function tooLarge(length: number, max: number, line: number): Refused {
  return { refused: 'record_too_large', detail: `line ${line} has ${length} bytes, the limit is ${max}`, line }
}

// One table for all requests: a table lives only until its batch is framed, in the same turn.
let pool = new Uint32Array(1 << 14)

function lineTable(lineCount: number): void {
  if (pool.length < 2 * lineCount + 2) {
    const larger = new Uint32Array(4 * lineCount)
    larger.set(pool)
    pool = larger
  }
}

/** Lines that hold something, split on LF. `indexOf` finds 47M newlines a second where a loop over bytes finds 10M. */
function splitLines(bytes: Buffer): { lines: Uint32Array; lineCount: number } {
  let lineCount = 0
  let start = 0
  while (start < bytes.length) {
    let end = bytes.indexOf(LF, start)
    if (end === -1) end = bytes.length
    if (end > start && !isBlank(bytes, start, end)) {
      lineTable(lineCount + 1)
      pool[2 * lineCount] = start
      pool[2 * lineCount + 1] = end
      lineCount++
    }
    start = end + 1
  }
  return { lines: pool, lineCount }
}

/** All lines, the empty ones too; one line end at the end of the text belongs to no line. */
function splitText(bytes: Buffer): { lines: Uint32Array; lineCount: number } {
  let lineCount = 0
  let start = 0
  while (start < bytes.length) {
    let end = bytes.indexOf(LF, start)
    if (end === -1) end = bytes.length
    lineTable(lineCount + 1)
    pool[2 * lineCount] = start
    pool[2 * lineCount + 1] = end
    lineCount++
    start = end + 1
  }
  return { lines: pool, lineCount }
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== SPACE && bytes[at] !== 9) return false
  return true
}

function checkJson(bytes: Buffer): Refused | undefined {
  if (isBlank(withoutLineEnds(bytes), 0, bytes.length)) {
    return { refused: 'empty_batch', detail: 'the body holds no record' }
  }
  try {
    JSON.parse(bytes.toString('utf8'))
    return undefined
  } catch (error) {
    return { refused: 'bad_record', detail: `not JSON: ${(error as Error).message}`, line: 1 }
  }
}

/** A copy with CR and LF as spaces: in JSON that parses they stand between tokens only. */
function withoutLineEnds(bytes: Buffer): Buffer {
  if (!bytes.includes(LF) && !bytes.includes(CR)) return bytes
  const copy = Buffer.from(bytes)
  for (let at = 0; at < copy.length; at++) if (copy[at] === LF || copy[at] === CR) copy[at] = SPACE
  return copy
}

/** A copy without the CRs that stand before an LF or at the end, and with a space for any other. */
function withoutReturns(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte !== CR) copy[length++] = byte
    else if (at + 1 < bytes.length && bytes[at + 1] !== LF) copy[length++] = SPACE
  }
  return copy.subarray(0, length)
}

/** A copy with CR and CRLF as LF. */
function normalised(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte !== CR) copy[length++] = byte
    else if (bytes[at + 1] !== LF) copy[length++] = LF
  }
  return copy.subarray(0, length)
}

function lineOf(bytes: Buffer, position: number): number {
  let line = 1
  for (let at = bytes.indexOf(LF); at !== -1 && at < position; at = bytes.indexOf(LF, at + 1)) line++
  return line
}

function firstBadLine(bytes: Buffer): number {
  let line = 1
  for (let start = 0; start <= bytes.length; line++) {
    let end = bytes.indexOf(LF, start)
    if (end === -1) end = bytes.length
    if (!isUtf8(bytes.subarray(start, end))) return line
    start = end + 1
  }
  return 1
}
