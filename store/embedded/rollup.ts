/** What wide windows need of a sealed hour: of the hour and, where that is worth it, of each minute in it. */

import type { RangeFunction } from '../store.ts'
import { decimalsOf } from './numbers.ts'
import { hourNs, type Rows } from './rows.ts'

export const minuteNs = 60e9

/** With fewer rows a minute the rows themselves are read as fast. */
const rowsAMinuteMin = 6

/**
 * Columns of one entry a minute that has rows, by time; the first entry is the whole hour. In an entry without a value all
 * but the count, which is 0, mean nothing.
 */
export interface Rollup {
  /** Which minute of the hour; of the first entry 0. */
  minutes: Float64Array
  /** How many rows have a value. */
  counts: Float64Array
  sums: Float64Array
  mins: Float64Array
  maxs: Float64Array
  /** By how much the value rose, from the first one on, as a counter does (`store/windows.ts`). */
  rises: Float64Array
  firsts: Float64Array
  lasts: Float64Array
  /** Of the first and the last value, in nanoseconds since the hour began. */
  firstTimes: Float64Array
  lastTimes: Float64Array
}

/** In the order in which they are kept: what most queries need comes first. */
export const rollupColumns = [
  'minutes',
  'counts',
  'sums',
  'mins',
  'maxs',
  'rises',
  'firsts',
  'lasts',
  'firstTimes',
  'lastTimes',
] as const satisfies (keyof Rollup)[]

/** How many of the columns tell what the function asks for. */
export function columnsFor(fn: RangeFunction): number {
  if (fn === 'count') return 2
  if (fn === 'mean' || fn === 'sum') return 3
  return fn === 'min' || fn === 'max' || fn === 'bits' ? 5 : rollupColumns.length
}

export function noRollup(entries: number): Rollup {
  const column = () => new Float64Array(entries)
  return {
    minutes: column(),
    counts: column(),
    sums: column(),
    mins: column(),
    maxs: column(),
    rises: column(),
    firsts: column(),
    lasts: column(),
    firstTimes: column(),
    lastTimes: column(),
  }
}

/** @param rows at least one */
export function rollupOf({ times, values }: Rows): Rollup {
  // Whole numbers of the values' last digit add up exactly, so that sums are as short as the values.
  const scale = 10 ** (decimalsOf(values, true) ?? 0)
  const starts = minuteStarts(times)
  const hasMinutes = times.length >= rowsAMinuteMin * starts.length
  const rollup = noRollup(hasMinutes ? starts.length + 1 : 1)
  fill(rollup, 0, 0, times.length)
  if (!hasMinutes) return rollup
  for (const [index, start] of starts.entries()) {
    rollup.minutes[index + 1] = Math.floor((times[start] as number) / minuteNs)
    fill(rollup, index + 1, start, starts[index + 1] ?? times.length)
  }
  return rollup

  function fill(into: Rollup, entry: number, from: number, to: number): void {
    let count = 0
    let sum = 0
    let rise = 0
    let before = 0
    let min = 0
    let max = 0
    let last = -1
    for (let index = from; index < to; index++) {
      const value = values[index] as number
      if (Number.isNaN(value)) continue
      const whole = value * scale
      if (count++ === 0) {
        min = max = into.firsts[entry] = value
        into.firstTimes[entry] = times[index] as number
      } else rise += value < before ? whole : whole - before * scale
      if (value < min) min = value
      if (value > max) max = value
      sum += whole
      before = value
      last = index
    }
    into.counts[entry] = count
    if (count === 0) return
    into.mins[entry] = min
    into.maxs[entry] = max
    into.lasts[entry] = before
    into.lastTimes[entry] = times[last] as number
    into.sums[entry] = (scale === 1 ? sum : Math.round(sum)) / scale
    into.rises[entry] = (scale === 1 ? rise : Math.round(rise)) / scale
  }
}

/** The first row of each minute that has rows. */
function minuteStarts(times: Float64Array): number[] {
  const starts: number[] = []
  let end = -1
  for (let index = 0; index < times.length; index++) {
    const time = times[index] as number
    if (time < end) continue
    starts.push(index)
    end = (Math.floor(time / minuteNs) + 1) * minuteNs
  }
  return starts
}

/** Whether a rollup may serve windows of a length at all: whole minutes. */
export function servesRollups(windowMs: number): boolean {
  return (windowMs * 1e6) % minuteNs === 0
}

/** Which entries serve windows of a length: the hour, the minutes, or none. */
export function entriesFor(
  rollup: Rollup,
  windowMs: number,
  fn: RangeFunction,
): readonly [from: number, to: number] | undefined {
  const entries = rollup.minutes.length
  if ((windowMs * 1e6) % hourNs === 0) return serve(rollup, 0, 1, fn)
  return (windowMs * 1e6) % minuteNs === 0 && entries > 1 ? serve(rollup, 1, entries, fn) : undefined
}

/** An entry does not tell the bits of values between its least and its largest one. Most masks do not change for hours. */
function serve({ counts, mins, maxs }: Rollup, from: number, to: number, fn: RangeFunction) {
  if (fn === 'bits') {
    for (let entry = from; entry < to; entry++) if (counts[entry] !== 0 && mins[entry] !== maxs[entry]) return undefined
  }
  return [from, to] as const
}
