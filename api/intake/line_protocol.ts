/**
 * Reads InfluxDB's line protocol as InfluxDB does (docs.influxdata.com, "Line protocol"; `models/points.go` of InfluxDB 1):
 *
 *     measurement[,tag=text…] field=value[,field=value…] [timestamp]
 *
 * A line that cannot be read costs nobody but itself: reading goes on behind its first line end.
 */

/** What a field holds. A number of `i` or `u` is a number here. */
export type FieldValue = number | string | boolean

export interface Point {
  /** The number of its line in the text, from 1. */
  readonly line: number
  /** Where its line begins and ends in the text. */
  readonly start: number
  readonly end: number
  readonly measurement: string
  readonly tags: Readonly<Record<string, string>>
  /** In the order of the line. A name may come twice. */
  readonly fields: readonly (readonly [name: string, value: FieldValue])[]
  /** Digits in the precision that the sender told, or told nobody; `undefined`: none was given. */
  readonly time: string | undefined
}

/** A line that is none, and why: what is wrong, what would be right. */
export interface BadLine {
  readonly line: number
  readonly start: number
  readonly end: number
  readonly wrong: string
}

const [newline, carriageReturn, space, quote, hash, comma, equals, backslash] = [10, 13, 32, 34, 35, 44, 61, 92]

// One way to read each text, as in telemetry/value.ts: a field of 40,000 digits and a letter took seconds.
const numberPattern = /^-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/
const wholePattern = /^-?\d+i$|^\d+u$/
const timePattern = /^-?\d{1,19}$/
const least = -(2n ** 63n)
const largest = { i: 2n ** 63n - 1n, u: 2n ** 64n - 1n }

const truths: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['t', 'T', 'true', 'True', 'TRUE'].map((text) => [text, true])),
  ...Object.fromEntries(['f', 'F', 'false', 'False', 'FALSE'].map((text) => [text, false])),
}

/** The points of a text, and the lines that are none, in their order. Empty lines and comments (`#`) are passed over. */
export function* readLines(text: string): Generator<Point | BadLine> {
  const reader = new Reader(text)
  let line = 1
  for (let at = 0; at < text.length;) {
    const start = skipBlanks(text, at)
    if (start < text.length && !isEnd(text, start)) {
      if (text.charCodeAt(start) === hash) at = endOfLine(text, start)
      else {
        const read = reader.read(start, line)
        yield read
        at = read.end
        // A text field may hold line ends.
        for (let next = text.indexOf('\n', start); next !== -1 && next < at; next = text.indexOf('\n', next + 1)) line++
      }
    } else at = start
    at = text.indexOf('\n', at) + 1
    if (at === 0) return
    line++
  }
}

/** What is wrong with the line that is being read. */
class Wrong extends Error {}

