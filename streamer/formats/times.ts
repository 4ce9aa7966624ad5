/** Times of rows: turned into RFC 3339, shifted when a file is read again (`--loop`) or to now (`--times now`), and measured. */

import { formatTime, parseTime, sourceTime, type Instant } from '#telemetry/time'
import type { Zone } from '#telemetry/zone'

/** What one pass over a file shows of its times: first, last, and the smallest step between two that follow each other. */
export interface TimeSpan {
  readonly firstMs: number
  readonly lastMs: number
  readonly stepMs: number
}

export const noSpan: TimeSpan = { firstMs: Infinity, lastMs: -Infinity, stepMs: Infinity }

export function joinSpans(a: TimeSpan, b: TimeSpan): TimeSpan {
  return {
    firstMs: Math.min(a.firstMs, b.firstMs),
    lastMs: Math.max(a.lastMs, b.lastMs),
    stepMs: Math.min(a.stepMs, b.stepMs),
  }
}

/**
 * How much later each further pass is: the whole span and one step of at least a second, in whole seconds, so that each pass
 * makes new points and the passes join without a hole.
 */
export function loopPeriodMs(span: TimeSpan): number {
  if (span.lastMs < span.firstMs) return 1000
  const stepMs = Number.isFinite(span.stepMs) ? Math.max(1000, span.stepMs) : 1000
  return Math.ceil((span.lastMs - span.firstMs + stepMs) / 1000) * 1000
}

export class TimeShift {
  private readonly passMs: number
  private readonly zone: Zone | undefined
  private own: number | (() => number)
  private seen: TimeSpan
  private lastGiven: string | undefined
  private lastTime: string | undefined
  private lastMs = Number.NaN

  /**
   * @param passMs how much later the pass is than the first
   * @param span what was seen before, when a pass goes on
   * @param zone of times that have none; without it they are UTC
   * @param own how much later all passes are than the source's times; a function tells the moment that its first time becomes
   */
  constructor(passMs: number, span: TimeSpan, zone?: Zone, own: number | (() => number) = 0) {
    this.passMs = passMs
    this.seen = span
    this.zone = zone
    this.own = own
  }

  /** How much later all passes are; `undefined` until the first time is read, where that decides. */
  get ownMs(): number | undefined {
    return typeof this.own === 'number' ? this.own : undefined
  }

  /** The last time that was read, shifted, in milliseconds since 1970; NaN before the first. */
  get latestMs(): number {
    return this.lastMs + this.passMs + (this.ownMs ?? 0)
  }

  /** The unshifted times so far. */
  get span(): TimeSpan {
    return this.seen
  }

  /** The record's time for a source's; `undefined` when that is none. Remembers the last one, since rows share times. */
  read(given: string): string | undefined {
    if (given === this.lastGiven) return this.lastTime
    this.lastGiven = given
    this.lastTime = this.readNew(given)
    return this.lastTime
  }

  /** Another time of the same row, such as when a transfer began; as it is given when it is none. */
  readOther(given: string): string {
    const time = sourceTime(given, this.zone)
    const instant = time === undefined ? undefined : parseTime(time)
    if (time === undefined || instant === undefined) return given
    return this.shifted(time, instant)
  }

  private shifted(time: string, { ms, ns }: Instant): string {
    const shiftMs = this.passMs + (this.ownMs ?? 0)
    return shiftMs === 0 ? time : formatTime({ ms: ms + shiftMs, ns })
  }

  private readNew(given: string): string | undefined {
    const time = sourceTime(given, this.zone)
    if (time === undefined) return undefined
    const instant = parseTime(time)
    if (instant === undefined) return undefined
    const { ms } = instant
    if (typeof this.own === 'function') this.own = Math.round(this.own()) - ms
    const gapMs = Math.abs(ms - this.lastMs)
    if (gapMs > 0 && gapMs < this.seen.stepMs) this.seen = { ...this.seen, stepMs: gapMs }
    if (ms < this.seen.firstMs) this.seen = { ...this.seen, firstMs: ms }
    if (ms > this.seen.lastMs) this.seen = { ...this.seen, lastMs: ms }
    this.lastMs = ms
    return this.shifted(time, instant)
  }
}
