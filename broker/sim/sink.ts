/** The far end of a stream: keeps what was sent as it is, until its reader takes it, and reads it the naive way. */

import type { Sink } from '#lib/http/http'
import { Inbox, type InboxOptions } from '#wire/inbox'
import { SseParser } from '#wire/sse'

/** What a reader understands of a stream. */
export type Heard =
  | { readonly kind: 'record'; readonly partition: number; readonly offset: number; readonly data: string }
  /** Both ends inclusive. */
  | { readonly kind: 'gap'; readonly partition: number; readonly first: number; readonly last: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'other' }

export class SimulatedSink implements Sink {
  /** Views, not copies: whoever changes them before they are taken is found out. */
  #views: Uint8Array[] = []
  #rest = ''
  readonly #drained: (() => void)[] = []
  readonly #closed: (() => void)[] = []
  /** What our own client makes of it: it does not take a stream of which something is missing. */
  readonly #parser: SseParser
  readonly #complain: (found: string) => void
  isClosed = false

  /**
   * @param reads who reads
   * @param complain is told what our client would refuse
   */
  constructor(reads: InboxOptions, complain: (found: string) => void) {
    this.#parser = new SseParser(new Inbox(reads, new Map(), new Map()))
    this.#complain = complain
  }

  get pendingBytes(): number {
    let bytes = 0
    for (const view of this.#views) bytes += view.length
    return bytes
  }

  write(bytes: Uint8Array): boolean {
    if (!this.isClosed) this.#views.push(bytes)
    return this.pendingBytes < 1024
  }

  onDrain(callback: () => void): void {
    this.#drained.push(callback)
  }

  onClose(callback: () => void): void {
    this.#closed.push(callback)
  }

  end(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const callback of this.#closed) callback()
  }

  /** What is pending is lost with the connection. */
  abort(): void {
    this.#views = []
    this.end()
  }

  /** What came since the last time. */
  take(): Heard[] {
    if (this.#views.length === 0) return []
    const piece = Buffer.concat(this.#views).toString('utf8')
    this.#views = []
    try {
      this.#parser.feed(piece)
    } catch (error) {
      this.#complain((error as Error).message)
    }
    const blocks = (this.#rest + piece).split('\n\n')
    this.#rest = blocks.pop() as string
    for (const callback of this.#drained) callback()
    return blocks.map(readBlock)
  }
}

/** Comments, then one event. */
export function readBlock(block: string): Heard {
  let id = ''
  let event = ''
  const data: string[] = []
  for (const line of block.split('\n')) {
    if (line.startsWith('id: ')) id = line.slice(4)
    else if (line.startsWith('event: ')) event = line.slice(7)
    else if (line.startsWith('data: ')) data.push(line.slice(6))
    else if (!line.startsWith(':')) data.push(`a line that is none: ${line}`)
  }
  if (event === 'cut') return { kind: 'cut' }
  if (event === 'gap') {
    const gap = JSON.parse(data.join('\n')) as { readonly first: string; readonly last: string }
    const [first, last] = [readId(gap.first), readId(gap.last)]
    return { kind: 'gap', partition: first.partition, first: first.offset, last: last.offset }
  }
  if (event !== '' || id === '') return { kind: 'other' }
  return { kind: 'record', ...readId(id), data: data.join('\n') }
}

function readId(id: string): { readonly partition: number; readonly offset: number } {
  const [, partition, offset] = id.split('/').map(Number)
  return { partition: partition as number, offset: offset as number }
}
