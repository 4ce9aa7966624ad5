/** What wide windows need of a sealed hour: of the hour and, where that is worth it, of each minute in it. */

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
  const scale = 10 ** (decimalsOf(values.filter((value) => !Number.isNaN(value))) ?? 0)
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
    for (let index = from; index < to; index++) {
      const value = values[index] as number
      if (Number.isNaN(value)) continue
      const whole = value * scale
      if (count++ === 0) {
        into.mins[entry] = into.maxs[entry] = into.firsts[entry] = value
        into.firstTimes[entry] = times[index] as number
      } else rise += value < before ? whole : whole - before * scale
      if (value < (into.mins[entry] as number)) into.mins[entry] = value
      if (value > (into.maxs[entry] as number)) into.maxs[entry] = value
      into.lasts[entry] = value
      into.lastTimes[entry] = times[index] as number
      sum += whole
      before = value
    }
    into.counts[entry] = count
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
export function entriesFor({ minutes }: Rollup, windowMs: number): readonly [from: number, to: number] | undefined {
  if ((windowMs * 1e6) % hourNs === 0) return [0, 1]
  if ((windowMs * 1e6) % minuteNs === 0 && minutes.length > 1) return [1, minutes.length]
  return undefined
}
