/** Bytes that come in pieces, as lines. */

import { StringDecoder } from 'node:string_decoder'

/**
 * Splits at byte 10 only (`node:readline` also splits at U+2028, which is legal inside JSON); a CR before it goes too.
 */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  /** The lines that the piece completes. */
  feed(piece: Uint8Array): string[] {
    const text = this.#decoder.write(Buffer.from(piece.buffer, piece.byteOffset, piece.length))
    // A long line is only joined, not searched again with each of its pieces.
    if (!text.includes('\n')) {
      this.#rest += text
      return []
    }
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() as string
    return lines.map(withoutCr)
  }

  /** The last line, where no newline ended it. */
  end(): string[] {
    const last = this.#rest + this.#decoder.end()
    this.#rest = ''
    return last === '' ? [] : [withoutCr(last)]
  }
}

function withoutCr(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}
