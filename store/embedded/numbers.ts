/**
 * Lists of numbers as few bytes, exactly. Most of what GPUs report has few decimals, so a list is kept as whole numbers of
 * a power of ten, each as its distance from the one before in 7-bit groups; what has more digits is kept as the bits that
 * differ from the number before, bytes of one weight together, which `zstd` makes small.
 */

/** Tag of a list that is kept as bits; below it: how many decimals the whole numbers have. */
const bitsTag = 255

/** Tag of a list of equal numbers: one number follows, as a list of its own. Half of what GPUs report never moves. */
const equalTag = 254

/** More decimals are no longer a unit that somebody chose. */
const decimalsMax = 9

/** Whole numbers up to this: twice their distance stays exact in a double. */
const wholeMax = 2 ** 51

/** Bytes that grow as they are written. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(4096)
  #length = 0

  /** A whole number from 0 to 2^53. */
  whole(value: number): void {
    this.#reserve(8)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80
    this.#bytes[this.#length++] = rest
  }

  /** A whole number of either sign. */
  signed(value: number): void {
    this.whole(value < 0 ? -2 * value - 1 : 2 * value)
  }

  numbers(values: ArrayLike<number>): void {
    const first = values[0]
    if (values.length > 1 && isEqualTo(values, first as number)) {
      this.whole(equalTag)
      this.numbers([first as number])
      return
    }
    const decimals = decimalsOf(values)
    this.whole(decimals ?? bitsTag)
    if (decimals === undefined) this.#bits(values)
    else this.#wholes(values, 10 ** decimals)
  }

  /** A copy of what was written; writing begins anew. */
  take(): Buffer {
    const bytes = Buffer.from(this.#bytes.subarray(0, this.#length))
    this.#length = 0
    return bytes
  }

  #wholes(values: ArrayLike<number>, scale: number): void {
    let before = 0
    for (let index = 0; index < values.length; index++) {
      const whole = Math.round((values[index] as number) * scale)
      this.signed(whole - before)
      before = whole
    }
  }

  #bits(values: ArrayLike<number>): void {
    const count = values.length
    this.#reserve(count * 8)
    const words = new Uint32Array(Float64Array.from(values).buffer)
    let low = 0
    let high = 0
    for (let index = 0; index < count; index++) {
      const ownLow = words[2 * index] as number
      const ownHigh = words[2 * index + 1] as number
      for (let byte = 0; byte < 4; byte++) {
        this.#bytes[this.#length + byte * count + index] = (ownLow ^ low) >>> (8 * byte)
        this.#bytes[this.#length + (byte + 4) * count + index] = (ownHigh ^ high) >>> (8 * byte)
      }
      low = ownLow
      high = ownHigh
    }
    this.#length += count * 8
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Reads what {@link ByteWriter} wrote. @throws RangeError past the end */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  whole(): number {
    let value = 0
    let weight = 1
    for (;;) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new RangeError('the bytes end within a number')
      if (byte < 0x80) return value + byte * weight
      value += (byte & 0x7f) * weight
      weight *= 0x80
    }
  }

  signed(): number {
    const value = this.whole()
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }

  numbers(count: number): Float64Array {
    const tag = this.whole()
    if (tag === bitsTag) return this.#bits(count)
    if (tag === equalTag) return new Float64Array(count).fill(this.numbers(1)[0] as number)
    if (tag > decimalsMax) throw new RangeError(`a list of numbers with tag ${tag}`)
    const values = new Float64Array(count)
    const scale = 10 ** tag
    let whole = 0
    for (let index = 0; index < count; index++) {
      whole += this.signed()
      values[index] = scale === 1 ? whole : whole / scale
    }
    return values
  }

  #bits(count: number): Float64Array {
    const end = this.#at + count * 8
    if (end > this.#bytes.length) throw new RangeError('the bytes end within a list of numbers')
    const values = new Float64Array(count)
    const words = new Uint32Array(values.buffer)
    let low = 0
    let high = 0
    for (let index = 0; index < count; index++) {
      for (let byte = 0; byte < 4; byte++) {
        low ^= (this.#bytes[this.#at + byte * count + index] as number) << (8 * byte)
        high ^= (this.#bytes[this.#at + (byte + 4) * count + index] as number) << (8 * byte)
      }
      words[2 * index] = low
      words[2 * index + 1] = high
    }
    this.#at = end
    return values
  }
}

function isEqualTo(values: ArrayLike<number>, first: number): boolean {
  for (let index = 1; index < values.length; index++) if (!Object.is(values[index], first)) return false
  return true
}

/** With how many decimals every one of the values is a whole number that divides back to it; `undefined`: with none. */
export function decimalsOf(values: ArrayLike<number>): number | undefined {
  let decimals = 0
  for (let index = 0; index < values.length; index++) {
    while (!isWholeAt(values[index] as number, 10 ** decimals)) if (++decimals > decimalsMax) return undefined
  }
  // What passed with fewer decimals may be too large with as many as a later one needs.
  for (let index = 0; index < values.length; index++) {
    if (!isWholeAt(values[index] as number, 10 ** decimals)) return undefined
  }
  return decimals
}

function isWholeAt(value: number, scale: number): boolean {
  const whole = Math.round(value * scale)
  return Math.abs(whole) <= wholeMax && whole / scale === value && !Object.is(value, -0)
}
