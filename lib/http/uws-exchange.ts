import type { Problem } from '#wire/problems'
import type { Exchange, Handling } from './engine.ts'
import { Gather, noBytes } from './gather.ts'
import { headText } from './head.ts'
import type { Sink } from './http.ts'
import { problemAnswer } from './problem.ts'
import type { Upload } from './slow.ts'
import { droppedBytesMax, lingerMs, tooSlow } from './unread.ts'
import type { UwsRequest, UwsResponse } from './uws-api.ts'
import type { UwsEngine } from './uws.ts'
import { UwsSink } from './uws-sink.ts'

/**
 * A longer answer, head and body, is written as the kernel takes it: uWebSockets.js would copy the rest. And what does not fit
 * into the 16 KiB of its cork, with its own headers, it may drop (uws-sink.ts).
 */
const copiedBytesMax = 15 * 1024

/** One request and its answer on uWebSockets.js. */
export class UwsExchange implements Exchange, Upload {
  readonly method: string
  readonly target: string
  /** Without TLS no certificate is asked for. */
  readonly trusted = true
  /** Of the head, as far as it may be long: the names and values of headers and the target. */
  readonly headBytes: number
  /** Ends the connection with the answer. */
  isLast = false
  receivedBytes = 0
  /** Where the body ends is said in one way: two could be read in two ways, by us and by whoever passed it on. */
  readonly isClear: boolean
  readonly #engine: UwsEngine
  /** Names and values in turns: few, and asked for once or twice. */
  readonly #headers: string[] = []
  /** The announced length of the body; -1 where it is chunked. */
  readonly #length: number
  /** `undefined` when the answer is written, or the client gone: then it must not be touched. */
  #response: UwsResponse | undefined
  #handling: Handling | undefined
  #gather: Gather | undefined
  #bodyDone = false
  #isGone = false
  #onGone: (() => void)[] | undefined
  #sink: UwsSink | undefined

  constructor(engine: UwsEngine, response: UwsResponse, request: UwsRequest) {
    this.#engine = engine
    this.#response = response
    this.method = request.getCaseSensitiveMethod()
    const query = request.getQuery()
    this.target = query === undefined || query === '' ? request.getUrl() : `${request.getUrl()}?${query}`
    const headers = this.#headers
    let bytes = this.method.length + this.target.length
    let length: string | undefined
    let isChunked = false
    let isClear = true
    request.forEach((name, value) => {
      headers.push(name, value)
      bytes += name.length + value.length
      if (name === 'content-length') {
        if (length !== undefined || !/^\d{1,15}$/.test(value)) isClear = false
        length = value
      } else if (name === 'transfer-encoding') {
        if (isChunked || value.toLowerCase() !== 'chunked') isClear = false
        isChunked = true
      }
    })
    this.headBytes = bytes
    this.isClear = isClear && !(isChunked && length !== undefined)
    this.#length = isChunked || !this.isClear ? -1 : Number(length ?? 0)
  }

  get address(): string {
    return this.#response === undefined ? '' : Buffer.from(this.#response.getRemoteAddress()).toString('hex')
  }

