/** What the producer keeps of the records that it was given, until they are settled. */

import { Problem } from './problems.ts'

export interface Entry {
  readonly data: string
  readonly sequence: number
  readonly sending: Sending
  /** Its place in the call. */
  readonly index: number
  /** Acknowledged or refused. */
  isSettled: boolean
}

/** One call of `send`: resolves with its last record. */
export interface Sending {
  open: number
  /** Goes with the requests that carry its records. */
  readonly traceparent: string | undefined
  /** What failed a whole batch with a record of this call in it. */
  failure?: unknown
  /** What refused single records for what they are, first; and their places. */
  problem?: Problem
  readonly refused: number[]
  readonly resolve: () => void
  readonly reject: (problem: unknown) => void
}

/** The records of one partition. */
export interface Lane {
  readonly partition: number
  queue: Entry[]
  queuedBytes: number
  nextSequence: number
  isBusy: boolean
  linger: ReturnType<typeof setTimeout> | undefined
  /** What failed a whole batch: nothing is sent behind it. */
  failure?: unknown
}

/** The first problem of a call's records, with the places of all that are to blame. */
export function told({ problem, refused }: Sending): Problem | undefined {
  if (problem === undefined) return undefined
  return new Problem(problem.code, problem.toJSON().detail, {
    ...problem.extra,
    refused: refused.sort((a, b) => a - b),
  })
}
