/**
 * Spans and their way to an OpenTelemetry collector. Without `OTEL_EXPORTER_OTLP_ENDPOINT` there is no tracer, and what would
 * make a span is one branch.
 *
 * Nothing waits for the export: the queue is bounded, what does not fit is counted, and what cannot be sent is sent later or
 * counted too. docs/TRACING.md, docs/decisions/165.
 */

import type { Log } from './log.ts'
import type { Counter, Metrics } from './metrics.ts'
import { otlpBody, type Attributes, type SpanKind, type SpanRecord } from './otlp.ts'
import { setting, type Settings } from './settings.ts'
import { newSpan, type Trace } from './trace.ts'
import { version } from './version.ts'

/** The settings of every role that a record passes: each spreads them into its own table. The names are OpenTelemetry's. */
export const tracingSettings = {
  otlpEndpoint: setting.url('OTEL_EXPORTER_OTLP_ENDPOINT', {
    help: 'where spans are sent, by OTLP/HTTP in JSON to /v1/traces behind it; without it none are made',
  }),
  otlpHeaders: setting.text('OTEL_EXPORTER_OTLP_HEADERS', {
    help: 'headers of what is sent there, such as a key',
    secret: true,
    pattern: /^\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+=[^,\r\n]*(,\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+=[^,\r\n]*)*$/,
    want: 'name=value, with commas between several, the values percent-encoded',
  }),
  otlpServiceName: setting.text('OTEL_SERVICE_NAME', { help: 'service.name of the spans; default penstock-ROLE' }),
  traceRatio: setting.ratio('OTEL_TRACES_SAMPLER_ARG', {
    help: 'the share of batches whose trace is begun; a role that gets a trace goes by what its beginner chose',
    default: '0.01',
  }),
}

export type TracingSettings = Settings<typeof tracingSettings>

/** Spans that wait to be sent, at most; and of one request. Both, and the time, are the defaults of OpenTelemetry's SDKs. */
const queueSpansMax = 2_048
const requestSpansMax = 512
const sendEveryMs = 5_000
const answerMs = 10_000
/** A stop waits so long for the last spans. */
const closeMs = 2_000

/** What may pass, and is tried again (OTLP, "Failures"). */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** A span that is under way. */
export class Span {
  /** What its children name as their parent. */
  readonly trace: Trace
  readonly #tracer: Tracer
  readonly #name: string
  readonly #kind: SpanKind
  readonly #parentSpanId: string | undefined
  readonly #startMs: number

  constructor(tracer: Tracer, name: string, kind: SpanKind, parent: Trace | undefined, startMs: number) {
    this.trace = newSpan(parent)
    this.#tracer = tracer
    this.#name = name
    this.#kind = kind
    this.#parentSpanId = parent?.spanId
    this.#startMs = startMs
  }

  /** To be called once; a span that never ends is never told of. `error`: why it failed. */
  end(attributes: Attributes = {}, error?: unknown, endMs = performance.now()): void {
    this.#tracer.take({
      trace: this.trace,
      parentSpanId: this.#parentSpanId,
      name: this.#name,
      kind: this.#kind,
      startMs: this.#startMs,
      endMs,
      attributes,
      error: error === undefined ? undefined : error instanceof Error ? error.message : 'it failed',
    })
  }
}

export interface TracerOptions {
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  readonly service: string
  /** 0 to 1. */
  readonly ratio: number
  readonly log: Readonly<Record<'warn' | 'info', (line: string) => void>>
  readonly figures: SpanFigures
  readonly fetch?: typeof fetch
}

/** Makes spans and sends them. All times it is given are those of `performance.now()`. */
export class Tracer {
  readonly #options: TracerOptions
  readonly #count: SpanFigures
  readonly #timer: NodeJS.Timeout
  #queue: SpanRecord[] = []
  #sending: Promise<void> | undefined
  /** Ends the request under way. */
  #posting: AbortController | undefined
  #isFailing = false
  /** What makes a wall clock of the monotonic one. */
  #offsetMs = Date.now() - performance.now()

  constructor(options: TracerOptions) {
    this.#options = options
    this.#count = options.figures
    this.#timer = setInterval(() => this.#send(), sendEveryMs).unref()
  }

