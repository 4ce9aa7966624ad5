/**
 * One source's way to the broker: records to their partitions and dead letters, each numbered, so that sending them again
 * after a restart changes nothing. `outlet.ts` makes lanes of the wire's client; the core knows this shape only.
 */

import type { DeadRow } from './batch.ts'
import type { KeyedRecord } from './formats/format.ts'

export interface Lane {
  /** Takes records in the order of their numbers. Resolves when the broker has acknowledged all of them. `traceparent`: the trace that they belong to. */
  send(records: readonly KeyedRecord[], traceparent?: string): Promise<void>
  /** Takes rows that could not be read; `file` says where they stand. Resolves like {@link send}. */
  bury(rows: readonly DeadRow[], file: string): Promise<void>
  /** The next number of each partition, and of the dead letters: what a checkpoint keeps of everything taken so far. */
  readonly numbers: LaneNumbers
  /** Bytes taken and not acknowledged. */
  readonly bufferedBytes: number
  /** Lets go of what is not acknowledged. */
  close(): Promise<void>
}

export interface LaneNumbers {
  readonly sequences: Readonly<Record<number, number>>
  readonly deadSequence: number
}

/** Opens a lane to a topic under a producer's name, from these numbers on. Waits for the broker to be there. */
export type OpenLane = (topic: string, producer: string, numbers: LaneNumbers, signal: AbortSignal) => Promise<Lane>
