/** Batches that were appended and are not settled yet. */

import type { Offset } from '#wire/ids'

import { isDiskFull } from '../disk/disk.ts'
import type { Chunk } from './ring.ts'
import type { NotWritten, Numbered } from './types.ts'

/** One batch on its way to the disk. */
export interface Pending {
  readonly first: Offset
  readonly next: Offset
  readonly view: Buffer
  readonly bytes: number
  readonly chunk: Chunk
  readonly appendMs: number
  readonly numbered: Numbered | undefined
  readonly done: Promise<'durable' | NotWritten>
  readonly resolve: (outcome: 'durable' | NotWritten) => void
}

/** A batch with the promise that its producer waits for. */
export function pend(batch: Omit<Pending, 'done' | 'resolve'>): Pending {
  const { promise: done, resolve } = Promise.withResolvers<'durable' | NotWritten>()
  return { ...batch, done, resolve }
}

/** What a producer is told of a write that failed. */
export function outcomeOf(error: Error): NotWritten {
  return isDiskFull(error) ? 'disk_full' : 'not_writable'
}

/** Tells the producers of batches that these were not written, and gives their memory back. */
export function refuse(entries: readonly Pending[], error: Error): void {
  const outcome = outcomeOf(error)
  for (const entry of entries) {
    entry.chunk.unwritten--
    entry.resolve(outcome)
  }
}
