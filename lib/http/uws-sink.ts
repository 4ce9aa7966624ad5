import type { Sink } from './http.ts'
import type { UwsResponse } from './uws-api.ts'
import type { ChunkEnds, Endable } from './uws-ends.ts'

/**
 * What is handed to uWebSockets.js at once: with its framing no more than fits into the 16 KiB that a cork gathers. A chunk that
 * does not fit flushes the cork first, and where the kernel takes nothing at that moment uWebSockets.js before 20.77 (April 2026,
 * so the 20.57.0 of the registry) sends the chunk's framing and drops the chunk: decision 180.
 */
const pieceBytesMax = 16 * 1024 - 64

/** The first brings the rest of the head along. */
const firstPieceBytesMax = 15 * 1024

/** So much goes to the kernel in one turn of the event loop: a backlog in memory must not keep all others waiting. */
const turnBytesMax = 256 * 1024

/**
 * To a reader of events nothing: it sends a head whose first event has yet to come, for the engine writes no head alone, and the end of
 * a chunk (uws-ends.ts).
 */
const emptyLine = Buffer.from('\n')
const LF = 10

/**
 * An endless answer on uWebSockets.js. What the kernel does not take waits here and is not copied, but for a piece or two that
 * uWebSockets.js has taken.
 */
export class UwsSink implements Sink, Endable {
  #response: UwsResponse | undefined
  readonly #bytesMax: number
  /** Of a stream of events, between which empty lines may stand. */
  readonly #ends: ChunkEnds | undefined
  readonly #onEnd: () => void
  readonly #drains: (() => void)[] = []
  #closes: (() => void)[] = []
  /** What waits for the kernel; of the first piece the bytes from `#from`. */
  readonly #waiting: Uint8Array[] = []
  #from = 0
  /** What {@link #writePiece} hands over. */
  #piece: Uint8Array = emptyLine
  #waitingBytes = 0
  /** What uWebSockets.js may still hold of the piece that was not taken whole. */
  #heldBytes = 0
  /** With the kernel, in this turn. */
  #turnBytes = 0
  /** In the turn of the request its socket is corked already, with what nobody knows. */
  #isOpening = true
  #isFirst = true
  #isEnding = false
  #isClosed = false

  /**
   * @param response its head written, `undefined` when the client is gone
   * @param ends where it is a stream of events: an empty line may stand before all else, and behind each
   * @param onEnd called when the answer is complete and with the kernel, or cut
   */
  constructor(response: UwsResponse | undefined, bytesMax: number, ends: ChunkEnds | undefined, onEnd: () => void) {
    this.#response = response
    this.#bytesMax = bytesMax
    this.#ends = ends
    this.#onEnd = onEnd
    if (response === undefined) {
      this.gone()
      return
    }
    response.onWritable(this.#writable)
    setImmediate(this.#open)
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isEnding || this.#isClosed) return false
    if (bytes.length > 0) {
      this.#waiting.push(bytes)
      this.#waitingBytes += bytes.length
      if (this.#heldBytes === 0 && !this.#isOpening) {
        if (this.#turnBytes === 0) setImmediate(this.#drained)
        this.#turnBytes += bytes.length
        this.#pass()
      }
    }
    return this.pendingBytes < this.#bytesMax
  }

  get pendingBytes(): number {
    if (this.#isClosed) return 0
    return this.#leftBytes + (this.#turnBytes < turnBytesMax ? 0 : this.#turnBytes)
  }

  /** What the kernel has not taken. */
  get #leftBytes(): number {
    return this.#waitingBytes + this.#heldBytes
  }

  onDrain(callback: () => void): void {
    this.#drains.push(callback)
  }

  onClose(callback: () => void): void {
    if (this.#isClosed) callback()
    else this.#closes.push(callback)
  }

  end(): void {
    if (this.#isEnding || this.#isClosed) return
    this.#isEnding = true
    if (this.#leftBytes === 0) this.#finish()
  }

  abort(): void {
    // Calls back that the client is gone.
    this.#response?.close()
    this.gone()
  }

  /** The client is gone. */
  gone(): void {
    this.#response = undefined
    this.#waiting.length = 0
    this.#close()
  }

  /** Sends what was written in the turn of the request, and the head with it. */
  readonly #open = (): void => {
    this.#isOpening = false
    if (this.#response === undefined) return
    // The writer is told of no drain for that: it wrote nothing.
    const isEmpty = this.#waitingBytes === 0
    if (isEmpty && this.#ends === undefined) return
    if (isEmpty) this.#addEmptyLine()
    this.#pass()
    if (this.#leftBytes > 0) return
    if (this.#isEnding) this.#finish()
    else if (!isEmpty) this.#drained()
  }

  endChunk(): void {
    if (this.#response === undefined || this.#isEnding || this.#leftBytes > 0) return
    this.#addEmptyLine()
    // Its own end may wait: there is nothing in it.
    this.#pass()
  }

  #addEmptyLine(): void {
    this.#waiting.push(emptyLine)
    this.#waitingBytes += emptyLine.length
  }

  /** Hands over piece by piece, until one is not taken whole. */
  #pass(): void {
    const response = this.#response as UwsResponse
    while (this.#waitingBytes > 0 && this.#heldBytes === 0) {
      const first = this.#waiting[0] as Uint8Array
      const bytesMax = this.#isFirst ? firstPieceBytesMax : pieceBytesMax
      this.#isFirst = false
      this.#piece = first.subarray(this.#from, this.#from + bytesMax)
      this.#from += this.#piece.length
      this.#waitingBytes -= this.#piece.length
      if (this.#from === first.length) {
        this.#waiting.shift()
        this.#from = 0
      }
      // Corked, its framing and its bytes are one packet, not four.
      response.cork(this.#writePiece)
    }
    if (endsEvent(this.#piece)) this.#ends?.sent(this)
  }

  readonly #writePiece = (): void => {
    if (!(this.#response as UwsResponse).write(this.#piece)) this.#heldBytes = this.#piece.length
  }

  /** The kernel takes more. */
  readonly #writable = (): boolean => {
    const response = this.#response
    if (response === undefined) return true
    // The end of a cork sends what uWebSockets.js holds: nothing else does once a callback of ours is registered.
    response.cork(() => {})
    // It does not say whether that was all. If not, the next piece is refused and waits for the next call.
    this.#heldBytes = 0
    this.#pass()
    if (this.#leftBytes === 0) {
      if (this.#isEnding) this.#finish()
      else this.#drained()
    }
    return true
  }

  readonly #drained = (): void => {
    this.#turnBytes = 0
    if (this.#leftBytes > 0 || this.#isClosed || this.#isEnding) return
    for (const callback of this.#drains) callback()
  }

  #finish(): void {
    const response = this.#response as UwsResponse
    this.#response = undefined
    response.cork(() => response.end())
    this.#close()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ends?.delete(this)
    this.#onEnd()
    const callbacks = this.#closes
    this.#closes = []
    for (const callback of callbacks) callback()
  }
}

/** Whether behind these bytes an empty line changes nothing. */
function endsEvent(bytes: Uint8Array): boolean {
  return bytes.at(-1) === LF && bytes.at(-2) === LF
}
