/**
 * What a sealed hour of one series is kept as: a blob of its rows and a blob of its rollup.
 *
 * Each blob is one byte that says how it is packed, the packed bytes, and the CRC-32 of both, so that damage is found where
 * SQLite finds none. docs/decisions/053-sealed-blocks.md has the layout of what is packed.
 */

import { crc32, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { ByteReader, ByteWriter } from './numbers.ts'
import { noRollup, type Rollup, rollupColumns } from './rollup.ts'
import type { Rows } from './rows.ts'

/** How the bytes are packed. A number that is not here is of a later version. */
const plain = 1
const zstd = 2
const deflate = 3

/** Fewer bytes gain nothing by it. */
const compressedMin = 48

/**
 * Up to here deflate, which also makes fewer bytes of them: for each block zstd sets up a decoder of its own, 0.1 ms whatever
 * the size, and a day of a GPU is 24 blocks. Inflating took 19 µs for 165 bytes, 55 µs for 908 and 157 µs for 8,750, where
 * zstd took 81, 127 and 125.
 */
const deflatedMax = 1024

/** Times are kept as multiples of the largest of these, in nanoseconds, that divides them all. */
const units = [1e9, 1e6, 1e3, 1] as const

/** Of a rollup: the hour, and its minutes. */
const entriesMax = 61

const isUneven = 0
const isEven = 1

/** The content of a blob cannot be what was written. */
export class DamagedBlock extends Error {}

const writer = new ByteWriter()

/** @param rows at least one */
export function encodeRows({ times, values }: Rows): Buffer {
  const unit = unitOf(times)
  writer.whole(times.length)
  writer.whole(unit)
  writeTimes(times, units[unit] as number)
  const gaps: number[] = []
  for (let index = 0, before = 0; index < values.length; index++) {
    if (!Number.isNaN(values[index])) continue
    gaps.push(index - before)
    before = index
  }
  writer.whole(gaps.length)
  for (const gap of gaps) writer.whole(gap)
  writer.numbers(gaps.length === 0 ? values : values.filter((value) => !Number.isNaN(value)))
  return packed(writer.take(), true)
}

/** @throws DamagedBlock */
export function decodeRows(blob: Uint8Array): Rows {
  return decoded(blob, (reader) => {
    const count = reader.whole()
    const times = readTimes(reader, count, units[reader.whole()])
    const missing = reader.whole()
    if (missing > count) throw new RangeError('more rows without a value than rows')
    const places: number[] = []
    for (let index = 0, place = 0; index < missing; index++) places.push((place += reader.whole()))
    const reported = reader.numbers(count - missing)
    if (missing === 0) return { times, values: reported }
    const values = new Float64Array(count)
    let next = 0
    let gap = 0
    for (let index = 0; index < count; index++) {
      if (places[gap] === index) {
        values[index] = NaN
        gap++
      } else values[index] = reported[next++] as number
    }
    return { times, values }
  })
}

/** Not compressed: it is small, and decoding it is what wide queries take their time with. */
export function encodeRollup(rollup: Rollup): Buffer {
  const unit = Math.max(unitOf(rollup.firstTimes), unitOf(rollup.lastTimes))
  const ns = units[unit] as number
  writer.whole(rollup.minutes.length)
  writer.whole(unit)
  for (const name of rollupColumns) {
    writer.numbers(name.endsWith('Times') ? rollup[name].map((time) => time / ns) : rollup[name])
  }
  return packed(writer.take(), false)
}

/**
 * Rollups by their number of entries, filled again and again: a thousand GPUs and a day are 24,000 rollups, and making their
 * columns took as long as reading the numbers.
 */
const reused: (Rollup | undefined)[] = []

/**
 * @param columns how many of the columns are wanted (`columnsFor`); the others mean nothing
 * @returns what stands until the next call
 * @throws DamagedBlock
 */
export function decodeRollup(blob: Uint8Array, columns: number = rollupColumns.length): Rollup {
  return decoded(blob, (reader) => {
    const count = reader.whole()
    if (count > entriesMax) throw new RangeError(`${count} entries in a rollup`)
    const ns = units[reader.whole()] ?? NaN
    const rollup = (reused[count] ??= noRollup(count))
    for (let column = 0; column < columns; column++) {
      const name = rollupColumns[column] as keyof Rollup
      const values = reader.numbers(count, rollup[name])
      if (name === 'firstTimes' || name === 'lastTimes')
        for (let index = 0; index < count; index++) values[index] = (values[index] as number) * ns
    }
    if (columns < rollupColumns.length) reader.skip()
    return rollup
  })
}

function packed(bytes: Buffer, mayCompress: boolean): Buffer {
  const way = bytes.length > deflatedMax ? zstd : deflate
  const compress = way === zstd ? zstdCompressSync : deflateRawSync
  const small = mayCompress && bytes.length >= compressedMin ? compress(bytes) : bytes
  const isSmaller = small.length < bytes.length
  const content = isSmaller ? small : bytes
  const blob = Buffer.allocUnsafe(content.length + 5)
  blob[0] = isSmaller ? way : plain
  content.copy(blob, 1)
  blob.writeUInt32LE(crc32(blob.subarray(0, -4)), blob.length - 4)
  return blob
}

const unpackers: Readonly<Record<number, (content: Buffer) => Buffer>> = {
  [plain]: (content) => content,
  [zstd]: (content) => zstdDecompressSync(content),
  [deflate]: (content) => inflateRawSync(content),
}

function decoded<T>(given: Uint8Array, decode: (reader: ByteReader) => T): T {
  const blob = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  if (blob.length < 5 || crc32(blob.subarray(0, -4)) !== blob.readUInt32LE(blob.length - 4)) {
    throw new DamagedBlock('its checksum is wrong')
  }
  const unpack = unpackers[blob[0] as number]
  if (unpack === undefined) throw new DamagedBlock(`it is packed in way ${blob[0]}`)
  try {
    const reader = new ByteReader(unpack(blob.subarray(1, -4)))
    const result = decode(reader)
    if (!reader.isAtEnd) throw new RangeError('bytes are left')
    return result
  } catch (error) {
    throw new DamagedBlock(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** The place of the unit in the list. */
function unitOf(times: Float64Array): number {
  return units.findIndex((ns) => {
    // A quotient and a product: the remainder of two doubles takes ten times as long.
    for (let index = 0; index < times.length; index++) {
      const time = times[index] as number
      if (Math.floor(time / ns) * ns !== time) return false
    }
    return true
  })
}

/** Even steps need two numbers; others are kept as how much each step differs from the one before. */
function writeTimes(times: Float64Array, ns: number): void {
  const at = (index: number): number => (times[index] as number) / ns
  const first = times[0] as number
  const stepNs = times.length > 1 ? (times[1] as number) - first : 0
  let index = 2
  while (index < times.length && times[index] === first + index * stepNs) index++
  writer.whole(index >= times.length ? isEven : isUneven)
  writer.whole(first / ns)
  if (index >= times.length) {
    writer.whole(stepNs / ns)
    return
  }
  let before = 0
  for (let place = 1; place < times.length; place++) {
    const own = at(place) - at(place - 1)
    writer.signed(own - before)
    before = own
  }
}

function readTimes(reader: ByteReader, count: number, ns: number | undefined): Float64Array {
  if (ns === undefined) throw new RangeError('an unknown unit of times')
  const shape = reader.whole()
  const times = new Float64Array(count)
  let time = reader.whole()
  let step = shape === isEven ? reader.whole() : 0
  times[0] = time * ns
  for (let index = 1; index < count; index++) {
    if (shape === isUneven) step += reader.signed()
    time += step
    times[index] = time * ns
  }
  return times
}
