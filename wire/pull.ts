/** Pull, as both who answers it and who passes it on must know it: docs/PROTOCOL.md, "Consume". */

/** The media type of an answer of lines of JSON. */
export const linesType = 'application/x-ndjson'

/** Records of an answer where nobody says how many, and at most; and how long a caller may wait for the first. */
export const pullLimits = { recordsUsual: 100, recordsMax: 10_000, waitMsMax: 60_000 } as const

/** Whether a caller of `GET /consume` wants lines of JSON and not a stream, by its `Accept` header. */
export function wantsLines(accept: string | undefined): boolean {
  return accept?.includes(linesType) === true
}
