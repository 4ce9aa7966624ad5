/** Spans as OTLP/HTTP JSON writes them (https://opentelemetry.io/docs/specs/otlp/, https://github.com/open-telemetry/opentelemetry-proto). */

import type { Trace } from './trace.ts'

export type Attributes = Readonly<Record<string, string | number | boolean>>

/** A span that is over. */
export interface SpanRecord {
  readonly trace: Trace
  /** `undefined`: the span is its trace's first. */
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: SpanKind
  /** Ms since 1970, with fractions. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  /** Why what the span stands for failed; `undefined` when it did not. */
  readonly error: string | undefined
}

/** What a span is in the talk between processes; the numbers are those of the protocol. */
export const spanKinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const
export type SpanKind = keyof typeof spanKinds

const statusOfError = 2

/** The body of `POST /v1/traces`. `resource` says whose spans they are. */
export function otlpBody(spans: readonly SpanRecord[], resource: Attributes, version: string): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'penstock', version }, spans: spans.map(spanOf) }],
      },
    ],
  })
}

function spanOf({ trace, parentSpanId, name, kind, startMs, endMs, attributes, error }: SpanRecord): object {
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind: spanKinds[kind],
    startTimeUnixNano: nanosecondsOf(startMs),
    endTimeUnixNano: nanosecondsOf(endMs),
    attributes: attributesOf(attributes),
    status: error === undefined ? {} : { code: statusOfError, message: error },
  }
}

/** 64-bit numbers are texts in the JSON of Protocol Buffers; a double has microseconds of them. */
function nanosecondsOf(ms: number): string {
  return `${Math.round(ms * 1000)}000`
}

function attributesOf(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }))
}

function valueOf(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
