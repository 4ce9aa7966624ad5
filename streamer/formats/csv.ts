/**
 * Reads CSV (RFC 4180, and what people write instead) from bytes, row by row, without making an object a row.
 *
 * Own code, because the checkpoint needs the byte at which each row begins, and because the pipeline lives on it: see
 * docs/decisions/040-csv-from-bytes.md for the comparison. Quotes may hold commas, newlines and doubled quotes; lines end in
 * LF or CRLF; a byte order mark and empty lines are skipped; a field that is not quoted is taken as it stands.
 *
 * A row that cannot be read (a quote that never closes, text behind a closing quote, endless length) spoils its first line
 * only: reading goes on with the next line. What is a row depends on the bytes alone, never on how they were chunked, so
 * that a restart sees the same rows.
 */

const comma = 0x2c
const quote = 0x22
const newline = 0x0a
const carriageReturn = 0x0d

/** Longer rows are faults: without a bound a quote that never closes would be held in memory to the end of the file. */
export const rowBytesMax = 1 << 20

/** Columns beyond these are counted, and not kept: where they are is not known, so a header may not have more. */
export const fieldsMax = 512

/** How a field was written, so that its text can be had from its bytes. */
const plain = 0
const doubledQuotes = 1

/**
 * How a row was split, of which two fields change and nothing else does: the next one like it is told by comparing the rest,
 * without looking at each of its bytes.
 */
export interface RowShape {
  /** The row without the texts of its two free fields. */
  readonly bytes: Buffer
  /** Where in {@link bytes} the first free field was cut out, and where the second. */
  readonly cuts: readonly [number, number]
  /** The free fields, by their places in the row. */
  readonly free: readonly [number, number]
  /** Fields begin and end here, counted from the beginning of the row, each free field being empty. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly kinds: Uint8Array
  readonly newlines: number
}

export interface CsvStart {
  /** The offset in the file of the first byte that will be pushed. */
  readonly offset: number
  /** Its line number, from 1. */
  readonly line: number
}

export class CsvReader {
  /** Holds the row that {@link next} found; positions in it are valid until the next {@link push} or {@link space}. */
  buffer: Buffer
  /** Fields of the row. */
  fieldCount = 0
  /** Where each field begins in {@link buffer}, without its quotes; of a row with a {@link shape} only its free fields are told. */
  readonly starts = new Int32Array(fieldsMax)
  /** Where each field ends; likewise. */
  readonly ends = new Int32Array(fieldsMax)
  /** The row in {@link buffer}, without its line end. */
  rowStart = 0
  rowEnd = 0
  /** The line that the row begins on, from 1. */
  line: number
  /** Why the row cannot be read; its bytes are then its first line, and it has no fields. */
  fault: string | undefined
  /** What {@link nextLike} found it to be like. */
  shape: RowShape | undefined

  private readonly kinds = new Uint8Array(fieldsMax)
  /** Whether {@link starts}, {@link ends} and {@link kinds} tell all fields of the row. */
  private isSpread = true
  /** The unread bytes: `buffer[from, end)`. */
  private from = 0
  private end = 0
  private ended = false
  /** The file's offset of `buffer[0]`. */
  private base: number
  private nextLine: number
  /** Newlines inside the row, once it is scanned. */
  private newlines = 0
  private scanned: 'row' | 'more' | 'fault' = 'more'

  constructor(start: CsvStart, bufferBytes = 512 * 1024) {
    this.buffer = Buffer.allocUnsafe(bufferBytes)
    this.base = start.offset
    this.line = start.line
    this.nextLine = start.line
  }

  /** The offset in the file of the first byte behind the row. */
  get nextOffset(): number {
    return this.base + this.from
  }

  /** The line that follows the row. */
  get nextRowLine(): number {
    return this.nextLine
  }

  /** Whether the file ends within the row, or right behind it without a line end. */
  get isCutOff(): boolean {
    return this.ended && this.from === this.end && this.buffer[this.end - 1] !== newline
  }

  /** Whether bytes follow the row that was found last: where they hold no whole row, the beginning of one. */
  get holdsMore(): boolean {
    return this.from < this.end
  }

