/**
 * What ties the log lines of one request together: request ids, and traces as W3C Trace Context writes them
 * (https://www.w3.org/TR/trace-context/, `traceparent`).
 */

import { randomBytes } from 'node:crypto'

/** A place in a trace: the trace, and the span in it that is the parent of what happens next. */
export interface Trace {
  /** 32 lower-case hexadecimal digits, not all 0. */
  readonly traceId: string
  /** 16 lower-case hexadecimal digits, not all 0. */
  readonly spanId: string
  readonly sampled: boolean
}

const traceparentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Reads a `traceparent` header; `undefined` for none, or one that the specification tells us to ignore. */
export function parseTraceparent(header: string | undefined): Trace | undefined {
  const match = header === undefined ? null : traceparentPattern.exec(header)
  if (match === null) return undefined
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ]
  // Version 00 ends after the flags; a later one may go on. ff is no version.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Writes the `traceparent` header of a request that is sent on behalf of this span. */
export function formatTraceparent(trace: Trace): string {
  return `00-${trace.traceId}-${trace.spanId}-${trace.sampled ? '01' : '00'}`
}

/** A new span: in the parent's trace, or the first of a new one. */
export function newSpan(parent?: Trace): Trace {
  return {
    traceId: parent?.traceId ?? randomHex(16),
    spanId: randomHex(8),
    sampled: parent?.sampled ?? true,
  }
}

const requestIdPattern = /^[A-Za-z0-9._:-]{1,128}$/
/** Tells the processes of a cluster apart; the count behind it tells the requests. */
const idPrefix = randomBytes(6).toString('base64url').replaceAll(/[-_]/g, '0')
let requests = 0

/** The caller's id when it is fit to be logged and sent back, else a new one. */
export function requestId(given: string | undefined): string {
  if (given !== undefined && requestIdPattern.test(given)) return given
  return `${idPrefix}-${(++requests).toString(36)}`
}

function randomHex(bytes: number): string {
  for (;;) {
    const hex = randomBytes(bytes).toString('hex')
    if (!/^0+$/.test(hex)) return hex
  }
}
