/**
 * Connections to one broker for what is posted to it, each with one request in flight (decision 135: why not undici's).
 *
 * A request is one write of one piece of memory, and its whole answer is read in the callback of the socket: no stream, no
 * signal and no timer is made for it. The connections themselves are made by undici's connector, by TLS too.
 */

import type { Socket } from 'node:net'

import { buildConnector } from 'undici'

import { AnswerReader, type WholeAnswer } from './answer.ts'
import type { Parcel } from './parcel.ts'

/** An idle connection is closed after this: sooner than any server or balancer between closes it, as a request may be on its way. */
const idleMs = 4_000

/** How often is looked for what takes too long. */
const lookMs = 500

/** The longest answer: to an acknowledgement of 10,000 ids that are all refused. */
const answerBytesMax = 16 * 1024 * 1024

interface LinesOptions {
  /** How long a broker may keep silent while a request waits, in ms. */
  readonly answerMs: number
  readonly connectionsMax: number
  /** How long a connection may take to be made, in ms. */
  readonly connectMs: number
  /** Makes connections in another way, such as by TLS with a certificate. */
  readonly connect?: buildConnector.connector | undefined
}

interface Exchange {
  readonly head: string
  readonly parcel: Parcel
  readonly resolve: (answer: WholeAnswer) => void
  readonly reject: (error: Error) => void
}

export class Lines {
  readonly #url: URL
  readonly #options: LinesOptions
  readonly #connect: buildConnector.connector
  /** The one that was used last is used next, so that those beyond the need fall idle. */
  readonly #idle: Line[] = []
  readonly #all = new Set<Line>()
  #connecting = 0
  /** Exchanges without a connection, the oldest first. */
  readonly #waiting: Exchange[] = []
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(url: string, options: LinesOptions) {
    this.#url = new URL(url)
    this.#options = options
    this.#connect = options.connect ?? buildConnector({ timeout: options.connectMs, allowH2: false })
  }

  /**
   * Sends one request and reads its whole answer, whatever its status. When it is settled, nothing refers to the parcel's
   * memory any more.
   *
   * @param head of the request: all of it, up to and with the empty line
   * @throws Error when there is no connection, no answer in time, or one that cannot be read
   */
  ask(head: string, parcel: Parcel): Promise<WholeAnswer> {
    return new Promise((resolve, reject) => {
      const exchange: Exchange = { head, parcel, resolve, reject }
      const line = this.#idle.pop()
      if (line !== undefined) line.send(exchange)
      else if (this.#isClosed) reject(new Error('the connections to the broker are closed'))
      else {
        this.#waiting.push(exchange)
        this.#openForWaiting()
      }
    })
  }

  /** Fails everything under way with this error, and cuts its connections. */
  fail(error: Error): void {
    const waiting = this.#waiting.splice(0)
    for (const line of this.#all) line.fail(error)
    for (const exchange of waiting) exchange.reject(error)
  }

  close(): void {
    this.#isClosed = true
    this.fail(new Error('the connections to the broker are closed'))
    clearInterval(this.#timer)
  }

  /** A line is free: for the one that waits longest, or for later. */
  free(line: Line): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(line)
    else line.send(next)
  }

  /** A line's connection is gone. */
  gone(line: Line): void {
    if (!this.#all.delete(line)) return
    const at = this.#idle.indexOf(line)
    if (at !== -1) this.#idle.splice(at, 1)
    if (this.#all.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    this.#openForWaiting()
  }

  /** Each that waits has a connection that is on its way, unless there are as many as there may be. */
  #openForWaiting(): void {
    if (this.#waiting.length <= this.#connecting) return
    if (this.#all.size + this.#connecting < this.#options.connectionsMax) this.#open()
  }

  #open(): void {
    const { hostname, host, protocol, port } = this.#url
    const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
    this.#connecting++
    this.#connect({ hostname: bare, host, protocol, port }, (error, socket) => {
      this.#connecting--
      if (error !== null) {
        // Each try is for one of those that wait: the next may have more luck.
        this.#waiting.shift()?.reject(error)
        this.#openForWaiting()
        return
      }
      if (this.#isClosed) {
        socket.destroy()
        return
      }
      const line = new Line(this, socket)
      this.#all.add(line)
      this.#timer ??= setInterval(() => this.#look(), lookMs).unref()
      this.free(line)
    })
  }

  #look(): void {
    const nowMs = performance.now()
    for (const line of this.#all) {
      const silentMs = nowMs - line.lastMs
      if (line.isBusy) {
        if (silentMs > this.#options.answerMs) line.fail(new Error(`no answer within ${this.#options.answerMs} ms`))
      } else if (silentMs > idleMs) line.fail(new Error('the connection is idle'))
    }
  }
}

/** One connection. */
class Line {
  /** When something was last sent or heard, by the monotonic clock. */
  lastMs = performance.now()
  readonly #lines: Lines
  readonly #socket: Socket
  readonly #reader = new AnswerReader(answerBytesMax)
  #exchange: Exchange | undefined

  constructor(lines: Lines, socket: Socket) {
    this.#lines = lines
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('end', () => this.#end())
    socket.on('error', (error: Error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('the connection was closed before the answer')))
  }

  get isBusy(): boolean {
    return this.#exchange !== undefined
  }

  send(exchange: Exchange): void {
    this.#exchange = exchange
    this.lastMs = performance.now()
    this.#socket.write(exchange.parcel.withHead(exchange.head))
  }

  /** Cuts the connection; who waits for an answer is told why. */
  fail(error: Error): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    // First: what is rejected may be sent again from the same memory.
    this.#socket.destroy()
    this.#lines.gone(this)
    exchange?.reject(error)
  }

  #take(chunk: Buffer): void {
    this.lastMs = performance.now()
    if (this.#exchange === undefined) {
      this.fail(new Error('bytes that nobody asked for'))
      return
    }
    try {
      const answer = this.#reader.take(chunk)
      if (answer !== undefined) this.#answered(answer)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  #end(): void {
    const answer = this.#exchange === undefined ? undefined : this.#reader.end()
    if (answer !== undefined) this.#answered(answer)
    else this.fail(new Error('the connection was closed before the answer'))
  }

  #answered(answer: WholeAnswer): void {
    const { resolve } = this.#exchange as Exchange
    this.#exchange = undefined
    // An answer that came before the request was all sent leaves the rest of it on the way.
    if (answer.isKept && this.#socket.writableLength === 0) this.#lines.free(this)
    else {
      this.#socket.destroy()
      this.#lines.gone(this)
    }
    resolve(answer)
  }
}
