/**
 * Cuts a broker's event stream into blocks that may stand between those of another broker: whole batches, and whole events.
 *
 * A batch stays in one piece, so that its header is true of what follows it. `: attempt N` speaks of the events behind it,
 * which another broker's events may come between: it is taken out of the stream and put around each block.
 */

import { parseBatchHead, parseLogHead } from '#wire/frames'
import { parseId, type Offset, type RecordId } from '#wire/ids'

const LF = 10
const COLON = 58
const blockEnd = Buffer.from('\n\n')
const batchStart = Buffer.from(': batch ')
const attemptStart = Buffer.from(': attempt ')
const heartbeatStart = Buffer.from(': heartbeat')

/** A broker that sends more than this without ending a block is broken. */
export const blockBytesMax = 256 << 20

export class BlockCutter {
  #chunks: Buffer[] = []
  #bytes = 0
  #attempt = 1

  /** Takes the next piece of the stream, cut anywhere, and gives back the blocks that are whole now. */
  feed(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > blockBytesMax) throw new RangeError(`a block of more than ${blockBytesMax} bytes`)
    // Joined only when a block may be whole: a large batch comes in many chunks.
    if (this.#needed > this.#bytes) return []
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes)
    const blocks: Buffer[] = []
    let at = 0
    for (;;) {
      const end = this.#blockEnd(bytes, at)
      if (end === undefined) break
      const block = this.#dressed(bytes.subarray(at, end))
      if (block !== undefined) blocks.push(block)
      at = end
    }
    this.#needed -= at
    this.#chunks = at === bytes.length ? [] : [bytes.subarray(at)]
    this.#bytes = bytes.length - at
    return blocks
  }

  /** How many bytes the block at the start of the chunks needs at least. */
  #needed = 0

  #blockEnd(bytes: Buffer, at: number): number | undefined {
    if (at >= bytes.length) return undefined
    const lineEnd = bytes.indexOf(LF, at)
    if (lineEnd === -1) return undefined
    if (bytes[at] !== COLON && lineEnd > at) {
      const end = bytes.indexOf(blockEnd, at)
      return end === -1 ? undefined : end + blockEnd.length
    }
    if (!startsWith(bytes, at, batchStart)) return lineEnd + 1
    const head = parseBatchHead(bytes.toString('latin1', at, lineEnd))
    if (head === undefined) return lineEnd + 1
    const end = lineEnd + 1 + head.bytes
    if (end <= bytes.length) return end
    this.#needed = end
    return undefined
  }

  /** The block as it goes out; `undefined` for a line that concerns only this connection. */
  #dressed(block: Buffer): Buffer | undefined {
    if (block.length === 1 || startsWith(block, 0, heartbeatStart)) return undefined
    if (startsWith(block, 0, attemptStart)) {
      this.#attempt = Number.parseInt(block.toString('latin1', attemptStart.length), 10)
      return undefined
    }
    if (startsWith(block, 0, batchStart)) this.#attempt = 1
    if (this.#attempt === 1 || block[0] === COLON) return block
    return Buffer.concat([Buffer.from(`: attempt ${this.#attempt}\n`), block, Buffer.from(': attempt 1\n')])
  }
}

const idLine = Buffer.from('\nid: ')
const logHeadStart = Buffer.from(': penstock ')

/**
 * How far a reader of this block has come: the last record in it, or the place that a head line tells of (the record before
 * its first one, which may be -1). Nothing for a block without records.
 */
export function placeOf(block: Buffer): RecordId | undefined {
  const lineEnd = block.indexOf(LF)
  if (startsWith(block, 0, logHeadStart)) {
    const head = parseLogHead(block.toString('latin1', 0, lineEnd))
    if (head === undefined || 'foreignVersion' in head) return undefined
    return { broker: head.broker, partition: head.partition, offset: (head.firstOffset - 1) as Offset }
  }
  if (startsWith(block, 0, batchStart)) {
    const head = parseBatchHead(block.toString('latin1', 0, lineEnd))
    const id = idIn(block, lineEnd)
    return head === undefined || id === undefined
      ? undefined
      : { ...id, offset: (id.offset + head.count - 1) as Offset }
  }
  return startsWith(block, 0, idLine.subarray(1)) ? idIn(block, -1) : idIn(block, 0)
}

/** The id of the first event whose line starts behind a position. */
function idIn(block: Buffer, from: number): RecordId | undefined {
  const start = from === -1 ? 0 : block.indexOf(idLine, from) + 1
  if (from !== -1 && start === 0) return undefined
  const end = block.indexOf(LF, start)
  return parseId(block.toString('latin1', start + 4, end))
}

function startsWith(bytes: Buffer, at: number, text: Buffer): boolean {
  return bytes.length - at >= text.length && bytes.compare(text, 0, text.length, at, at + text.length) === 0
}
