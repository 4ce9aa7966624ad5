/** What is asked of a log, and what it answers. */

import type { Offset, Partition } from '#wire/ids'

import type { Chunk } from './ring.ts'

/**
 * When an append is acknowledged and visible: after `fdatasync` (survives power loss), after `write` (survives a killed
 * process), or at once (`memory`: survives a graceful stop, and is written behind).
 */
export type Durability = 'fsync' | 'disk' | 'memory'

/** What a log is given. */
export interface LogOptions {
  readonly durability: Durability
  /** A segment that has grown beyond this is closed, and a new one begun. */
  readonly segmentBytesMax: number
  /** How many records a `memory` log keeps that are in no file yet (`QUEUE_SIZE`). */
  readonly queueRecordsMax: number
  /** How far ahead of its end a log that shows unsynced records reserves offsets. */
  readonly reserveRecords: number
  /** Resolves when what has come in this turn of the event loop is appended; see {@link CommitQueue}. */
  readonly turn?: (() => Promise<void>) | undefined
  /** Told once, when the log cannot be trusted any more: the process should end, and recover when it starts again. */
  readonly onBroken?: (error: Error) => void
}

/** What happened to an append that was not accepted. */
export type NotWritten = 'disk_full' | 'not_writable' | 'memory_full'

/** An append that was accepted. */
export interface Appended {
  readonly first: Offset
  readonly count: number
  /** Whether the same producer had written it before. */
  readonly duplicate: boolean
  /** Resolves when it is durable, or when it could not be written and leaves no trace. Never rejects. */
  readonly done: Promise<'durable' | NotWritten>
}

/** A numbered batch of a producer. */
export interface Numbered {
  readonly producer: string
  readonly sequence: number
}

/** A batch as it stands in the log. */
export interface StoredBatch {
  readonly first: Offset
  readonly next: Offset
  /** The header line and the events. */
  readonly view: Buffer
  /** The memory that the view is of: whoever keeps the view beyond this turn must be among its readers. */
  readonly chunk: Chunk | undefined
}

/** How people find a log: `telemetry/partition-3`. */
export function folderName(log: { readonly topic: string; readonly partition: Partition }): string {
  return `${log.topic}/partition-${log.partition}`
}
