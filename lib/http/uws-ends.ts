/**
 * The line end behind a chunk, for those who wait for it.
 *
 * uWebSockets.js writes it together with the next chunk. Most clients have no use for it; Python's urllib3, and so `requests`, hands a
 * chunk on when it has come: the last event before a pause would be seen with the next heartbeat, up to 10 s late. So a stream of events
 * that falls silent is sent an empty line, which is no event.
 */

/** Of a stream, what is used here. */
export interface Endable {
  /** Sends the empty line, where nothing else is on its way. */
  endChunk(): void
}

/** A stream that is silent for so long, and for twice as long at most, has fallen silent. While it is busy each chunk ends the one before. */
const silentMs = 50

export class ChunkEnds {
  /** Those whose last chunk has no end, and whether it is of the time since the last look. */
  readonly #open = new Map<Endable, { isFresh: boolean }>()
  /** One timer for all, and only while there are any. */
  #look: NodeJS.Timeout | undefined

  /** A chunk was sent. */
  sent(stream: Endable): void {
    const known = this.#open.get(stream)
    if (known !== undefined) known.isFresh = true
    else this.#open.set(stream, { isFresh: true })
    this.#look ??= setInterval(this.#lookAtAll, silentMs)
  }

  delete(stream: Endable): void {
    this.#open.delete(stream)
  }

  readonly #lookAtAll = (): void => {
    for (const [stream, state] of this.#open) {
      if (state.isFresh) state.isFresh = false
      else {
        this.#open.delete(stream)
        stream.endChunk()
      }
    }
    if (this.#open.size > 0) return
    clearInterval(this.#look)
    this.#look = undefined
  }
}
