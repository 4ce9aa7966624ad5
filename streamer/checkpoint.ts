/**
 * What the streamer knows of a file after a restart, and what it makes of it. A checkpoint is written only after the broker
 * has acknowledged everything before it; what was sent after it is sent again, under the same numbers, and the broker knows
 * those. So a kill at any moment neither skips a row nor repeats one.
 */

import type { Format } from './formats/format.ts'
import type { TimeSpan } from './formats/times.ts'

/** What tells one state of a file from another. */
export interface Fingerprint {
  readonly size: number
  readonly mtimeMs: number
  /** Hash of the file's first `headBytes`. */
  readonly head: string
  readonly headBytes: number
}

/** How many bytes of a file's start are compared: a replaced export differs there, by its times at the latest. */
export const headBytesMax = 64 * 1024

export interface FileCheckpoint {
  readonly version: 1
  readonly fingerprint: Fingerprint
  /** By name; `undefined` until its header is read. */
  readonly format: Format['name'] | undefined
  /** Under this name the broker counts what it got; a file that is read anew gets a new one. */
  readonly producer: string
  /** The first byte that is not settled, in the uncompressed text, and its line. */
  readonly offset: number
  readonly line: number
  /** Rows that are settled: acknowledged as records or as dead letters, over all passes. */
  readonly rows: number
  /** Those of them that are dead letters. */
  readonly dead: number
  /** The next record's number, for each partition. */
  readonly sequences: Readonly<Record<number, number>>
  /** The next dead letter's number. */
  readonly deadSequence: number
  /** How often the file was read before (`--loop`). */
  readonly pass: number
  readonly atEnd: boolean
  /** How much later all its times are (`--times now`); `undefined` until that is decided. */
  readonly shiftMs?: number
  /** The times of the first pass. */
  readonly span: TimeSpan
}

export function newCheckpoint(fingerprint: Fingerprint, producer: string, span: TimeSpan): FileCheckpoint {
  return {
    version: 1,
    fingerprint,
    format: undefined,
    producer,
    offset: 0,
    line: 1,
    rows: 0,
    dead: 0,
    sequences: {},
    deadSequence: 0,
    pass: 0,
    atEnd: false,
    span,
  }
}

/** What to do about a file of which there is a checkpoint. */
export type Verdict = 'new' | 'resume' | 'settled'

/**
 * A file is the one of the checkpoint when it begins alike and is not shorter than what was read of it. A compressed file
 * does not grow: another size makes it another file.
 */
export function judge(checkpoint: FileCheckpoint, seen: Fingerprint, compressed: boolean): Verdict {
  const known = checkpoint.fingerprint
  if (seen.head !== known.head || seen.headBytes !== known.headBytes) return 'new'
  if (compressed) return seen.size !== known.size ? 'new' : checkpoint.atEnd ? 'settled' : 'resume'
  if (seen.size < checkpoint.offset) return 'new'
  return checkpoint.atEnd && seen.size === checkpoint.offset ? 'settled' : 'resume'
}

/** The checkpoint with which the next pass over a settled file begins. */
export function nextPass(checkpoint: FileCheckpoint): FileCheckpoint {
  return { ...checkpoint, offset: 0, line: 1, pass: checkpoint.pass + 1, atEnd: false }
}

/** Reads what was kept of a file; `undefined` for nothing. @throws Error that names the version, where it is not ours */
export function parseCheckpoint(path: string, text: string | undefined): FileCheckpoint | undefined {
  if (text === undefined) return undefined
  const given = JSON.parse(text) as Omit<FileCheckpoint, 'span' | 'version'> & {
    readonly version: number
    readonly span: { readonly [K in keyof TimeSpan]: number | null }
  }
  if (given.version !== 1) {
    throw new Error(
      `the checkpoint of ${path} is of version ${given.version}, this program reads version 1: ` +
        'run the version of Penstock that wrote it, or a later one',
    )
  }
  const { firstMs, lastMs, stepMs } = given.span
  // JSON has no infinities: they come back as null.
  return {
    ...given,
    version: 1,
    span: { firstMs: firstMs ?? Infinity, lastMs: lastMs ?? -Infinity, stepMs: stepMs ?? Infinity },
  }
}
