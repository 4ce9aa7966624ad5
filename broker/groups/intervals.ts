/** A set of offsets, kept as ranges: the records above a group's floor that are acknowledged already. */

export class Intervals {
  /** Starts and ends (exclusive), in order; ranges neither overlap nor touch. */
  #ranges: [number, number][] = []
  #count = 0

  /** How many offsets are in the set. */
  get count(): number {
    return this.#count
  }

  /** How many offsets of the set are below a bound. */
  countBelow(bound: number): number {
    let count = this.#count
    // From the end: mostly the bound lies above all of it.
    for (let at = this.#ranges.length - 1; at >= 0; at--) {
      const [from, to] = this.#ranges[at] as [number, number]
      if (to <= bound) break
      count -= to - Math.max(from, bound)
    }
    return count
  }

  get ranges(): readonly (readonly [number, number])[] {
    return this.#ranges
  }

  /** Adds the offsets from `from` to `to` (exclusive). */
  add(from: number, to: number): void {
    if (from >= to) return
    const first = this.#firstEndingAtOrAfter(from)
    let last = first
    let [start, end] = [from, to]
    while (last < this.#ranges.length && (this.#ranges[last] as [number, number])[0] <= to) {
      const range = this.#ranges[last] as [number, number]
      start = Math.min(start, range[0])
      end = Math.max(end, range[1])
      this.#count -= range[1] - range[0]
      last++
    }
    this.#ranges.splice(first, last - first, [start, end])
    this.#count += end - start
  }

  has(offset: number): boolean {
    return this.endOfRangeAt(offset) > offset
  }

  /** Takes out the offsets from `from` to `to` (exclusive). */
  remove(from: number, to: number): void {
    if (from >= to) return
    const first = this.#firstEndingAtOrAfter(from + 1)
    let last = first
    const rest: [number, number][] = []
    while (last < this.#ranges.length && (this.#ranges[last] as [number, number])[0] < to) {
      const [start, end] = this.#ranges[last] as [number, number]
      if (start < from) rest.push([start, from])
      if (end > to) rest.push([to, end])
      this.#count -= Math.min(end, to) - Math.max(start, from)
      last++
    }
    this.#ranges.splice(first, last - first, ...rest)
  }

  /** Takes out all offsets below a bound. */
  removeBelow(bound: number): void {
    while (this.#ranges.length > 0) {
      const range = this.#ranges[0] as [number, number]
      if (range[0] >= bound) return
      const end = Math.min(range[1], bound)
      this.#count -= end - range[0]
      if (range[1] <= bound) this.#ranges.shift()
      else {
        range[0] = bound
        return
      }
    }
  }

  /** The end of the range that holds the offset, or the offset itself when none does. */
  endOfRangeAt(offset: number): number {
    const range = this.#ranges[this.#firstEndingAtOrAfter(offset + 1)]
    return range !== undefined && range[0] <= offset ? range[1] : offset
  }

  /** The start of the first range that begins after the offset; Infinity when none does. */
  nextStartAfter(offset: number): number {
    const at = this.#firstEndingAtOrAfter(offset + 1)
    for (const range of this.#ranges.slice(at, at + 2)) if (range[0] > offset) return range[0]
    return Infinity
  }

  clear(): void {
    this.#ranges = []
    this.#count = 0
  }

  #firstEndingAtOrAfter(offset: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ranges[middle] as [number, number])[1] < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
