/** The broker's part of a trace: the spans of an append, and the field of the batch header that tells consumers of it. */

import type { Trace } from '#lib/trace'
import type { Tracer } from '#lib/tracing'
import { traceFields } from '#wire/frames'

/**
 * Does the work of an append that is part of a trace. The header names the broker's span as the parent of what comes next, or
 * the caller's where this broker makes no spans.
 *
 * @param work appends before it awaits anything, with these fields in the batch header; resolves when the batch is durable
 */
export async function inTrace<T>(
  tracer: Tracer | undefined,
  parent: Trace,
  attributes: Readonly<Record<string, string>>,
  work: (fields: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const span = tracer?.child('broker append', parent, 'server')
  try {
    const writing = work(traceFields(span?.trace ?? parent))
    // It stands in memory now: what is left is the write and the sync, and the wait for those before it.
    const commit = tracer?.child('broker commit', span?.trace)
    const answer = await writing
    commit?.end()
    span?.end(attributes)
    return answer
  } catch (error) {
    span?.end(attributes, error)
    throw error
  }
}
