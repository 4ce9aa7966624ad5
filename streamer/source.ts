/** What a source of rows is to those who read it. */

import type { Fingerprint } from './checkpoint.ts'
import type { CsvReader } from './formats/csv.ts'

/** What is wrong with a source, in one line for an operator: what, where, what would be right. */
export class SourceError extends Error {}

/** An open file: what it is, and its text. */
export interface OpenFile {
  readonly path: string
  /** Its text can be had from the start only, and does not grow. */
  readonly compressed: boolean
  /** What is not sent of it is lost: nobody can read it again. */
  readonly isInput?: boolean
  readonly fingerprint: Fingerprint
  /** A hash of the first `bytes` of it. */
  headOf(bytes: number): Promise<string>
  /**
   * Reads on from `offset` of the text into the reader, at least one byte a call; false at the end.
   *
   * @throws SourceError when compressed data is cut short or damaged, after all that could be read of it
   */
  text(offset: number): Text
  close(): Promise<void>
}

export interface Text {
  readInto(reader: CsvReader): Promise<boolean>
  close(): Promise<void>
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
