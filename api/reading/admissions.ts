/** Who lets questions to the store begin, with what is counted of them. */

import type { Clock } from '#lib/clock'
import type { Metrics } from '#lib/metrics'
import type { ApiFigures } from '../figures.ts'
import { Admission, type AdmissionBounds } from './admission.ts'

/** Those that the thread that speaks HTTP answers itself, and those that the reading thread answers: neither kind holds up the other. */
export type Admissions = Readonly<Record<'http' | 'reading', Admission>>

export interface AdmissionsSurroundings {
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'onScrape'>
  readonly figures: Pick<ApiFigures, 'questions' | 'refused'>
  /** Resolves when those who wait for the event loop had their turn. */
  readonly nextTurn: () => Promise<unknown>
}

export function openAdmissions(bounds: AdmissionBounds, around: AdmissionsSurroundings): Admissions {
  const { clock, metrics, figures, nextTurn } = around
  const open = (thread: keyof Admissions): Admission => {
    const refusedFor = (reason: string) => figures.refused.with({ thread, reason })
    const refused = { full: refusedFor('full'), late: refusedFor('late') }
    // Where another thread answers, to hand a question over holds up nobody.
    const admission = new Admission(bounds, { clock, refused, nextTurn: thread === 'http' ? nextTurn : undefined })
    const gaugeOf = (state: string) => figures.questions.with({ thread, state })
    const gauges = { waiting: gaugeOf('waiting'), running: gaugeOf('running') }
    metrics.onScrape(() => {
      gauges.waiting.set(admission.waiting)
      gauges.running.set(admission.running)
    })
    return admission
  }
  return { http: open('http'), reading: open('reading') }
}