/** Reads one point of a text, from one place to the next. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(start: number, line: number): Point | BadLine {
    this.#at = start
    try {
      const measurement = this.#name('measurement').replace(/\\([, ])/g, '$1')
      if (measurement === '') throw new Wrong('the measurement is missing')
      const tags = this.#tags()
      const fields = this.#fields()
      const time = this.#time()
      return { line, start, end: this.#at, measurement, tags, fields, time }
    } catch (error) {
      if (!(error instanceof Wrong)) throw error
      return { line, start, end: endOfLine(this.#text, start), wrong: error.message }
    }
  }

  #tags(): Record<string, string> {
    // Without a prototype: a tag may be called __proto__.
    const tags = Object.create(null) as Record<string, string>
    while (this.#take(comma)) {
      const name = this.#key('tag')
      const text = unescaped(this.#name('tag'))
      if (text === '') throw new Wrong(`tag ${shown(name)} has no text: leave it out`)
      if (tags[name] !== undefined) throw new Wrong(`tag ${shown(name)} is there twice`)
      tags[name] = text
    }
    return tags
  }

  #fields(): (readonly [string, FieldValue])[] {
    if (!this.#skip()) throw new Wrong('there are no fields: want measurement,tag=text field=value timestamp')
    const fields: (readonly [string, FieldValue])[] = []
    do {
      const name = this.#key('field')
      fields.push([name, this.#take(quote) ? this.#string(name) : this.#scalar(name)])
    } while (this.#take(comma))
    return fields
  }

  #time(): string | undefined {
    const hasGap = this.#skip()
    if (isEnd(this.#text, this.#at)) return undefined
    const rest = this.#text.slice(this.#at, endOfLine(this.#text, this.#at)).trimEnd()
    if (!hasGap) throw new Wrong(`${shown(rest)} follows a field: want a comma, or a blank and the timestamp`)
    if (!timePattern.test(rest)) throw new Wrong(`the timestamp is ${shown(rest)}: want a whole number`)
    this.#at = endOfLine(this.#text, this.#at)
    return rest
  }

  /** `name=`, without the sign. */
  #key(of: 'tag' | 'field'): string {
    const name = unescaped(this.#name('key'))
    if (!this.#take(equals)) throw new Wrong(`${of} ${shown(name)} has no value: want ${of}=value`)
    if (name === '') throw new Wrong(`a ${of} has no name: want ${of}=value`)
    return name
  }

  /** Up to the next comma, blank, line end and, but in a measurement, equals sign that no backslash stands before. */
  #name(of: 'measurement' | 'key' | 'tag'): string {
    const text = this.#text
    const start = this.#at
    let at = start
    for (let before = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === newline || (code === carriageReturn && isEnd(text, at))) break
      const ends = code === comma || code === space || (code === equals && of !== 'measurement')
      if (ends && before !== backslash) break
      before = code
    }
    this.#at = at
    if (of === 'tag' && text.charCodeAt(at) === equals) throw new Wrong('an = in the text of a tag: want \\=')
    return text.slice(start, at)
  }

  /** Behind the opening quote, up to behind the closing one. */
  #string(name: string): string {
    const text = this.#text
    const start = this.#at
    let hasEscapes = false
    for (let at = text.indexOf('"', start); at !== -1; at = text.indexOf('"', at + 1)) {
      let first = at
      while (first > start && text.charCodeAt(first - 1) === backslash) first--
      if (first !== at) hasEscapes = true
      // An even number of backslashes are backslashes; behind an odd one the quote is one of the text.
      if ((at - first) % 2 === 1) continue
      this.#at = at + 1
      const content = text.slice(start, at)
      return hasEscapes || content.includes('\\\\') ? content.replace(/\\(["\\])/g, '$1') : content
    }
    throw new Wrong(`field ${shown(name)} is a text that no quote ends`)
  }

  #scalar(name: string): number | boolean {
    const text = this.#text
    const start = this.#at
    let at = start
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === comma || code === space || code === newline || code === carriageReturn) break
    }
    this.#at = at
    const given = text.slice(start, at)
    const value = numberPattern.test(given) ? Number(given) : wholeNumber(given)
    if (value !== undefined && Number.isFinite(value)) return value
    const truth = Object.hasOwn(truths, given) ? truths[given] : undefined
    if (truth !== undefined) return truth
    throw new Wrong(`field ${shown(name)} is ${shown(given)}: want a number, 7i, 7u, true, false or "text"`)
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false
    this.#at++
    return true
  }

  /** Whether there were blanks. */
  #skip(): boolean {
    const start = this.#at
    this.#at = skipBlanks(this.#text, start)
    return this.#at > start && !isEnd(this.#text, this.#at)
  }
}

function wholeNumber(given: string): number | undefined {
  if (!wholePattern.test(given) || given.length > 21) return undefined
  const value = BigInt(given.slice(0, -1))
  return value >= least && value <= largest[given.at(-1) as 'i' | 'u'] ? Number(value) : undefined
}

function unescaped(name: string): string {
  return name.includes('\\') ? name.replace(/\\([,= ])/g, '$1') : name
}

function skipBlanks(text: string, at: number): number {
  while (text.charCodeAt(at) === space || text.charCodeAt(at) === 9) at++
  return at
}

/** Whether a line ends here: LF, CR LF, or the end of the text. */
function isEnd(text: string, at: number): boolean {
  if (at >= text.length || text.charCodeAt(at) === newline) return true
  return text.charCodeAt(at) === carriageReturn && (at + 1 >= text.length || text.charCodeAt(at + 1) === newline)
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
