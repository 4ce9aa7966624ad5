import type { ServerResponse } from 'node:http'
import type { Sink } from './http.ts'

/** An endless answer on `node:http`. Node keeps references to the bytes until the kernel has them, and copies nothing. */
export class NodeSink implements Sink {
  readonly #response: ServerResponse
  readonly #bytesMax: number
  readonly #drains: (() => void)[] = []
  #closes: (() => void)[] = []
  /** Something was written since `pendingBytes` was last seen at 0. */
  #wrote = false
  #ended = false
  #closed = false

  constructor(response: ServerResponse, bytesMax: number) {
    this.#response = response
    this.#bytesMax = bytesMax
    // What a socket reports after the client is gone is told by 'close' as well.
    response.on('error', () => {})
    if (response.destroyed) this.#close()
    else response.once('close', () => this.#close())
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || this.#closed) return false
    if (bytes.length > 0) {
      this.#wrote = true
      this.#response.write(bytes, this.#flushed)
    }
    return this.#response.writableLength < this.#bytesMax
  }

  get pendingBytes(): number {
    return this.#closed ? 0 : this.#response.writableLength
  }

  onDrain(callback: () => void): void {
    this.#drains.push(callback)
  }

  onClose(callback: () => void): void {
    if (this.#closed) callback()
    else this.#closes.push(callback)
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.#response.end()
  }

  abort(): void {
    this.#response.destroy()
    this.#close()
  }

  /** Node calls it once for each write that the kernel has taken. */
  readonly #flushed = (): void => {
    if (!this.#wrote || this.#closed || this.#ended || this.#response.writableLength > 0) return
    this.#wrote = false
    for (const callback of this.#drains) callback()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    const callbacks = this.#closes
    this.#closes = []
    for (const callback of callbacks) callback()
  }
}
