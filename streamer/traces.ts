/** The first spans of a trace: a batch is read and mapped, then produced. */

import { formatTraceparent } from '#lib/trace'
import type { Span, Tracer } from '#lib/tracing'
import type { Batch } from './batch.ts'

/** A batch that a trace was begun for. */
export class BatchSpan {
  readonly #tracer: Tracer
  readonly #whole: Span
  readonly #reading: Span | undefined
  #producing: Span | undefined

  constructor(tracer: Tracer, whole: Span) {
    this.#tracer = tracer
    this.#whole = whole
    this.#reading = tracer.child('streamer read', whole.trace)
  }

  /** The batch is read and goes out now: what to send with it. */
  produce(): string {
    this.#reading?.end()
    this.#producing = this.#tracer.child('streamer produce', this.#whole.trace, 'producer')
    return formatTraceparent((this.#producing ?? this.#whole).trace)
  }

  /** Ends with the acknowledgement. */
  endWith(done: Promise<unknown>, { records, dead }: Pick<Batch, 'records' | 'dead'>, topic: string): void {
    const attributes = {
      'messaging.destination.name': topic,
      'messaging.batch.message_count': records.length,
      'penstock.batch.dead': dead.length,
    }
    const end = (error?: unknown): void => {
      this.#producing?.end(attributes, error)
      this.#whole.end(attributes, error)
    }
    done.then(() => end(), end)
  }
}

/** Begins the trace of the next batch, or does not: most are not drawn. */
export function beginBatch(tracer: Tracer | undefined): BatchSpan | undefined {
  if (tracer === undefined) return undefined
  const whole = tracer.begin('streamer batch')
  return whole === undefined ? undefined : new BatchSpan(tracer, whole)
}
