/** Rows of one series within one hour, as two columns. All that handles many rows handles them so: no object a row. */

export const hourS = 3600
export const hourNs = hourS * 1e9

export interface Rows {
  /** Nanoseconds since the hour began, rising. */
  readonly times: Float64Array
  /** NaN: not reported. */
  readonly values: Float64Array
}

export const noRows: Rows = { times: new Float64Array(), values: new Float64Array() }

/** Columns that rows are put into one by one, in the order of their times. */
export class RowsBuilder {
  #times = new Float64Array(64)
  #values = new Float64Array(64)
  #count = 0

  add(time: number, value: number): void {
    if (this.#count === this.#times.length) {
      this.#times = grown(this.#times)
      this.#values = grown(this.#values)
    }
    this.#times[this.#count] = time
    this.#values[this.#count++] = value
  }

  rows(): Rows {
    return { times: this.#times.subarray(0, this.#count), values: this.#values.subarray(0, this.#count) }
  }
}

function grown(values: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * values.length)
  larger.set(values)
  return larger
}

/** Both, by time. Of two rows of one time the one of `over` stands, unless it is one that was not reported. */
export function merged(under: Rows, over: Rows): Rows {
  if (under.times.length === 0) return over
  if (over.times.length === 0) return under
  const result = new RowsBuilder()
  let next = 0
  for (let index = 0; index < over.times.length; index++) {
    const time = over.times[index] as number
    for (; next < under.times.length && (under.times[next] as number) < time; next++) {
      result.add(under.times[next] as number, under.values[next] as number)
    }
    let value = over.values[index] as number
    if (under.times[next] === time) {
      if (Number.isNaN(value)) value = under.values[next] as number
      next++
    }
    result.add(time, value)
  }
  for (; next < under.times.length; next++) result.add(under.times[next] as number, under.values[next] as number)
  return result.rows()
}

/** The rows from `from` to before `to`, both in nanoseconds since the hour began. */
export function between({ times, values }: Rows, from: number, to: number): Rows {
  const first = placeOf(times, from)
  const end = placeOf(times, to)
  return { times: times.subarray(first, end), values: values.subarray(first, end) }
}

/** The place of the first time that is not before the given one. */
export function placeOf(times: Float64Array, time: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] as number) < time) low = middle + 1
    else high = middle
  }
  return low
}
