/**
 * The two comment lines that make a log out of an event stream (DESIGN: "the log is the wire", docs/PROTOCOL.md).
 *
 *     : penstock 1 <log id> <topic> <broker> <partition> <first offset>
 *     : batch <first offset> <count> <bytes> <append ms> <producer|-> <sequence|-> [name=value …] <crc32>
 *
 * Server-Sent Events ignore lines that start with a colon, so a browser reads past both; our client and the recovery
 * read them. This file knows the lines only; the events between them are framed in `broker/framing.ts`.
 */

import type { Offset, Ordinal, Partition } from './ids.ts'

/** The major version of the log and stream format. A reader refuses another one. */
export const formatVersion = 1

/** Digits of the numbers in a batch header: fixed, so that a header can be written before its numbers are known. */
const digits = { offset: 16, count: 8, bytes: 10, time: 14, sequence: 16 }

/** The head of a segment file, and of each log in a stream. */
export interface LogHead {
  /** 16 hexadecimal digits, made when the log is made: tells a log from a later one of the same name. */
  readonly logId: string
  readonly topic: string
  readonly broker: Ordinal
  readonly partition: Partition
  /** The offset of the first record behind this line. */
  readonly firstOffset: Offset
}

/** The head of one appended batch. */
export interface BatchHead {
  readonly firstOffset: Offset
  /** Records in the batch. */
  readonly count: number
  /** Bytes of the events behind the header line, their blank lines included. */
  readonly bytes: number
  /** When it was appended, in ms since 1970, never less than the batch before it. */
  readonly appendMs: number
  readonly producer: string | undefined
  /** The number of the first record in the producer's stream to this partition. */
  readonly sequence: number | undefined
  /** `name=value` fields: a reader skips those that it does not know. */
  readonly fields: ReadonlyMap<string, string>
}

/** A batch header as read, with the checksum that it claims. */
export interface ReadBatchHead extends BatchHead {
  readonly crc: number
  /** How many characters of the line, from its start, the checksum covers (up to and with the space before it). */
  readonly covered: number
}

/** Writes the line that heads a segment file, its newline included. */
export function formatLogHead(head: LogHead): string {
  return `: penstock ${formatVersion} ${head.logId} ${head.topic} ${head.broker} ${head.partition} ${head.firstOffset}\n`
}

const logHeadPattern = /^: penstock (\d+) ([0-9a-f]{16}) (\S+) (\d{1,5}) (\d{1,5}) (\d{1,16})$/
const anyVersionPattern = /^: penstock (\d+) /

/** Reads a segment's head, without its newline: the head, the foreign version, or `undefined` for any other line. */
export function parseLogHead(line: string): LogHead | { readonly foreignVersion: number } | undefined {
  const version = anyVersionPattern.exec(line)
  if (version !== null && Number(version[1]) !== formatVersion) return { foreignVersion: Number(version[1]) }
  const match = logHeadPattern.exec(line)
  if (match === null || !Number.isSafeInteger(Number(match[6]))) return undefined
  return {
    logId: match[2] as string,
    topic: match[3] as string,
    broker: Number(match[4]) as Ordinal,
    partition: Number(match[5]) as Partition,
    firstOffset: Number(match[6]) as Offset,
  }
}

/** The part of a batch header that its checksum covers: everything up to the checksum, with the space before it. */
export function formatBatchHead(head: BatchHead): string {
  const producer = head.producer ?? '-'
  const sequence = head.sequence === undefined ? '-' : pad(head.sequence, digits.sequence)
  let fields = ''
  for (const [name, value] of head.fields) fields += `${name}=${value} `
  return (
    `: batch ${pad(head.firstOffset, digits.offset)} ${pad(head.count, digits.count)} ${pad(head.bytes, digits.bytes)} ` +
    `${pad(head.appendMs, digits.time)} ${producer} ${sequence} ${fields}`
  )
}

/** The checksum as it stands at the end of a header line: 8 hexadecimal digits. The newline is not included. */
export function formatCrc(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}

const batchHeadPattern =
  /^: batch (\d{16}) (\d{8}) (\d{10}) (\d{14}) ([A-Za-z0-9_-][A-Za-z0-9._-]{0,127}) (\d{16}|-) ((?:[a-z][a-z0-9_]*=\S* )*)([0-9a-f]{8})$/

/** Reads a batch header, without its newline; `undefined` for any other line. It does not check the checksum. */
export function parseBatchHead(line: string): ReadBatchHead | undefined {
  const match = batchHeadPattern.exec(line)
  if (match === null || !Number.isSafeInteger(Number(match[1]))) return undefined
  const sequence = match[6] === '-' ? undefined : Number(match[6])
  if (sequence !== undefined && !Number.isSafeInteger(sequence)) return undefined
  const fields = new Map<string, string>()
  for (const field of (match[7] as string).split(' ')) {
    const at = field.indexOf('=')
    if (at > 0) fields.set(field.slice(0, at), field.slice(at + 1))
  }
  return {
    firstOffset: Number(match[1]) as Offset,
    count: Number(match[2]),
    bytes: Number(match[3]),
    appendMs: Number(match[4]),
    // A producer may be named `-`; it has a number then.
    producer: match[5] === '-' && sequence === undefined ? undefined : match[5],
    sequence,
    fields,
    crc: Number.parseInt(match[8] as string, 16),
    covered: line.length - 8,
  }
}

/** A place in a trace, as the field `trace` of a batch header names it: what happens to the batch next is its child. */
export interface HeadTrace {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
}

/** The fields of a batch header that make the batch a part of a trace. */
export function traceFields({ traceId, spanId }: HeadTrace): ReadonlyMap<string, string> {
  return new Map([['trace', `${traceId}-${spanId}`]])
}

const tracePattern = /^([0-9a-f]{32})-([0-9a-f]{16})$/

/** The trace of a batch; `undefined` for one that has none, or one of another form. */
export function traceOf({ fields }: Pick<BatchHead, 'fields'>): HeadTrace | undefined {
  const match = tracePattern.exec(fields.get('trace') ?? '')
  return match === null ? undefined : { traceId: match[1] as string, spanId: match[2] as string }
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}
