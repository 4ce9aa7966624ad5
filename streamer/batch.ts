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

  /** @param header the header row as it stands: where two exports were put into one file it comes again, and is no row */
  constructor(reader: CsvReader, mapper: Mapper, fields: number, header: string) {
    this.reader = reader
    this.mapper = mapper
    this.fields = fields
    this.header = header
  }

  /**
   * The next rows, until they have become at least `rowsMax` records and dead letters: fewer when the bytes so far hold fewer.
   *
   * @returns `undefined` when they hold none
   */
  take(rowsMax: number): Batch | undefined {
    const { reader } = this
    const records: KeyedRecord[] = []
    const dead: DeadRow[] = []
    let passed = false
    while (records.length + dead.length < rowsMax && this.next()) {
      passed = true
      const mapped = this.mapRow()
      if (mapped === undefined) continue
      if ('data' in mapped) records.push(mapped)
      else if ('refused' in mapped) dead.push(this.deadRow(mapped.refused))
      else {
        for (const each of mapped) {
          const fit = withinBounds(each)
          if ('data' in fit) records.push(fit)
          else dead.push(this.deadRow(fit.refused))
        }
      }
    }
    return passed ? { records, dead, offset: reader.nextOffset, line: reader.nextRowLine } : undefined
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
