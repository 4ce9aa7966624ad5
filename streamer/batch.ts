/** Cuts the rows of a file into batches: what goes to the broker together, and how far the file is settled then. */

import type { CsvReader } from './formats/csv.ts'
import type { KeyedRecord, Mapped, Mapper } from './formats/format.ts'

/** A row that no record could be made of. */
export interface DeadRow {
  readonly reason: string
  readonly line: number
  readonly row: string
}

export interface Batch {
  readonly records: readonly KeyedRecord[]
  readonly dead: readonly DeadRow[]
  /** Where the file goes on behind the batch. */
  readonly offset: number
  readonly line: number
}

/** Of a dead row so much is kept. */
const deadRowBytesMax = 8 * 1024

/** A record larger than this is no telemetry, and the broker would refuse the batch that it is in. */
const recordCharsMax = 256 * 1024

export class Batcher {
  private readonly reader: CsvReader
  private readonly mapper: Mapper
  private readonly fields: number
  private readonly header: string
  /** What the last row became, which was not due. */
  private held: Pick<Batch, 'records' | 'dead'> | undefined

  /** @param header the header row as it stands: where two exports were put into one file it comes again, and is no row */
  constructor(reader: CsvReader, mapper: Mapper, fields: number, header: string) {
    this.reader = reader
    this.mapper = mapper
    this.fields = fields
    this.header = header
  }

  /** Whether a row has been read that was not due; the next {@link take} begins with it. */
  get holds(): boolean {
    return this.held !== undefined
  }

  /**
   * The next rows, until they have become at least `rowsMax` records and dead letters: fewer when the bytes so far hold fewer.
   *
   * @param isDue whether the row that was just mapped may go now; one that may not is held, and is not in the batch
   * @returns `undefined` when there is none
   */
  take(rowsMax: number, isDue?: () => boolean): Batch | undefined {
    const { reader } = this
    const records: KeyedRecord[] = [...(this.held?.records ?? [])]
    const dead: DeadRow[] = [...(this.held?.dead ?? [])]
    let passed = this.held !== undefined
    this.held = undefined
    let place = { offset: reader.nextOffset, line: reader.nextRowLine }
    while (records.length + dead.length < rowsMax && this.next()) {
      const before = [records.length, dead.length] as const
      this.put(this.mapRow(), records, dead)
      if (isDue?.() === false) {
        this.held = { records: records.splice(before[0]), dead: dead.splice(before[1]) }
        return passed ? { records, dead, ...place } : undefined
      }
      passed = true
      if (isDue !== undefined) place = { offset: reader.nextOffset, line: reader.nextRowLine }
    }
    return passed ? { records, dead, offset: reader.nextOffset, line: reader.nextRowLine } : undefined
  }

  private put(mapped: Mapped | readonly Mapped[] | undefined, records: KeyedRecord[], dead: DeadRow[]): void {
    if (mapped === undefined) return
    if ('data' in mapped) records.push(mapped)
    else if ('refused' in mapped) dead.push(this.deadRow(mapped.refused))
    else for (const each of mapped) this.put(withinBounds(each), records, dead)
  }

  /** Passes over the rows before `offset`, which are settled, for the sake of a mapper that must see them all. */
  skipTo(offset: number): 'there' | 'more' {
    const { reader } = this
    while (reader.nextOffset < offset) {
      // Empty lines before the offset are passed over by a `next` that finds no row.
      if (reader.next() !== 'row') return reader.nextOffset < offset ? 'more' : 'there'
      if (reader.fault === undefined && reader.fieldCount === this.fields) this.mapper.skip?.(reader)
    }
    return 'there'
  }

  private next(): boolean {
    const shape = this.mapper.expected?.()
    return (shape !== undefined && this.reader.nextLike(shape)) || this.reader.next() === 'row'
  }

  private deadRow(reason: string): DeadRow {
    return { reason, line: this.reader.line, row: this.reader.rowText(deadRowBytesMax) }
  }

  private mapRow(): Mapped | readonly Mapped[] | undefined {
    const { reader, fields } = this
    if (reader.fault !== undefined) return { refused: reader.fault }
    if (reader.fieldCount !== fields) {
      const given = `${reader.fieldCount} field${reader.fieldCount === 1 ? '' : 's'}`
      return { refused: `the row has ${given}${reader.isCutOff ? ' and the file ends in it' : ''}: want ${fields}` }
    }
    if (reader.rowEnd - reader.rowStart === this.header.length && reader.rowText(this.header.length) === this.header) {
      return undefined
    }
    const mapped = this.mapper.map(reader)
    return 'data' in mapped ? withinBounds(mapped) : mapped
  }
}

function withinBounds(mapped: Mapped): Mapped {
  if ('refused' in mapped || mapped.data.length <= recordCharsMax) return mapped
  return { refused: `the record has ${mapped.data.length} characters: want at most ${recordCharsMax}` }
}
