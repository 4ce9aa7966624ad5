/**
 * Chance that repeats: a seeded generator, a hash for noise that is a function of time, and the two curves they need.
 *
 * Only what ECMAScript fixes to the bit is used (+ - * / on doubles, Math.imul, floor, round), so a seed gives the same
 * bytes on every engine and processor. Math.exp, log, sin and `**` are left to the engine by the standard: not here.
 */

/** A 32-bit hash of one 32-bit number, a bijection (constants of "lowbias32", hash-prospector, C. Wellons). */
export function mix(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad)
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97)
  return (h ^ (h >>> 15)) >>> 0
}

/** A 32-bit hash of a key and a number: noise that needs no state and can be read at any moment. */
export function hash(key: number, value: number): number {
  return mix(mix(key) ^ Math.imul(value, 0x9e3779b9))
}

/** The key of an independent stream of chance: of a seed (any safe integer), a name, and a number. */
export function keyOf(seed: number, name: string, index = 0): number {
  let key = hash(seed | 0, Math.floor(seed / 0x1_0000_0000))
  for (let i = 0; i < name.length; i++) key = hash(key, name.charCodeAt(i))
  return hash(key, index)
}

/** Noise of a moment: a 32-bit hash of a key and a time in ms (up to 2^53). */
export function hashAt(key: number, ms: number): number {
  return hash(key ^ Math.floor(ms / 0x1_0000_0000), ms | 0)
}

/** Smooth noise in -1 .. 1: hashed values at every `periodMs`, with straight lines between them. */
export function drift(key: number, ms: number, periodMs: number): number {
  const slot = Math.floor(ms / periodMs)
  const part = ms / periodMs - slot
  const here = hash(key, slot) / 0x8000_0000 - 1
  const there = hash(key, slot + 1) / 0x8000_0000 - 1
  return here + (there - here) * part
}

/** A seeded generator: sfc32 (C. Doty-Humphrey, PractRand), 2^32 numbers at the least before it repeats. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(key: number) {
    this.#a = mix(key)
    this.#b = mix(key ^ 0x5bd1e995)
    this.#c = mix(key ^ 0x1b873593)
    for (let i = 0; i < 12; i++) this.next()
  }

  /** An integer of 32 bits, 0 .. 2^32 - 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** 0 <= x < 1. */
  unit(): number {
    return this.next() / 0x1_0000_0000
  }

  /** low <= x < high. */
  between(low: number, high: number): number {
    return low + (high - low) * this.unit()
  }

  /** 0 .. below - 1. */
  integer(below: number): number {
    return Math.floor(this.unit() * below)
  }

  /** One of the items, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T
  }

  /** A place in `weights`, each as likely as its weight. */
  weighted(weights: readonly number[]): number {
    let rest = this.unit() * weights.reduce((sum, weight) => sum + weight, 0)
    for (let i = 0; i < weights.length; i++) {
      rest -= weights[i] as number
      if (rest < 0) return i
    }
    return weights.length - 1
  }

  /** The time to the next of events that come at random, `mean` apart. */
  exponential(mean: number): number {
    return -mean * ln(1 - this.unit())
  }

  /** Mean 0, deviation 1, within -6 .. 6 (the sum of twelve uniform numbers). */
  normal(): number {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += this.unit()
    return sum
  }

  /** Half of the values are below `median`; `sigma` is the deviation of their logarithm. */
  logNormal(median: number, sigma: number): number {
    return median * exp(sigma * this.normal())
  }
}

const ln2 = 0.6931471805599453
const powersOfTwo = new Float64Array(1025)
for (let i = 0, power = 1; i < powersOfTwo.length; i++, power *= 2) powersOfTwo[i] = power

/** e to the x, within 1e-13 of the true value, for |x| <= 700. */
export function exp(x: number): number {
  if (!(x >= -700 && x <= 700)) throw new RangeError(`exp of ${x}: want -700 to 700`)
  const twos = Math.round(x / ln2)
  const rest = x - twos * ln2
  let sum = 1
  for (let i = 13; i > 0; i--) sum = 1 + (sum * rest) / i
  return twos >= 0 ? sum * (powersOfTwo[twos] as number) : sum / (powersOfTwo[-twos] as number)
}

/** The natural logarithm, within 1e-13, of a finite number above 0. */
export function ln(x: number): number {
  if (!(x > 0 && x < Infinity)) throw new RangeError(`logarithm of ${x}: want a number above 0`)
  let twos = 0
  let rest = x
  for (; rest > 1.4142; twos++) rest /= 2
  for (; rest < 0.7071; twos--) rest *= 2
  const part = (rest - 1) / (rest + 1)
  const square = part * part
  let sum = 0
  for (let i = 21; i > 0; i -= 2) sum = sum * square + 1 / i
  return 2 * part * sum + twos * ln2
}