  header(name: string): string | undefined {
    const headers = this.#headers
    const wanted = name.toLowerCase()
    let found: string | undefined
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at] === wanted) found = found === undefined ? headers[at + 1] : `${found}, ${headers[at + 1]}`
    }
    return found
  }

  onGone(callback: () => void): void {
    if (this.#isGone) callback()
    else (this.#onGone ??= []).push(callback)
  }

  reply(status: number, headers: readonly string[], body: string | Uint8Array | undefined): void {
    const response = this.#response
    if (response === undefined || this.#sink !== undefined) return
    const isLast = this.isLast || this.#engine.closing
    if (!this.#bodyDone && (this.#length === -1 || this.#length > droppedBytesMax)) {
      this.#lastWords(status, headers, body)
      return
    }
    const { head, length } = headText(status, headers)
    if (body !== undefined && head.length + (length ?? 0) > copiedBytesMax) {
      const last = isLast ? closeHeader : keepHeader
      this.#replyAsTaken(response, head + last, typeof body === 'string' ? Buffer.from(body) : body)
      return
    }
    this.#response = undefined
    response.cork(() => {
      // What `end` is told it says itself.
      response.writeStatus(isLast ? head : head + keepHeader)
      if (body !== undefined) response.end(body, isLast)
      else if (length !== undefined) response.endWithoutBody(length, isLast)
      else response.endWithoutBody()
    })
    this.#done()
  }

  stream(status: number, headers: readonly string[]): Sink {
    const response = this.#sink === undefined ? this.#response : undefined
    const { head, type } = headText(status, headers)
    response?.cork(() => response.writeStatus(head + (this.#engine.closing ? closeHeader : keepHeader)))
    const { limits, sinks, chunkEnds, closing } = this.#engine
    const ends = type.startsWith('text/event-stream') ? chunkEnds : undefined
    const sink = new UwsSink(response, limits.sinkBytesMax, ends, () => {
      sinks.delete(sink)
      this.#response = undefined
      this.#done()
    })
    if (response !== undefined) {
      this.#sink = sink
      sinks.add(sink)
    }
    if (closing) sink.end()
    return sink
  }

  refuse(problem: Problem): void {
    const { status, headers, body } = problemAnswer(problem)
    headers.push('Content-Length', String(Buffer.byteLength(body)))
    this.reply(status, headers, body)
    this.start(undefined)
  }

  /** Begins to read the body, for `handling` or to drop it; in the call that brought the request. */
  start(handling: Handling | undefined): void {
    const length = this.#length
    if (length === 0) {
      this.#bodyDone = true
      handling?.handle(noBytes)
      this.#response?.onAborted(this.#aborted)
      return
    }
    if (handling !== undefined && (length > handling.bodyBytesMax || handling.bodyBytesMax === 0)) handling.tooLarge()
    else this.#handling = handling
    // What comes of the body of an answered request goes nowhere.
    if (this.#response === undefined) return
    this.#response.onAborted(this.#aborted)
    if (this.#handling === undefined) return
    this.#response.onData(this.#take)
    this.#engine.uploads.add(this)
  }

  /** The body does not come: this is said before uWebSockets.js cuts the connection without a word. */
  late(): void {
    const { status, headers, body } = problemAnswer(tooSlow())
    headers.push('Content-Length', String(Buffer.byteLength(body)))
    this.#lastWords(status, headers, body)
  }

  readonly #take = (chunk: ArrayBuffer, isLast: boolean): void => {
    const handling = this.#handling
    if (handling === undefined) return
    const view = Buffer.from(chunk)
    this.receivedBytes += view.length
    if (isLast) this.#bodyDone = true
    if (this.receivedBytes > handling.bodyBytesMax) {
      this.#stopReading()
      handling.tooLarge()
    } else if (!isLast) {
      if (view.length > 0) (this.#gather ??= new Gather(this.#engine.pool, this.#length)).add(view)
    } else if (this.#gather === undefined) {
      // All of it in one view: handed over as it is.
      this.#stopReading()
      handling.handle(view)
    } else {
      const gather = this.#gather
      this.#gather = undefined
      this.#stopReading()
      gather.add(view)
      try {
        handling.handle(gather.view)
      } finally {
        gather.release()
      }
    }
  }

  #stopReading(): void {
    this.#handling = undefined
    this.#gather?.release()
    this.#gather = undefined
    this.#engine.uploads.delete(this)
  }

  readonly #aborted = (): void => {
    this.#response = undefined
    this.#isGone = true
    this.#stopReading()
    this.#done()
    this.#sink?.gone()
    const callbacks = this.#onGone ?? []
    this.#onGone = undefined
    for (const callback of callbacks) callback()
  }

  #replyAsTaken(response: UwsResponse, head: string, body: Uint8Array): void {
    let isDone = false
    response.onWritable((offset) => {
      const [isTaken, hasEnded] = response.tryEnd(body.subarray(offset), body.length)
      if (hasEnded) this.#written()
      return isTaken
    })
    response.cork(() => {
      response.writeStatus(head)
      isDone = response.tryEnd(body, body.length)[1]
    })
    if (isDone) this.#written()
  }

  /** All of the answer is with the kernel. */
  #written(): void {
    this.#response = undefined
    this.#done()
  }

  /**
   * Answers a client that is still sending what nobody reads. A connection that is closed while bytes come is reset, and takes
   * the answer with it; so the answer goes out in a way that leaves the connection open, and it is cut when the client has had
   * the time to read.
   */
  #lastWords(status: number, headers: readonly string[], body: string | Uint8Array | undefined): void {
    const response = this.#response
    if (response === undefined) return
    const { head: open, length = 0 } = headText(status, headers)
    const head = open + closeHeader
    this.#response = undefined
    this.#stopReading()
    const text = body === undefined ? '' : body.toString()
    response.onAborted(() => {
      clearTimeout(timer)
      this.#isGone = true
      this.#done()
    })
    // The status line brings all else along; CR and LF behind it are two more bytes of a body of JSON.
    response.cork(() => {
      if (body === undefined) response.writeStatus(`${head}\r\nContent-Length: ${length}\r\n`)
      else response.writeStatus(`${head}\r\nContent-Length: ${Buffer.byteLength(text) + 2}\r\n\r\n${text}`)
    })
    response.pause()
    const timer = setTimeout(() => response.close(), lingerMs)
  }

  /** Nothing of this exchange is open any more. */
  #done(): void {
    this.#engine.exchanges.delete(this)
    this.#engine.exchangeEnded()
  }
}

const closeHeader = '\r\nConnection: close'

/**
 * uWebSockets.js closes a connection that was idle for 28 to 32 s (20.57.0; 8 to 12 s in other versions). A client that believes
 * in more would send into a connection that is being closed; those that read this header (undici, Node's agent) do not.
 */
const keepHeader = '\r\nKeep-Alive: timeout=7'
