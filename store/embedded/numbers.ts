/**
 * Lists of numbers as few bytes, exactly. Most of what GPUs report has few decimals, so a list is kept as whole numbers of
 * a power of ten, each as its distance from the one before in 7-bit groups; what has more digits is kept as the bits that
 * differ from the number before, bytes of one weight together, which compress well.
 */

/** Tag of a list that is kept as bits; below it: how many decimals the whole numbers have. */
const bitsTag = 255

/** Tag of a list of equal numbers: one number follows, as a list of its own. Half of what GPUs report never moves. */
const equalTag = 254

/** More decimals are no longer a unit that somebody chose. */
const decimalsMax = 9

const scales = Array.from({ length: decimalsMax + 1 }, (_, decimals) => 10 ** decimals)

const int32Max = 2 ** 31 - 1

/** Of a whole number: 53 bits, seven in a byte. */
const bytesMax = 8

/** Whole numbers up to this: twice their distance stays exact in a double. */
const wholeMax = 2 ** 51

/** Bytes that grow as they are written. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(4096)
  #length = 0

  /** A whole number from 0 to 2^53. */
  whole(value: number): void {
    this.#reserve(bytesMax)
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

  /** With no call a number: sealing and reading spend most of their time here and in its counterpart. */
  #wholes(values: ArrayLike<number>, scale: number): void {
    this.#reserve(values.length * bytesMax)
    const bytes = this.#bytes
    let at = this.#length
    let before = 0
    for (let index = 0; index < values.length; index++) {
      const whole = Math.round((values[index] as number) * scale)
      const step = whole - before
      before = whole
      let rest = step < 0 ? -2 * step - 1 : 2 * step
      for (; rest > int32Max; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80
      let small = rest | 0
      for (; small >= 0x80; small >>= 7) bytes[at++] = (small & 0x7f) | 0x80
      bytes[at++] = small
    }
    this.#length = at
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

  /** Goes to the end. */
  skip(): void {
    this.#at = this.#bytes.length
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

  /** @param values where they go; left out: into a list of their own */
  numbers(count: number, values: Float64Array = new Float64Array(count)): Float64Array {
    const tag = this.whole()
    if (tag === bitsTag) return this.#bits(values)
    if (tag === equalTag) return values.fill(this.numbers(1)[0] as number)
    if (tag > decimalsMax) throw new RangeError(`a list of numbers with tag ${tag}`)
    return this.#wholes(values, scales[tag] as number)
  }

  #wholes(values: Float64Array, scale: number): Float64Array {
    const bytes = this.#bytes
    const count = values.length
    let at = this.#at
    let whole = 0
    for (let index = 0; index < count; index++) {
      const first = bytes[at] as number
      const second = bytes[at + 1] as number
      if (first < 0x80) {
        at++
        whole += first & 1 ? -((first + 1) >> 1) : first >> 1
      } else if (second < 0x80) {
        at += 2
        const value = (first & 0x7f) | (second << 7)
        whole += value & 1 ? -((value + 1) >> 1) : value >> 1
      } else {
        this.#at = at
        whole += this.signed()
        at = this.#at
      }
      values[index] = scale === 1 ? whole : whole / scale
    }
    this.#at = at
    return values
  }

  #bits(values: Float64Array): Float64Array {
    const count = values.length
    const end = this.#at + count * 8
    if (end > this.#bytes.length) throw new RangeError('the bytes end within a list of numbers')
    const words = new Uint32Array(values.buffer, values.byteOffset, 2 * count)
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

/**
 * With how many decimals every one of the values is a whole number that divides back to it; `undefined`: with none.
 *
 * @param skipsNaN whether NaN, which is no such number, is passed over
 */
export function decimalsOf(values: ArrayLike<number>, skipsNaN = false): number | undefined {
  let decimals = 0
  let from = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    if (skipsNaN && Number.isNaN(value)) continue
    while (!isWholeAt(value, scales[decimals] as number)) {
      if (++decimals > decimalsMax) return undefined
      from = index
    }
  }
  // What passed with fewer decimals may be too large with as many as a later one needs.
  for (let index = 0; index < from; index++) {
    const value = values[index] as number
    if (!(skipsNaN && Number.isNaN(value)) && !isWholeAt(value, scales[decimals] as number)) return undefined
  }
  return decimals
}

function isWholeAt(value: number, scale: number): boolean {
  const whole = Math.round(value * scale)
  if (whole === 0) return Object.is(value, 0)
  return whole <= wholeMax && whole >= -wholeMax && whole / scale === value
}