  /** Room for at least `bytes` more; say by {@link filled} how many were put there. Ends the row that was found. */
  space(bytes: number): Buffer {
    if (this.from > 0) {
      this.buffer.copyWithin(0, this.from, this.end)
      this.base += this.from
      this.end -= this.from
      this.from = 0
    }
    if (this.buffer.length - this.end < bytes) {
      const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.end + bytes))
      this.buffer.copy(larger, 0, 0, this.end)
      this.buffer = larger
    }
    return this.buffer.subarray(this.end)
  }

  filled(bytes: number): void {
    this.end += bytes
  }

  /** Takes a copy of the next bytes of the file. */
  push(bytes: Uint8Array): void {
    this.space(bytes.length).set(bytes)
    this.filled(bytes.length)
  }

  /** No more bytes follow: the last row may lack its line end. */
  finish(): void {
    this.ended = true
  }

  /**
   * Finds the next row.
   *
   * @returns `row` when it stands in the fields of this object (look at {@link fault} first), `more` when the bytes so far
   *   hold no whole row, `end` behind the last one
   */
  next(): 'row' | 'more' | 'end' {
    this.shape = undefined
    this.isSpread = true
    for (;;) {
      if (this.base + this.from === 0 && !this.skipMark()) return 'more'
      if (this.from === this.end) return this.ended ? 'end' : 'more'
      this.line = this.nextLine
      this.rowStart = this.from
      const after = this.scan(this.from, this.end)
      if (after - this.from > rowBytesMax)
        this.spoil(`the row is longer than ${rowBytesMax} bytes: is a quote not closed?`)
      else if (this.scanned === 'more') {
        if (!this.ended) return 'more'
        this.spoil('a quote is not closed')
      } else if (this.scanned === 'fault') {
        // The line must be here to its end, or the row would depend on the chunks.
        if (!this.ended && this.lineEnd() < 0 && this.end - this.from <= rowBytesMax) return 'more'
        this.spoil('text follows a closing quote')
      } else {
        this.from = after
        this.nextLine += this.newlines
        this.fault = undefined
        if (this.fieldCount === 1 && this.rowStart === this.rowEnd) continue
      }
      return 'row'
    }
  }

  /**
   * Finds the next row if it is like that one, and stands as {@link next} would leave it then.
   *
   * @returns false when it is not, or when that cannot be told: nothing has changed, and {@link next} tells
   */
  nextLike(shape: RowShape): boolean {
    const { buffer, from, end } = this
    const { bytes } = shape
    const [first, second] = shape.cuts
    const [firstField, secondField] = shape.free
    // A mark may stand before the first row of a file.
    if (from + bytes.length >= end || this.base + from === 0) return false
    if (!isSame(buffer, from, bytes, 0, first)) return false
    const firstEnd = freeEnd(buffer, from + first, end)
    const secondStart = firstEnd + second - first
    if (secondStart > end || !isSame(buffer, firstEnd, bytes, first, second)) return false
    const secondEnd = freeEnd(buffer, secondStart, end)
    const rowEnd = secondEnd + bytes.length - second
    const lineEnd = buffer[rowEnd] === carriageReturn ? rowEnd + 1 : rowEnd
    if (lineEnd >= end || buffer[lineEnd] !== newline || lineEnd - from >= rowBytesMax) return false
    if (!isSame(buffer, secondEnd, bytes, second, bytes.length)) return false
    // The other fields are hardly ever asked for, and to note where they are took longer than the comparing.
    this.starts[firstField] = from + first
    this.ends[firstField] = firstEnd
    this.kinds[firstField] = plain
    this.starts[secondField] = secondStart
    this.ends[secondField] = secondEnd
    this.kinds[secondField] = plain
    this.isSpread = false
    this.shape = shape
    this.fault = undefined
    this.line = this.nextLine
    this.nextLine += shape.newlines + 1
    this.fieldCount = shape.starts.length
    this.rowStart = from
    this.rowEnd = rowEnd
    this.from = lineEnd + 1
    return true
  }

  /** Notes where all fields of a row are that was found by its shape. */
  private spread(): void {
    const { shape, rowStart } = this
    if (this.isSpread || shape === undefined) return
    this.isSpread = true
    const { starts, ends, kinds, cuts, free } = shape
    const [firstEnd, secondEnd] = free.map((field) => this.ends[field]) as [number, number]
    for (let field = 0; field < starts.length; field++) {
      const shift = field <= free[0] ? rowStart : field <= free[1] ? firstEnd - cuts[0] : secondEnd - cuts[1]
      this.starts[field] = (starts[field] as number) + shift
      this.ends[field] = (ends[field] as number) + shift
      this.kinds[field] = kinds[field] as number
    }
    this.ends[free[0]] = firstEnd
    this.ends[free[1]] = secondEnd
  }

  /**
   * The shape of the row that was found.
   *
   * @param free the two fields, the earlier one first, that differ in rows like it
   * @returns `undefined` where it has none that can be compared: one of them holds what splits a row
   */
  shapeOf(free: readonly [number, number]): RowShape | undefined {
    this.spread()
    const { buffer, rowStart, rowEnd, fieldCount } = this
    if (fieldCount > fieldsMax || free.some((field) => !this.isFree(field))) return undefined
    const [firstStart, secondStart] = free.map((field) => this.starts[field]) as [number, number]
    const [firstEnd, secondEnd] = free.map((field) => this.ends[field]) as [number, number]
    const [before, between, behind] = [
      buffer.subarray(rowStart, firstStart),
      buffer.subarray(firstEnd, secondStart),
      buffer.subarray(secondEnd, rowEnd),
    ]
    const bytes = Buffer.concat([before, between, behind])
    const cuts = [before.length, before.length + between.length] as const
    const shiftOf = (field: number): number =>
      field <= free[0] ? rowStart : field <= free[1] ? firstEnd - cuts[0] : secondEnd - cuts[1]
    const starts = this.starts.slice(0, fieldCount).map((start, field) => start - shiftOf(field))
    const ends = this.ends.slice(0, fieldCount).map((end, field) => end - shiftOf(field))
    const newlines = bytes.reduce((sum, byte) => sum + (byte === newline ? 1 : 0), 0)
    return { bytes, cuts, free, starts, ends, kinds: this.kinds.slice(0, fieldCount), newlines }
  }

  private isFree(field: number): boolean {
    const end = this.ends[field] as number
    return this.kinds[field] === plain && freeEnd(this.buffer, this.starts[field] as number, end) === end
  }

  /** The text of a field: its bytes as UTF-8, doubled quotes made single. */
  text(field: number): string {
    if (!this.isSpread && field !== this.shape?.free[0] && field !== this.shape?.free[1]) this.spread()
    const text = this.buffer.toString('utf8', this.starts[field], this.ends[field])
    return this.kinds[field] === doubledQuotes ? text.replaceAll('""', '"') : text
  }

  /** The row as it stands in the file, at most `bytesMax` of it. */
  rowText(bytesMax: number): string {
    return this.buffer.toString('utf8', this.rowStart, Math.min(this.rowEnd, this.rowStart + bytesMax))
  }

  /** Skips a byte order mark at the start of the file; false when that cannot be told yet. */
  private skipMark(): boolean {
    if (this.end < 3 && !this.ended) return false
    if (this.end >= 3 && this.buffer[0] === 0xef && this.buffer[1] === 0xbb && this.buffer[2] === 0xbf) this.from = 3
    return true
  }

  /** Makes a fault of the row's first line, or of as much of it as is held. */
  private spoil(fault: string): void {
    const at = this.lineEnd()
    const found = at >= 0 && at - this.rowStart <= rowBytesMax
    const stop = found ? at : Math.min(this.end, this.rowStart + rowBytesMax)
    this.fault = fault
    this.fieldCount = 0
    this.rowEnd = found && at > this.rowStart && this.buffer[at - 1] === carriageReturn ? at - 1 : stop
    this.from = found ? at + 1 : stop
    if (found) this.nextLine++
  }

  /** The newline that ends the row's first line, or -1 while it is not here. */
  private lineEnd(): number {
    const at = this.buffer.indexOf(newline, this.rowStart)
    return at < this.end ? at : -1
  }

  /** Splits the row at `from`; returns the position behind it and sets `scanned`. */
  private scan(from: number, end: number): number {
    const { buffer, starts, ends, kinds } = this
    let at = from
    let field = 0
    this.newlines = 0
    this.scanned = 'more'
    for (;;) {
      let start = at
      let stop: number
      let kind = plain
      if (at < end && buffer[at] === quote) {
        start = ++at
        for (;;) {
          while (at < end && buffer[at] !== quote) {
            if (buffer[at] === newline) this.newlines++
            at++
          }
          if (at >= end) return end
          if (at + 1 >= end || buffer[at + 1] !== quote) break
          kind = doubledQuotes
          at += 2
        }
        stop = at++
        if (at < end && buffer[at] === carriageReturn && (at + 1 >= end || buffer[at + 1] === newline)) at++
        if (at < end && buffer[at] !== comma && buffer[at] !== newline) {
          this.scanned = 'fault'
          return at
        }
      } else {
        while (at < end && buffer[at] !== comma && buffer[at] !== newline) at++
        stop = at
        if (stop > start && buffer[stop - 1] === carriageReturn && (at >= end || buffer[at] === newline)) stop--
      }
      if (field < fieldsMax) {
        starts[field] = start
        ends[field] = stop
        kinds[field] = kind
      }
      field++
      if (at >= end && !this.ended) return end
      if (at >= end || buffer[at] === newline) break
      at++
    }
    this.scanned = 'row'
    this.fieldCount = field
    this.rowEnd = at
    if (at > from && buffer[at - 1] === carriageReturn) this.rowEnd--
    if (at < end) {
      this.newlines++
      at++
    }
    return at
  }
}

/** No time and no number is longer; what is longer is split byte by byte. */
const freeBytesMax = 64

/** Where a free field ends, or where it is none any more. */
function freeEnd(buffer: Buffer, from: number, end: number): number {
  const stop = Math.min(end, from + freeBytesMax)
  let at = from
  while (at < stop) {
    const byte = buffer[at] as number
    if (byte === comma || byte === quote || byte === newline || byte === carriageReturn) break
    at++
  }
  return at
}

/** Whether `a` holds from `at` on what `b[from, to)` holds. */
function isSame(a: Buffer, at: number, b: Buffer, from: number, to: number): boolean {
  const length = to - from
  // A call of the runtime takes as long as a loop over some 30 bytes.
  if (length > 32) return a.compare(b, from, to, at, at + length) === 0
  for (let index = 0; index < length; index++) if (a[at + index] !== b[from + index]) return false
  return true
}
