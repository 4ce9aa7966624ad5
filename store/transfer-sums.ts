/** Transfers summed: by window, by link, by outcome. What engines have in common. */

import { formatTime, type Instant } from '#telemetry/time'

/** `error_class` is that of `telemetry/outcome.ts`, and only of those that failed. */
export const transferGroups = ['site', 'source_site', 'destination_site', 'status', 'error_class'] as const
export type TransferGroup = (typeof transferGroups)[number]

/** Each given field narrows the answer. A site that is not told fits none. */
export interface TransferSumQuery {
  readonly by: readonly TransferGroup[]
  /** Those of any of these; of none of them where it is empty. */
  readonly sites?: readonly string[] | undefined
  readonly source_site?: string | undefined
  readonly destination_site?: string | undefined
  /** Included. */
  readonly start?: Instant | undefined
  /** Not included. */
  readonly end?: Instant | undefined
  /** In ms; windows begin at multiples of it since 1970. A transfer is of the window in which it ended. */
  readonly windowMs?: number | undefined
}

/** By time, then by the groups as texts. */
export interface TransferSum {
  /** The start of the window; `null` where none was asked for. */
  readonly time: string | null
  /** What `by` names; `null`: not told. */
  readonly group: Readonly<Partial<Record<TransferGroup, string | null>>>
  readonly transfers: number
  readonly failed: number
  /** Over those that report it. */
  readonly bytes: number
  readonly duration_s: number
  /** Bytes and durations of those that report both, with a duration above 0: what a throughput is made of. */
  readonly timed_bytes: number
  readonly timed_s: number
  /** When the newest of them ended. */
  readonly last: string
  /** Of the newest that failed, as its source says it; empty: none, or not told. */
  readonly last_error: string
}

/** One transfer, or several that became the same. */
export interface TransferPart {
  /** When the newest of them ended. */
  readonly at: Instant
  /** Its error. */
  readonly error: string
  /** Their class, by `failedAs` of `telemetry/outcome.ts`. */
  readonly error_class: string | null
  readonly status: string
  readonly site: string
  readonly source_site: string | null
  readonly destination_site: string | null
  readonly transfers: number
  readonly bytes: number
  readonly duration_s: number
  readonly timed_bytes: number
  readonly timed_s: number
}

/** The sum under way: of each group, and of which window. */
interface Row {
  place: number | undefined
  group: Record<string, string | null>
  order: string
  part: { transfers: number; failed: number; bytes: number; duration_s: number; timed_bytes: number; timed_s: number }
  last: Instant
  lastFailed: Instant | undefined
  lastError: string
}

export class TransferTable {
  readonly #by: readonly TransferGroup[]
  readonly #windowMs: number | undefined
  readonly #rows = new Map<string, Row>()

  constructor({ by, windowMs }: TransferSumQuery) {
    this.#by = by
    this.#windowMs = windowMs
  }

  /** @param place of its window, where its time does not tell */
  add(part: TransferPart, place = this.#windowMs && Math.floor(part.at.ms / this.#windowMs)): void {
    const names = this.#by.map((name) => part[name])
    const order = JSON.stringify(names)
    const key = `${place} ${order}`
    let row = this.#rows.get(key)
    if (row === undefined) {
      const group = Object.fromEntries(this.#by.map((name, index) => [name, names[index] as string | null]))
      const sums = { transfers: 0, failed: 0, bytes: 0, duration_s: 0, timed_bytes: 0, timed_s: 0 }
      row = { place, group, order, part: sums, last: part.at, lastFailed: undefined, lastError: '' }
      this.#rows.set(key, row)
    }
    for (const name of ['transfers', 'bytes', 'duration_s', 'timed_bytes', 'timed_s'] as const) {
      row.part[name] += part[name]
    }
    if (isLater(part.at, row.last)) row.last = part.at
    if (part.error_class === null) return
    row.part.failed += part.transfers
    if (row.lastFailed !== undefined && isLater(row.lastFailed, part.at)) return
    row.lastFailed = part.at
    row.lastError = part.error
  }

  finish(): TransferSum[] {
    const windowMs = this.#windowMs ?? 0
    return [...this.#rows.values()]
      .sort((a, b) => (a.place ?? 0) - (b.place ?? 0) || (a.order < b.order ? -1 : 1))
      .map(({ place, group, part, last, lastError }) => ({
        time: place === undefined ? null : formatTime({ ms: place * windowMs, ns: 0 }),
        group,
        ...part,
        last: formatTime(last),
        last_error: lastError,
      }))
  }
}

function isLater(a: Instant, b: Instant): boolean {
  return a.ms > b.ms || (a.ms === b.ms && a.ns > b.ns)
}
