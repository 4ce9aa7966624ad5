/** What becomes of the records of a batch that the broker refused: pure, for the producer. */

import { Problem } from './problems.ts'

/** What counts here of a record in a batch. The numbers of a batch follow each other. */
export interface Numbered {
  readonly data: string
  readonly sequence: number
}

/** A batch, taken apart. Together the parts are the batch. */
export interface Aftermath<Record extends Numbered> {
  readonly problem: Problem
  /** Written by an earlier request. */
  readonly written: readonly Record[]
  /** Refused for what they are. */
  readonly refused: readonly Record[]
  /** To be sent again, in this order, one request each: numbers that follow each other stay together. */
  readonly rest: readonly (readonly Record[])[]
  /** The broker takes less than this batch: the size, in characters, that the next ones should have. */
  readonly charactersMax?: number
}

/** What refuses one record of a batch, and names its line. */
const recordCodes: ReadonlySet<string> = new Set(['bad_record', 'binary_record', 'record_too_large'])

/** Takes a refused batch apart; `undefined` when the refusal is for all of it. */
export function afterRefusal<Record extends Numbered>(
  error: unknown,
  batch: readonly Record[],
): Aftermath<Record> | undefined {
  const [first] = batch
  if (!(error instanceof Problem) || first === undefined) return undefined
  const { code } = error
  const { expected, line } = error.extra
  if (code === 'sequence_overlap' && typeof expected === 'number') {
    const known = expected - first.sequence
    if (!Number.isInteger(known) || known <= 0 || known >= batch.length) return undefined
    return { problem: error, written: batch.slice(0, known), refused: [], rest: [batch.slice(known)] }
  }
  const isOfRecord = recordCodes.has(code)
  if (batch.length === 1 && (isOfRecord || code === 'body_too_large'))
    return { problem: error, written: [], refused: batch, rest: [] }
  if (isOfRecord && typeof line === 'number') {
    const bad = batch[line - 1]
    if (bad === undefined) return undefined
    return { problem: error, written: [], refused: [bad], rest: [batch.slice(0, line - 1), batch.slice(line)] }
  }
  if (code === 'body_too_large') {
    const half = batch.length >>> 1
    const characters = batch.reduce((sum, { data }) => sum + data.length, 0)
    const rest = [batch.slice(0, half), batch.slice(half)]
    return { problem: error, written: [], refused: [], rest, charactersMax: Math.max(1, Math.floor(characters / 2)) }
  }
  return undefined
}
