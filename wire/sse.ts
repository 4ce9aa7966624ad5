/**
 * Server-Sent Events, both ways (WHATWG HTML, section 9.2 "Server-sent events", the event stream format).
 *
 * The parser takes text as it comes from the network and calls back for each event and comment, at once and in order.
 * It works on strings with `indexOf`, line by line, and not character by character: with the decoding, 0.4 of the rate at
 * which the same bytes can be decoded and their lines found at all (`npm run bench -- wire`: 0.94M of 2.3M events of 450
 * bytes a second, on one core of a busy machine).
 */

/** One event, as a browser's EventSource would dispatch it. */
export interface SseEvent {
  /** The last event id of the stream: it stays until another `id` line comes. Empty when none has come. */
  readonly id: string
  /** The type: what the `event` line said, else `message`. */
  readonly event: string
  /** The `data` lines, joined by a newline. */
  readonly data: string
}

/** What the parser calls, in the order of the stream. */
export interface SseHandlers {
  onEvent(event: SseEvent): void
  /** A whole comment line, with its colon and without its line end, as `frames.ts` reads it. */
  onComment?(line: string): void
  /** The server's wish for the time before a reconnect, in ms. */
  onRetry?(delayMs: number): void
}

/** An event or line longer than this ends the parsing: a peer must not be able to fill the memory with one line. */
export const eventCharactersMax = 64 * 1024 * 1024

const lf = 10
const cr = 13
const space = 32
const colon = 58
const byteOrderMark = 0xfeff

/** An incremental parser of one event stream. A new connection gets a new parser. */
export class SseParser {
  readonly #handlers: SseHandlers
  /** The start of a line whose end has not come yet: a rope, only searched through its newest part. */
  #rest = ''
  #atStart = true
  /** The last chunk ended in CR: a LF at the start of the next one belongs to it. */
  #afterCr = false
  #id = ''
  #event = ''
  #data: string | undefined

  constructor(handlers: SseHandlers) {
    this.#handlers = handlers
  }

  /**
   * Takes the next piece of the stream, cut anywhere. The text is UTF-8 decoded with `ignoreBOM: true` (this class
   * drops the one at the start of the stream, and no other).
   *
   * @throws RangeError when an event is longer than {@link eventCharactersMax}; the parser cannot be used afterwards
   */
  feed(chunk: string): void {
    if (chunk === '') return
    let at = 0
    if (this.#atStart) {
      this.#atStart = false
      if (chunk.charCodeAt(0) === byteOrderMark) at = 1
    } else if (this.#afterCr) {
      if (chunk.charCodeAt(0) === lf) at = 1
    }
    this.#afterCr = false
    // Streams with CR in them are rare, and telling so costs one search a chunk instead of one a line.
    at = chunk.includes('\r') ? this.#feedAny(chunk, at) : this.#feedLines(chunk, at)
    if (at < chunk.length) {
      this.#rest += chunk.slice(at)
      if (this.#rest.length > eventCharactersMax) throw tooLong()
    }
  }

  /** Lines that end in LF. Returns where the unfinished line starts. */
  #feedLines(chunk: string, from: number): number {
    let at = from
    for (let end = chunk.indexOf('\n', at); end !== -1; end = chunk.indexOf('\n', at)) {
      this.#line(chunk, at, end)
      at = end + 1
    }
    return at
  }

  /** Lines that end in LF, CR or CRLF. Returns where the unfinished line starts. */
  #feedAny(chunk: string, from: number): number {
    let at = from
    let nextCr = chunk.indexOf('\r', at)
    let nextLf = chunk.indexOf('\n', at)
    while (nextCr !== -1 || nextLf !== -1) {
      const endsInCr = nextLf === -1 || (nextCr !== -1 && nextCr < nextLf)
      const end = endsInCr ? nextCr : nextLf
      this.#line(chunk, at, end)
      at = end + 1
      if (endsInCr) {
        if (at === chunk.length) this.#afterCr = true
        else if (chunk.charCodeAt(at) === lf) at++
        nextCr = chunk.indexOf('\r', at)
      }
      if (nextLf !== -1 && nextLf < at) nextLf = chunk.indexOf('\n', at)
    }
    return at
  }

  /** One line, which stands in `text` from `from` to before `to`, behind what is left of the chunks before. */
  #line(text: string, from: number, to: number): void {
    if (this.#rest === '') {
      this.#field(text, from, to)
      return
    }
    const line = this.#rest + text.slice(from, to)
    this.#rest = ''
    this.#field(line, 0, line.length)
  }

  #field(text: string, from: number, to: number): void {
    if (from === to) {
      this.#dispatch()
      return
    }
    switch (text.charCodeAt(from)) {
      case colon:
        this.#handlers.onComment?.(text.slice(from, to))
        return
      case 100: // d
        if (hasName(text, from, to, 'data')) this.#addData(valueOf(text, from + 4, to))
        return
      case 105: // i
        if (hasName(text, from, to, 'id')) {
          const id = valueOf(text, from + 2, to)
          if (!id.includes('\0')) this.#id = id
        }
        return
      case 101: // e
        if (hasName(text, from, to, 'event')) this.#event = valueOf(text, from + 5, to)
        return
      case 114: // r
        if (hasName(text, from, to, 'retry')) {
          const value = valueOf(text, from + 5, to)
          if (/^[0-9]+$/.test(value)) this.#handlers.onRetry?.(Number(value))
        }
    }
  }

  #addData(value: string): void {
    if (this.#data === undefined) {
      this.#data = value
      return
    }
    this.#data += '\n' + value
    if (this.#data.length > eventCharactersMax) throw tooLong()
  }

  #dispatch(): void {
    const data = this.#data
    const event = this.#event
    if (event !== '') this.#event = ''
    if (data === undefined) return
    this.#data = undefined
    this.#handlers.onEvent({ id: this.#id, event: event === '' ? 'message' : event, data })
  }
}

/** Whether the line's field name is `name`: behind it stands a colon or the line's end. */
function hasName(text: string, from: number, to: number, name: string): boolean {
  const end = from + name.length
  return text.startsWith(name, from) && (end === to || (end < to && text.charCodeAt(end) === colon))
}

/** A field's value: what stands behind the colon at `at` and one space, or nothing where the line has no colon. */
function valueOf(text: string, at: number, to: number): string {
  if (at >= to) return ''
  return text.slice(text.charCodeAt(at + 1) === space && at + 1 < to ? at + 2 : at + 1, to)
}

function tooLong(): RangeError {
  return new RangeError(`the stream holds an event of more than ${eventCharactersMax} characters`)
}

/**
 * Writes one event, its blank line included. Line ends in `data` (LF, CR, CRLF) become `data` lines.
 *
 * @throws RangeError when `id` or `event` holds a line end or NUL, which would forge a line or lose the id
 */
export function formatEvent(event: { readonly event?: string; readonly id?: string; readonly data: string }): string {
  let text = ''
  if (event.event !== undefined) text += `event: ${oneLine(event.event)}\n`
  if (event.id !== undefined) text += `id: ${oneLine(event.id)}\n`
  for (const line of linesOf(event.data)) text += `data: ${line}\n`
  return text + '\n'
}

/** Writes comment lines: clients ignore them, so they keep a connection alive. */
export function formatComment(text: string): string {
  return linesOf(text)
    .map((line) => `: ${line}\n`)
    .join('')
}

function linesOf(text: string): string[] {
  return text.split(/\r\n|\r|\n/)
}

function oneLine(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === lf || code === cr || code === 0) throw new RangeError(`a line end or NUL in ${JSON.stringify(text)}`)
  }
  return text
}