  /** The first span of a new trace; `undefined` when this one is not drawn. */
  begin(name: string, kind: SpanKind = 'internal'): Span | undefined {
    if (Math.random() >= this.#options.ratio) return undefined
    return new Span(this, name, kind, undefined, performance.now())
  }

  /** A span in a trace that was begun; `undefined` when it is not sampled. */
  child(name: string, parent: Trace | undefined, kind: SpanKind = 'internal', startMs?: number): Span | undefined {
    if (parent?.sampled !== true) return undefined
    return new Span(this, name, kind, parent, startMs ?? performance.now())
  }

  /** For the beginning of a span that is made later. */
  get nowMs(): number {
    return performance.now()
  }

  /** Of {@link Span}: takes one that is over. Its times are monotonic yet. */
  take(span: SpanRecord): void {
    if (this.#queue.length >= queueSpansMax) {
      this.#count.dropped.inc()
      return
    }
    this.#queue.push({ ...span, startMs: this.#offsetMs + span.startMs, endMs: this.#offsetMs + span.endMs })
    if (this.#queue.length >= requestSpansMax && !this.#isFailing) this.#send()
  }

  /** Sends what waits, for two seconds at most; the rest is counted as dropped. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const over = new AbortController()
    const timer = setTimeout(() => {
      over.abort()
      this.#posting?.abort(new Error('the process stops'))
    }, closeMs)
    await this.#sending
    while (this.#queue.length > 0 && !over.signal.aborted) {
      const before = this.#queue.length
      this.#send()
      await this.#sending
      if (this.#queue.length >= before) break
    }
    clearTimeout(timer)
    for (const _ of this.#queue.splice(0)) this.#count.dropped.inc()
  }

  #send(): void {
    // The wall clock may have been set since.
    const offsetMs = Date.now() - performance.now()
    if (Math.abs(offsetMs - this.#offsetMs) > 2) this.#offsetMs = offsetMs
    if (this.#sending !== undefined || this.#queue.length === 0) return
    this.#sending = this.#post(this.#queue.slice(0, requestSpansMax)).finally(() => {
      this.#sending = undefined
    })
  }

  async #post(spans: readonly SpanRecord[]): Promise<void> {
    const { endpoint, headers, service, fetch: send = fetch } = this.#options
    const resource = { 'service.name': service, 'service.version': version, 'process.pid': process.pid }
    const posting = new AbortController()
    const late = new Error(`it does not answer within ${answerMs / 1000} s`)
    const timer = setTimeout(() => posting.abort(late), answerMs)
    this.#posting = posting
    let failure: string | undefined
    let mayPass = true
    try {
      const response = await send(`${endpoint}/v1/traces`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: otlpBody(spans, resource, version),
        redirect: 'error',
        signal: posting.signal,
      })
      const answer = await response.text()
      if (!response.ok) failure = `it answers ${response.status}`
      mayPass = response.ok || passing.has(response.status)
      if (response.ok) this.#accepted(spans.length, answer)
    } catch (error) {
      const { message, cause } = error as Error
      failure = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message
    } finally {
      clearTimeout(timer)
    }
    this.#tell(failure)
    if (failure !== undefined && mayPass) return
    if (failure !== undefined) this.#count.refused.inc(spans.length)
    this.#queue.splice(0, spans.length)
  }

  #accepted(count: number, answer: string): void {
    const rejected = Math.min(count, rejectedOf(answer))
    this.#count.exported.inc(count - rejected)
    if (rejected > 0) this.#count.refused.inc(rejected)
  }

  /** One line when it begins to fail, and one when it works again. */
  #tell(failure: string | undefined): void {
    const isFailing = failure !== undefined
    if (isFailing === this.#isFailing) return
    this.#isFailing = isFailing
    const { endpoint, log } = this.#options
    if (isFailing) log.warn(`spans are not sent to ${endpoint}, and dropped when ${queueSpansMax} wait: ${failure}`)
    else log.info(`spans are sent to ${endpoint} again`)
  }
}

/** The tracer of a role; `undefined` without an endpoint. */
export function openTracer(
  settings: TracingSettings,
  parts: { readonly log: Log; readonly metrics: Metrics },
): Tracer | undefined {
  const { otlpEndpoint: endpoint, otlpHeaders, otlpServiceName, traceRatio: ratio } = settings
  const figures = spanFigures(parts.metrics)
  if (endpoint === undefined) return undefined
  const service = otlpServiceName ?? `penstock-${parts.metrics.role}`
  return new Tracer({ endpoint, headers: headersOf(otlpHeaders ?? ''), service, ratio, figures, log: parts.log })
}

export type SpanFigures = Readonly<Record<'exported' | 'dropped' | 'refused', Counter>>

/** Registers the tracer's metric: also where there is no tracer. */
export function spanFigures(metrics: Metrics): SpanFigures {
  const spans = metrics.counter(
    'penstock_trace_spans_total',
    'Spans by what became of them: exported, refused by the endpoint, or dropped because too many waited',
    ['result'],
  )
  return {
    exported: spans.with({ result: 'exported' }),
    dropped: spans.with({ result: 'dropped' }),
    refused: spans.with({ result: 'refused' }),
  }
}

function headersOf(text: string): Record<string, string> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      return [pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]
    }),
  )
}

/** A value that is not percent-encoded, though it should be, is meant as it stands. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** How many spans the endpoint took no part of, in an answer that says that it is well (OTLP, "Partial Success"). */
function rejectedOf(answer: string): number {
  try {
    const { partialSuccess } = JSON.parse(answer) as { partialSuccess?: { rejectedSpans?: string | number } }
    return Number(partialSuccess?.rejectedSpans ?? 0) || 0
  } catch {
    return 0
  }
}
