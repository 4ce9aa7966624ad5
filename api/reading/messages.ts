/** What crosses between the thread that speaks HTTP and the one that reads: what a structured clone can carry. */

import { StoreError, type StoreErrorCode } from '#store/errors'
import { Problem, type ProblemCode } from '#wire/problems'
import type { BoundNames, DataTopics } from '../keys/bounds.ts'
import type { ReadOperation } from './answers.ts'

/** A call, as far as the handlers look at it. */
export interface Question {
  readonly id: number
  readonly operation: ReadOperation
  readonly params: unknown
  readonly query: unknown
  readonly nowMs: number
  readonly bounds: readonly [BoundNames, DataTopics]
}

/** What became of a question. */
export type Reply = {
  readonly id: number
  /** `StoreReader.problem` of the thread. */
  readonly problem: string | null
} & ({ readonly written: Uint8Array<ArrayBuffer> } | { readonly thrown: Thrown })

/** What a handler threw. An error loses its class on the way. */
export type Thrown =
  | { readonly is: 'problem'; readonly code: ProblemCode; readonly detail: string; readonly extra: Problem['extra'] }
  | { readonly is: 'store'; readonly code: StoreErrorCode; readonly error: Error; readonly retryAfterMs: number }
  | { readonly is: 'error'; readonly error: Error }

export function thrownOf(error: unknown): Thrown {
  if (error instanceof Problem) {
    return { is: 'problem', code: error.code, detail: error.toJSON().detail, extra: error.extra }
  }
  const plain = new Error(error instanceof Error ? error.message : String(error))
  if (error instanceof Error && error.stack !== undefined) plain.stack = error.stack
  if (error instanceof StoreError) {
    return { is: 'store', code: error.code, error: plain, retryAfterMs: error.retryAfterMs }
  }
  return { is: 'error', error: plain }
}

export function errorOf(thrown: Thrown): Error {
  if (thrown.is === 'problem') return new Problem(thrown.code, thrown.detail, thrown.extra)
  if (thrown.is === 'error') return thrown.error
  const { code, error, retryAfterMs } = thrown
  const { message, stack = message } = error
  return Object.assign(new StoreError(code, '', undefined, retryAfterMs), { message, stack })
}
