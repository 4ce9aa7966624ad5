/** What became of a request. Pure: k6 asks it (k6/main.ts), and so do the tests. */

export type Outcome = 'done' | 'refused' | 'failed'

/**
 * `refused`: the pipeline works, is asked too much, and says when to come again: 429 of a log or a key that has no room, 503
 * `overloaded` of an API that has no time. Any other 503 is a failure, and so is a refusal that does not say when.
 *
 * @param body of the answer; a problem as JSON where it is refused
 */
export function outcomeOf(status: number, retryAfter: string | undefined, body: unknown): Outcome {
  if (status === 200) return 'done'
  if (retryAfter === undefined) return 'failed'
  return status === 429 || (status === 503 && codeOf(body) === 'overloaded') ? 'refused' : 'failed'
}

function codeOf(body: unknown): unknown {
  try {
    return (JSON.parse(String(body)) as { readonly code?: unknown } | null)?.code
  } catch {
    return undefined
  }
}
