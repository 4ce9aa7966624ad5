/** Windows out of rows and rollups: what `store/windows.ts` says of rows one by one, for columns of them. */

import { integralGapMaxS, isOfSteps, joinedBits, maskOf, percentiles, rankOf, type Window } from '../windows.ts'
import type { RangeFunction } from '../store.ts'
import { columnsFor, minuteNs, type Rollup, rollupColumns } from './rollup.ts'
import type { Rows } from './rows.ts'

/** Takes the rows or the rollups of one series, hour after hour. */
export class WindowsBuilder {
  readonly #windowMs: number
  readonly #fn: RangeFunction
  readonly #share: number | undefined
  #windows: Window[] = []
  #place: number | undefined
  #count = 0
  #sum = 0
  #min = 0
  #max = 0
  #last = 0
  /** Only for percentiles. */
  #values: number[] = []
  /** Only for `bits`; -1: none of the values is a mask. */
  #bits = -1
  /** Of the steps that end in the window (`Steps` of `store/windows.ts`, without an object a window). */
  #rose = 0
  #seconds = 0
  #area = 0
  #joined = 0
  /** The newest value of all, and when that was. */
  #before: number | undefined
  #beforeHourMs = 0
  #beforeTime = 0

  constructor(windowMs: number, fn: RangeFunction) {
    this.#windowMs = windowMs
    this.#fn = fn
    this.#share = percentiles[fn]
  }

  /** Whether the entries of a rollup say enough. */
  get takesRollups(): boolean {
    return this.#share === undefined && this.#fn !== 'integral'
  }

  get fn(): RangeFunction {
    return this.#fn
  }

  /** How many columns of a rollup it takes. */
  get columns(): number {
    return columnsFor(this.#fn)
  }

  addRows(hourMs: number, { times, values }: Rows): void {
    let end = -1
    for (let index = 0; index < times.length; index++) {
      const time = times[index] as number
      if (time >= end) end = this.#enter(hourMs, time)
      const value = values[index] as number
      if (Number.isNaN(value)) continue
      this.#add(1, value, value, value)
      if (this.#share !== undefined) this.#values.push(value)
      this.#rise(hourMs, value, time)
      this.#leave(hourMs, value, time)
    }
  }

  addRollup(hourMs: number, rollup: Rollup, from: number, to: number): void {
    const hasEdges = this.columns === rollupColumns.length
    for (let entry = from; entry < to; entry++) {
      this.#enter(hourMs, (rollup.minutes[entry] as number) * minuteNs)
      const count = rollup.counts[entry] as number
      if (count === 0) continue
      this.#add(count, rollup.sums[entry] as number, rollup.mins[entry] as number, rollup.maxs[entry] as number)
      if (!hasEdges) continue
      const firstTime = rollup.firstTimes[entry] as number
      const lastTime = rollup.lastTimes[entry] as number
      this.#rise(hourMs, rollup.firsts[entry] as number, firstTime)
      this.#rose += rollup.rises[entry] as number
      this.#seconds += (lastTime - firstTime) / 1e9
      this.#leave(hourMs, rollup.lasts[entry] as number, lastTime)
    }
  }

  /** The windows that were closed since the last call. */
  take(): Window[] {
    const windows = this.#windows
    this.#windows = []
    return windows
  }

  /** The same, with the window that is open; nothing may be added afterwards. */
  finish(): Window[] {
    this.#close()
    return this.take()
  }

  /** @returns when the window ends, in nanoseconds since the hour began */
  #enter(hourMs: number, time: number): number {
    const place = Math.floor((hourMs + Math.floor(time / 1e6)) / this.#windowMs)
    if (place !== this.#place) {
      this.#close()
      this.#place = place
      this.#count = this.#sum = this.#rose = this.#seconds = this.#area = this.#joined = 0
      this.#bits = -1
      if (this.#share !== undefined) this.#values = []
    }
    return ((place + 1) * this.#windowMs - hourMs) * 1e6
  }

  #add(count: number, sum: number, min: number, max: number): void {
    if (this.#count === 0) {
      this.#min = min
      this.#max = max
    } else {
      if (min < this.#min) this.#min = min
      if (max > this.#max) this.#max = max
    }
    this.#count += count
    this.#sum += sum
    // Of several values at once only where they are all the same (`entriesFor`).
    if (this.#fn === 'bits') this.#mask(min)
  }

  #mask(value: number): void {
    const mask = maskOf(value)
    if (mask !== undefined) this.#bits = this.#bits < 0 ? mask : joinedBits(this.#bits, mask)
  }

  #rise(hourMs: number, value: number, time: number): void {
    if (this.#before === undefined) return
    // In whole nanoseconds first: seconds of two hours, subtracted, would leave of a nanosecond three digits.
    const seconds = ((hourMs - this.#beforeHourMs) * 1e6 + (time - this.#beforeTime)) / 1e9
    this.#rose += value < this.#before ? value : value - this.#before
    this.#seconds += seconds
    if (this.#fn !== 'integral' || seconds > integralGapMaxS) return
    this.#area += ((this.#before + value) / 2) * seconds
    this.#joined++
  }

  #leave(hourMs: number, value: number, time: number): void {
    this.#last = this.#before = value
    this.#beforeHourMs = hourMs
    this.#beforeTime = time
  }

  #close(): void {
    if (this.#place === undefined) return
    this.#windows.push({ place: this.#place, value: this.#value() })
  }

  #value(): number | null {
    if (isOfSteps(this.#fn)) return this.#stepped()
    if (this.#fn === 'count') return this.#count
    if (this.#count === 0) return null
    if (this.#share !== undefined) {
      return Float64Array.from(this.#values).sort()[rankOf(this.#share, this.#count)] as number
    }
    switch (this.#fn) {
      case 'last':
        return this.#last
      case 'min':
        return this.#min
      case 'max':
        return this.#max
      case 'sum':
        return this.#sum
      case 'bits':
        return this.#bits < 0 ? null : this.#bits
      default:
        return this.#sum / this.#count
    }
  }

  #stepped(): number | null {
    if (this.#fn === 'integral') return this.#joined > 0 ? this.#area : null
    if (this.#seconds <= 0) return null
    return this.#fn === 'rate' ? this.#rose / this.#seconds : this.#rose
  }
}
