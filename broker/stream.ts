/**
 * One consume stream: takes work from its session, reads the log, writes slices of it to the socket.
 *
 * Nothing is sent while the socket is behind, and no more than the next two pieces are read: what a slow consumer costs is bounded
 * by three reads and the socket's buffer, and what one costs that takes nothing by one.
 */

import type { Sink } from '#lib/http/http'
import { formatLogHead } from '#wire/frames'
import type { Offset, Partition } from '#wire/ids'
import { formatEvent } from '#wire/sse'

import { StreamReads } from './ahead.ts'
import { deliver, tellLost, type Gap } from './delivery.ts'
import { eventsOf } from './log/framing.ts'
import type { Work } from './groups/group.ts'
import type { Log } from './log/log.ts'
import type { StoredBatch } from './log/types.ts'
import type { Chunk } from './log/ring.ts'
import type { Session } from './groups/session.ts'

const LF = 10
const heartbeat = Buffer.from(': heartbeat\n\n')

/** A socket that has taken nothing for so many heartbeats is cut: before the HTTP engine does it, which gives no reason. */
const stuckBeatsMax = 2

/** Why a broker ends a stream. After `replaced` the reader should not come back; after the others it should. */
export type CutCode = 'replaced' | 'stopping' | 'unreadable' | 'seek' | 'slow'

export class ConsumeStream {
  readonly #sink: Sink
  readonly #logs: Map<Partition, Log>
  /** What stands next in this stream, as its reader knows: behind the last record, the last gap or the last head line of each log. */
  readonly #next = new Map<Partition, Offset>()
  readonly #onSent: (records: number, log: Log) => void
  readonly #reads: StreamReads
  /** Chunks of the ring that the socket still reads. */
  readonly #held = new Set<Chunk>()
  /** What the next write of this turn begins with. */
  #gathered: Buffer | undefined
  #session: Session | undefined
  #running = false
  #woken = false
  #closed = false
  #sentSinceBeat = false
  #pendingAtBeat = 0
  #stuckBeats = 0

