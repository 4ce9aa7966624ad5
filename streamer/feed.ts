/** `GET /stream`: the records as they are sent. Whoever reads too slowly misses some, and is told how many. */

import type { Sink } from '#lib/http/http'
import { formatComment, formatEvent } from '#wire/sse'
import type { KeyedRecord } from './formats/format.ts'

/** A reader with more than this unread gets nothing until it has read it all. */
const pendingBytesMax = 4 << 20

export class Feed {
  private readonly readers = new Map<Sink, { missed: number }>()
  private readonly encoder = new TextEncoder()

  get readerCount(): number {
    return this.readers.size
  }

  open(sink: Sink): void {
    this.readers.set(sink, { missed: 0 })
    sink.onClose(() => this.readers.delete(sink))
    sink.write(this.encoder.encode(formatComment('records as they are sent; event: gap tells how many were missed')))
  }

  publish(records: readonly KeyedRecord[]): void {
    if (this.readers.size === 0 || records.length === 0) return
    const bytes = this.encoder.encode(records.map(({ data }) => formatEvent({ data })).join(''))
    for (const [sink, state] of this.readers) {
      if (sink.pendingBytes > pendingBytesMax) {
        state.missed += records.length
        continue
      }
      if (state.missed > 0) {
        const gap = formatEvent({ event: 'gap', data: JSON.stringify({ missed: state.missed, reason: 'slow reader' }) })
        sink.write(this.encoder.encode(gap))
        state.missed = 0
      }
      sink.write(bytes)
    }
  }

  /** Keeps the connections of idle readers alive. */
  beat(): void {
    const bytes = this.encoder.encode(formatComment('heartbeat'))
    for (const sink of this.readers.keys()) sink.write(bytes)
  }

  close(): void {
    for (const sink of this.readers.keys()) sink.end()
  }
}
