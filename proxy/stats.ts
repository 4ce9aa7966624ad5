/** What the brokers were asked, and how they answered: for `/metrics` and `GET /stats`. */

import type { Clock } from '#lib/clock'
import type { Metrics } from '#lib/metrics'
import type { Ordinal } from '#wire/ids'

/** Of one broker, since the proxy started. */
interface Counts {
  requests: number
  /** No connection, or no answer. */
  unanswered: number
  /** Answers of 500 and above. */
  failed: number
  seconds: number
  readonly observe: (seconds: number, answer: string) => void
}

/** What `GET /stats` says of one broker's requests. */
export interface RequestStats {
  readonly requests: number
  readonly unanswered: number
  readonly failed: number
  /** `null` before the first request. */
  readonly mean_ms: number | null
}

/** Counted by the number of a broker, never by its address: numbers are few, and stay. */
export class Stats {
  readonly #clock: Clock
  readonly #observerOf: (broker: string) => Counts['observe']
  readonly #byBroker = new Map<Ordinal, Counts>()

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock
    const requests = metrics.counter(
      'penstock_broker_requests_total',
      'Requests to the broker, by the class of its answer: 2xx, 4xx, 5xx; none: no connection, or no answer',
      ['broker', 'answer'],
    )
    const duration = metrics.histogram(
      'penstock_broker_request_duration_seconds',
      'Time from a request to the end of the answer of the broker',
      undefined,
      ['broker'],
    )
    this.#observerOf = (broker) => {
      const times = duration.with({ broker })
      const counters = new Map<string, { inc(): void }>()
      return (seconds, answer) => {
        times.observe(seconds)
        let counter = counters.get(answer)
        if (counter === undefined) counters.set(answer, (counter = requests.with({ broker, answer })))
        counter.inc()
      }
    }
  }

  /**
   * A request begins. What is returned is to be told its status; nothing when there was no answer.
   *
   * @param ordinalOf the broker's number, asked when it is over; one that never told it is not counted
   */
  begin(ordinalOf: () => Ordinal | undefined): (status: number | undefined) => void {
    const startMs = this.#clock.monotonicMs()
    return (status) => {
      const ordinal = ordinalOf()
      if (ordinal === undefined) return
      const counts = this.#of(ordinal)
      const seconds = (this.#clock.monotonicMs() - startMs) / 1000
      counts.requests++
      counts.seconds += seconds
      if (status === undefined) counts.unanswered++
      else if (status >= 500) counts.failed++
      counts.observe(seconds, status === undefined ? 'none' : `${Math.floor(status / 100)}xx`)
    }
  }

  of(ordinal: Ordinal | undefined): RequestStats {
    const counts = ordinal === undefined ? undefined : this.#byBroker.get(ordinal)
    const { requests = 0, unanswered = 0, failed = 0, seconds = 0 } = counts ?? {}
    return { requests, unanswered, failed, mean_ms: requests === 0 ? null : (1000 * seconds) / requests }
  }

  #of(ordinal: Ordinal): Counts {
    let counts = this.#byBroker.get(ordinal)
    if (counts === undefined) {
      const observe = this.#observerOf(String(ordinal))
      this.#byBroker.set(ordinal, (counts = { requests: 0, unanswered: 0, failed: 0, seconds: 0, observe }))
    }
    return counts
  }
}
