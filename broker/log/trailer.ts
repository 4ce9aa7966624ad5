/**
 * The end of a sealed segment: what a start must know of it, so that only the segment that was being written is scanned.
 *
 *     : trailer {"first":0,"next":1234,"records":1234,"batches":17,"bytes":65536,"first_ms":…,"last_ms":…,
 *                "index":[[0,1784550000000,65],…],"producers":{"streamer-1f0c":[1204,1204,30]}}
 *     : sealed <position of the trailer line, 16 digits> <crc32, 8 hexadecimal digits>
 *
 * Both are comment lines, so the file stays an event stream. The last one is of fixed length: the end of the file finds the
 * trailer. The checksum covers the trailer line with its newline and the sealed line up to the checksum. What stands
 * between them is not vouched for: batches are verified when they are read.
 */

import { crc32 } from 'node:zlib'

import { formatCrc } from '#wire/frames'
import type { Offset } from '#wire/ids'

import type { DiskFile } from '../disk/disk.ts'
import type { ProducerStates } from './producers.ts'

/** `[first offset, append ms, position]` of some batches, in order. */
export type IndexRows = readonly (readonly [number, number, number])[]

/** What a sealed segment says of itself. */
export interface Trailer {
  /** The offset of the segment's first record; the one after its last. */
  readonly first: Offset
  readonly next: Offset
  /** Fewer than `next - first` where damage was known when it was sealed. */
  readonly records: number
  readonly batches: number
  /** Where the batches end, and the trailer begins. */
  readonly bytes: number
  /** When its first and its last batch were appended, in ms since 1970; 0 when it has none. */
  readonly firstMs: number
  readonly lastMs: number
  readonly index: IndexRows
  /** What the log remembers of its producers, those of earlier segments included. */
  readonly producers: ProducerStates
}

const LF = 10
const sealedStart = ': sealed '
/** `: sealed 0000000000065536 6f2f8c11\n` */
const sealedBytes = sealedStart.length + 16 + 1 + 8 + 1

/** A trailer holds 4,000 rows of index and 10,000 producers with long names; more is not one of ours. */
const trailerBytesMax = 16 << 20

/** What is read of the end at once: most trailers are shorter, and take no second read. */
const guessBytes = 1024

/** The lines that seal a segment. */
export function formatTrailer(trailer: Trailer): Buffer {
  const { first, next, records, batches, bytes, firstMs, lastMs, index, producers } = trailer
  const json = JSON.stringify({
    first,
    next,
    records,
    batches,
    bytes,
    first_ms: firstMs,
    last_ms: lastMs,
    index,
    producers: Object.fromEntries(producers),
  })
  const covered = `: trailer ${json}\n${sealedStart}${String(bytes).padStart(16, '0')} `
  return Buffer.from(`${covered}${formatCrc(crc32(Buffer.from(covered)))}\n`)
}

/**
 * Reads the trailer at the end of a file.
 *
 * @returns `undefined` when there is none, or none that is whole: the segment has to be scanned
 */
export async function readTrailer(file: DiskFile, size: number): Promise<Trailer | undefined> {
  if (size < sealedBytes) return undefined
  const guessed = Math.max(0, size - guessBytes)
  const end = await readRange(file, guessed, size)
  const match = /^: sealed (\d{16}) ([0-9a-f]{8})\n$/.exec(end.toString('latin1', end.length - sealedBytes))
  const start = Number(match?.[1])
  if (match === null || start >= size - sealedBytes || size - start > trailerBytesMax) return undefined
  const bytes = start < guessed ? await readRange(file, start, size) : end.subarray(start - guessed)
  if (formatCrc(crc32(bytes.subarray(0, -9))) !== match[2]) return undefined
  return parseTrailer(bytes.toString('utf8', 0, bytes.indexOf(LF)), start)
}

function parseTrailer(line: string, start: number): Trailer | undefined {
  if (!line.startsWith(': trailer {')) return undefined
  // The checksum has held: the JSON is what we wrote.
  const json = JSON.parse(line.slice(': trailer '.length)) as Record<string, unknown>
  const number = (name: string): number => (typeof json[name] === 'number' ? json[name] : 0)
  if (number('bytes') !== start) return undefined
  return {
    first: number('first') as Offset,
    next: number('next') as Offset,
    records: number('records'),
    batches: number('batches'),
    bytes: start,
    firstMs: number('first_ms'),
    lastMs: number('last_ms'),
    index: (json['index'] ?? []) as IndexRows,
    producers: new Map(Object.entries((json['producers'] ?? {}) as Record<string, [number, number, number]>)),
  }
}

async function readRange(file: DiskFile, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(to - from)
  let filled = 0
  while (filled < bytes.length) {
    const count = await file.read(bytes.subarray(filled), from + filled)
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}
