/**
 * Reads answers of HTTP/1.1 out of the bytes of a connection, one whole answer at a time (RFC 9112). Pure.
 *
 * A broker's answer to produce comes in one piece and names its length: that way is the short one. The others (chunked, ended by
 * the connection, interim answers) are how a gateway between may write it.
 */

/** An answer, whole, with what of its head a client of the proxy is told. */
export interface Answered {
  readonly status: number
  readonly type: string
  readonly retryAfter: string | undefined
  readonly body: Buffer
}

/** An answer, and what becomes of its connection. */
export interface WholeAnswer extends Answered {
  /** Whether the connection takes another request. */
  readonly isKept: boolean
}

/** A head, or a line of the chunked coding, is shorter, or is none. */
const headBytesMax = 64 * 1024

const headEnd = '\r\n\r\n'
const noBytes = Buffer.alloc(0)

interface Head {
  readonly status: number
  readonly type: string
  readonly retryAfter: string | undefined
  readonly isKept: boolean
  /** Bytes of the body, or how its end is found. */
  readonly body: number | 'chunked' | 'closes'
}

export class AnswerReader {
  readonly #bodyBytesMax: number
  /** Bytes that are not understood yet. */
  #rest: Buffer = noBytes
  #head: Head | undefined
  #parts: Buffer[] = []
  #have = 0
  /** Of the chunked coding: bytes of data that are still to come, and what follows them. */
  #chunkLeft = 0
  #expects: 'size' | 'data end' | 'trailer' = 'size'

  /** @param bodyBytesMax a longer body is refused */
  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax
  }

  /**
   * Takes the next bytes, and keeps a reference to them until the answer is whole.
   *
   * @returns the answer when it is whole
   * @throws Error for bytes that are no answer, or more than one
   */
  take(chunk: Buffer): WholeAnswer | undefined {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = noBytes
    while (this.#head === undefined) {
      const end = bytes.indexOf(headEnd)
      if (end === -1) {
        this.#keepRest(bytes)
        return undefined
      }
      const head = headOf(bytes.toString('latin1', 0, end))
      bytes = bytes.subarray(end + headEnd.length)
      // Interim answers (100, 103) say nothing about the request.
      if (head.status >= 200) this.#head = head
      else if (head.status === 101) throw new Error('the answer speaks another protocol')
    }
    const { body } = this.#head
    if (body === 'chunked') return this.#takeChunks(bytes) ? this.#whole() : undefined
    this.#add(bytes)
    if (body === 'closes' || this.#have < body) return undefined
    if (this.#have > body) throw new Error('the answer is longer than it says')
    return this.#whole()
  }

  /** The connection has ended: the answer that had no other end. */
  end(): WholeAnswer | undefined {
    return this.#head?.body === 'closes' ? this.#whole() : undefined
  }

  /** @returns whether the last chunk has come */
  #takeChunks(from: Buffer): boolean {
    for (let bytes = from; ;) {
      if (this.#chunkLeft > 0) {
        const data = bytes.subarray(0, this.#chunkLeft)
        this.#add(data)
        this.#chunkLeft -= data.length
        if (this.#chunkLeft > 0) return false
        bytes = bytes.subarray(data.length)
      }
      const end = bytes.indexOf('\r\n')
      if (end === -1) {
        this.#keepRest(bytes)
        return false
      }
      const line = bytes.toString('latin1', 0, end)
      bytes = bytes.subarray(end + 2)
      if (this.#expects === 'data end') {
        if (line !== '') throw new Error('a chunk of the answer is longer than it says')
        this.#expects = 'size'
      } else if (this.#expects === 'size') {
        const size = /^([0-9a-f]{1,8})[ \t]*(;.*)?$/i.exec(line)?.[1]
        if (size === undefined) throw new Error('a chunk of the answer has no length')
        this.#chunkLeft = Number.parseInt(size, 16)
        this.#expects = this.#chunkLeft === 0 ? 'trailer' : 'data end'
      } else if (line === '') {
        if (bytes.length > 0) throw new Error('the answer is longer than it says')
        return true
      }
    }
  }

  #keepRest(bytes: Buffer): void {
    if (bytes.length > headBytesMax) throw new Error('the head of the answer has no end')
    this.#rest = bytes
  }

  #add(bytes: Buffer): void {
    this.#have += bytes.length
    if (this.#have > this.#bodyBytesMax) throw new Error(`the answer is longer than ${this.#bodyBytesMax} bytes`)
    if (bytes.length > 0) this.#parts.push(bytes)
  }

  #whole(): WholeAnswer {
    const { status, type, retryAfter, isKept } = this.#head as Head
    const [first = noBytes] = this.#parts
    const body = this.#parts.length > 1 ? Buffer.concat(this.#parts) : first
    this.#head = undefined
    this.#parts = []
    this.#have = 0
    this.#expects = 'size'
    return { status, type, retryAfter, body, isKept }
  }
}

function headOf(text: string): Head {
  const start = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |\r|$)/.exec(text)
  if (start === null) throw new Error('it does not answer in HTTP/1.1')
  const status = Number(start[2])
  let type = 'application/octet-stream'
  let retryAfter: string | undefined
  let length: string | undefined
  let coding: string | undefined
  let isKept = start[1] === '1'
  for (let from = lineAfter(text, 0); from < text.length; from = lineAfter(text, from)) {
    const colon = text.indexOf(':', from)
    const end = lineEnd(text, from)
    if (colon === -1 || colon > end) throw new Error('a line of the head of the answer has no name')
    const value = (): string => text.slice(colon + 1, end).trim()
    switch (text.slice(from, colon).toLowerCase()) {
      case 'content-type':
        type = value()
        break
      case 'content-length':
        if (length !== undefined && length !== value()) throw new Error('the answer has two lengths')
        length = value()
        break
      case 'transfer-encoding':
        coding = coding === undefined ? value() : `${coding}, ${value()}`
        break
      case 'retry-after':
        retryAfter = value()
        break
      case 'connection':
        if (/\bclose\b/i.test(value())) isKept = false
        break
    }
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new Error('the answer has a length that is none')
  // Where both stand, two readers may disagree about where the answer ends (RFC 9112, 6.3).
  if (coding !== undefined && (length !== undefined || coding.toLowerCase() !== 'chunked'))
    throw new Error('the end of the answer cannot be known')
  const isBare = status < 200 || status === 204 || status === 304
  const body = isBare ? 0 : coding !== undefined ? 'chunked' : length === undefined ? 'closes' : Number(length)
  return { status, type, retryAfter, isKept: isKept && body !== 'closes', body }
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\r\n', from)
  return end === -1 ? text.length : end
}

function lineAfter(text: string, from: number): number {
  return lineEnd(text, from) + 2
}
