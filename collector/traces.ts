/** Batches of the stream that are part of a trace: what is done with their records becomes spans of that trace. */

import type { Trace } from '#lib/trace'
import type { Span, Tracer } from '#lib/tracing'
import type { TracedBatch } from '#wire/client'
import type { Batch } from './batch.ts'

/** Traces that wait for their records to be written, at most: what comes beyond ends at the broker. */
const waitingMax = 1_000

/** Traces of one write that get spans, at most: with every record sent alone a write would make thousands. */
const ofWriteMax = 100

export class Traces {
  readonly #tracer: Tracer
  /** By `<broker>/<partition>`, in the order of the stream. */
  readonly #waiting = new Map<string, { readonly batch: TracedBatch; readonly arrivedMs: number }[]>()
  #count = 0

  constructor(tracer: Tracer) {
    this.#tracer = tracer
  }

  /** A batch of a trace begins. */
  add(batch: TracedBatch): void {
    if (this.#count >= waitingMax) return
    this.#count++
    const place = `${batch.broker}/${batch.partition}`
    const list = this.#waiting.get(place)
    const entry = { batch, arrivedMs: this.#tracer.nowMs }
    if (list === undefined) this.#waiting.set(place, [entry])
    else list.push(entry)
  }

  /**
   * The spans of a write: one of each trace that has its first record in it. A batch whose records are written in two goes
   * is told of by the first.
   */
  begin(batch: Batch): WriteSpans | undefined {
    if (this.#count === 0) return undefined
    const spans: Span[] = []
    for (const { broker, partition, messages } of batch.parts) {
      const place = `${broker}/${partition}`
      const list = this.#waiting.get(place)
      const last = messages.at(-1)
      if (list === undefined || last === undefined) continue
      const later = list.filter((entry) => entry.batch.firstOffset > last.offset)
      const now = list.filter((entry) => entry.batch.firstOffset <= last.offset)
      this.#count -= now.length
      if (later.length === 0) this.#waiting.delete(place)
      else this.#waiting.set(place, later)
      for (const { batch: traced, arrivedMs } of now.slice(0, ofWriteMax - spans.length)) {
        const parent: Trace = { ...traced.trace, sampled: true }
        const span = this.#tracer.child('collector settle', parent, 'consumer', arrivedMs)
        if (span !== undefined) spans.push(span)
      }
    }
    return spans.length === 0 ? undefined : new WriteSpans(this.#tracer, spans, batch.records)
  }
}

/** One write as the traces see it that have records in it: each has spans of its own, with the same times. */
export class WriteSpans {
  readonly #tracer: Tracer
  readonly #spans: readonly Span[]
  readonly #records: number

  constructor(tracer: Tracer, spans: readonly Span[], records: number) {
    this.#tracer = tracer
    this.#spans = spans
    this.#records = records
  }

  /** A step of the write begins; what is returned ends it. */
  step(name: string): (error?: unknown) => void {
    const steps = this.#spans.map(({ trace }) => this.#tracer.child(name, trace))
    return (error) => {
      for (const step of steps) step?.end({ 'penstock.write.records': this.#records }, error)
    }
  }

  end(error?: unknown): void {
    for (const span of this.#spans) span.end({ 'penstock.write.records': this.#records }, error)
  }
}