  constructor(sink: Sink, logs: readonly Log[], onSent: (records: number, log: Log) => void) {
    this.#sink = sink
    this.#logs = new Map(logs.map((log) => [log.partition, log]))
    this.#reads = new StreamReads(this.#logs)
    this.#onSent = onSent
    sink.onDrain(() => {
      this.#release()
      this.wake()
    })
    sink.onClose(() => this.#close())
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Says where each log begins in this stream, so that a reader can come back to a log that it got nothing of. */
  announce(from: ReadonlyMap<Partition, Offset>): void {
    for (const [partition, offset] of from) this.#head(this.#logs.get(partition) as Log, offset)
    this.#flush()
  }

  /** Takes in logs that came later, from their first record. */
  grow(logs: readonly Log[]): void {
    for (const log of logs) this.#logs.set(log.partition, log)
    this.#session?.grow(logs)
  }

  /** Begins to send. */
  start(session: Session): void {
    if (this.#closed) {
      session.close()
      return
    }
    this.#session = session
    this.wake()
  }

  /** There may be something to send. */
  wake(): void {
    this.#woken = true
    if (this.#running || this.#session === undefined) return
    this.#running = true
    this.#run(this.#session).catch((error: unknown) => {
      this.cut('unreadable', `the log cannot be read: ${(error as Error).message}`)
    })
  }

  /**
   * A comment, when nothing was sent since the last one, so that both sides see a dead connection. A reader that takes nothing
   * is cut.
   *
   * @returns the socket of one that was cut: what it has not taken by the next beat is to be dropped
   */
  beat(): Sink | undefined {
    const pending = this.#sink.pendingBytes
    this.#stuckBeats = pending > 0 && pending === this.#pendingAtBeat ? this.#stuckBeats + 1 : 0
    if (this.#stuckBeats > 0) this.#reads.forget()
    this.#pendingAtBeat = pending
    if (this.#stuckBeats >= stuckBeatsMax) {
      this.cut('slow', `${pending} bytes were sent, and nothing of them was read for 20 s`)
      return this.#sink
    }
    if (!this.#sentSinceBeat && pending === 0) this.#sink.write(heartbeat)
    this.#sentSinceBeat = false
    return undefined
  }

  revoked(partition: Partition): void {
    this.#event('revoke', { partition })
  }

  /** Ends the stream and says why: the code to a program, the reason to a person. */
  cut(code: CutCode, reason: string): void {
    this.#event('cut', { code, reason })
    this.#flush()
    this.#close()
    this.#sink.end()
  }

  /**
   * The ring of memory has come round while the socket still has not taken what stood there: the reader is as far behind
   * as all that the broker keeps in memory, and does not read.
   */
  overrun(): void {
    this.#close()
    this.#sink.abort()
  }

  /** Gives back what was in flight. Once, whether we end the stream or the client does. */
  #close(): void {
    if (this.#closed) return
    this.#closed = true
    // What it holds it keeps: the socket may still be sending. The ring leaves that memory to it when it comes round.
    this.#reads.close()
    this.#session?.close()
  }

  /** The socket has taken everything: none of its bytes is in the ring or in a window any more. */
  #release(): void {
    this.#reads.release()
    for (const chunk of this.#held) chunk.readers.delete(this)
    this.#held.clear()
  }

  async #run(session: Session): Promise<void> {
    while (this.#woken) {
      this.#woken = false
      while (!this.#closed && this.#sink.pendingBytes === 0) {
        const turn = this.#reads.next(session)
        if (turn === undefined) break
        const { work, log, end } = turn
        // Not awaited when it came from memory: a turn of the event loop a batch is most of the cost at the tail.
        const batches = Array.isArray(turn.batches) ? (turn.batches as readonly StoredBatch[]) : await turn.batches
        if (!deliver(session, work, batches, end, (...sent) => this.#send(session, log, ...sent))) this.#woken = true
        this.#reads.delivered()
        this.#flush()
        // Those who were woken together take one piece each.
        if (session.takesTurns) await Promise.resolve()
      }
    }
    // In the turn that saw nothing to do: a wake after it starts anew.
    this.#running = false
  }

  #send(session: Session, log: Log, work: Work, next: Offset, batch: StoredBatch | undefined): void {
    this.#lead(session, log, work)
    this.#next.set(log.partition, next)
    if (batch === undefined) return tellLost(session, log, work, next, this.#tell)
    const from = Math.max(work.from, batch.first) as Offset
    tellLost(session, log, work, from, this.#tell)
    if (work.attempt === undefined && from === batch.first && next === batch.next) {
      this.#put(batch.view, batch.chunk)
    } else {
      const events = batch.view.subarray(batch.view.indexOf(LF) + 1)
      if (work.attempt !== undefined) this.#put(Buffer.from(`: attempt ${work.attempt}\n`))
      this.#put(eventsOf(events, from - batch.first, next - batch.first), batch.chunk)
      if (work.attempt !== undefined) this.#put(Buffer.from(': attempt 1\n'))
    }
    this.#sentSinceBeat = true
    this.#onSent(next - from, log)
  }

  /**
   * Says where the stream goes on, unless it is where its reader expects it: so a reader knows that what is missing between two
   * records without a word was lost on the way. Records that are shared out come in no order, and none is expected.
   */
  #lead(session: Session, log: Log, work: Work): void {
    let expected = this.#next.get(log.partition)
    if (expected !== undefined && session.takesTurns) return
    // Of these the reader is told in a moment.
    if (work.gone?.[0]?.from === expected) expected = work.gone?.at(-1)?.to ?? expected
    if (expected !== work.from) this.#head(log, work.from)
  }

  #head(log: Log, firstOffset: Offset): void {
    this.#next.set(log.partition, firstOffset)
    this.#put(Buffer.from(formatLogHead({ ...identityOf(log), firstOffset }), 'latin1'))
  }

  readonly #tell = (gap: Gap): void => this.#event('gap', gap)

  #event(event: string, data: unknown): void {
    if (this.#closed) return
    this.#put(Buffer.from(formatEvent({ event, data: JSON.stringify(data) })))
    // Outside of a turn nothing else sends it.
    if (!this.#running) this.#flush()
  }

  /**
   * Sends bytes within a turn. Views that lie one behind the other in memory go out as one: small batches are many, and each
   * write has its price.
   */
  #put(view: Buffer, chunk?: Chunk): void {
    const before = this.#gathered
    if (chunk !== undefined) this.#held.add(chunk)
    if (before?.buffer === view.buffer && before.byteOffset + before.length === view.byteOffset) {
      this.#gathered = Buffer.from(view.buffer, before.byteOffset, before.length + view.length)
      return
    }
    this.#write()
    this.#gathered = view
  }

  #write(): void {
    if (this.#gathered !== undefined) this.#sink.write(this.#gathered)
    this.#gathered = undefined
  }

  /** Ends a turn: what the socket has not taken at once stays as it is in memory until it has. */
  #flush(): void {
    this.#write()
    // Also what an earlier turn has noted: its drain may not have been told yet, and would not find it here.
    if (this.#sink.pendingBytes === 0) this.#release()
    else for (const chunk of this.#held) chunk.readers.add(this)
  }
}

function identityOf(log: Log): Pick<Log, 'logId' | 'topic' | 'broker' | 'partition'> {
  return { logId: log.logId, topic: log.topic, broker: log.broker, partition: log.partition }
}
