/**
 * What one stream reads: from memory at once, from the files through windows, and there two reads ahead. While the socket takes a
 * window the next ones are read, so that a reader who lags waits for the slower of the two, not for both.
 *
 * In turns with what was before (a window and a copy a batch, nothing read ahead), from a cold disk on two cores: 1.04 GB/s where it
 * was 0.22 with `node`, 0.57 where it was 0.22 with `uws`. One read ahead does for `node`; `uws`, which writes 16 KiB at a time, then
 * still waited for the disk's thread half of its time, and with two a tenth (docs/decisions/182).
 */

import type { Offset, Partition } from '#wire/ids'

import type { Work } from './groups/group.ts'
import type { Session } from './groups/session.ts'
import type { Log } from './log/log.ts'
import type { StoredBatch } from './log/types.ts'
import { scarceBytes, windowBytes, type Fill, type Windows } from './log/windows.ts'

/** Bytes that one turn of a stream sends of memory, or of a piece that has an end. */
const turnBytes = 256 * 1024

const aheadMax = 2

type Batches = readonly StoredBatch[]

/** A read, begun. */
interface Reading {
  readonly log: Log
  readonly from: Offset
  /** The end of the log when it began. */
  readonly end: Offset
  batches: Batches | Promise<Batches>
  /** What it reads into. */
  window: Buffer | undefined
  /** Where the next one goes on, as far as is known before the disk answers. */
  foreseen: Offset | undefined
}

/** A piece of work, and what was read of it. */
export interface Turn {
  readonly work: Work
  readonly log: Log
  /** The end of the log when it was read. */
  readonly end: Offset
  /** What comes from memory needs no turn of the event loop, which would be most of the cost at the tail. */
  readonly batches: Batches | Promise<Batches>
}

export class StreamReads {
  readonly #logs: ReadonlyMap<Partition, Log>
  #windows: Windows | undefined
  /** The turn that is being read and delivered. */
  #current: Reading | undefined
  /** The window that the socket may refer to. */
  #sent: Buffer | undefined
  /** In the order in which they will be wanted. */
  readonly #ahead: Reading[] = []
  /** Whose work it is that is sent from the files; `undefined` while it comes from memory. */
  #lagging: Session | undefined
  #isClosed = false

  constructor(logs: ReadonlyMap<Partition, Log>) {
    this.#logs = logs
  }

  /** What a session wants sent next, and the read of it. To be called when the socket has taken all of the turn before. */
  next(session: Session): Turn | undefined {
    this.release()
    const ahead = this.#ahead.shift()
    if (ahead !== undefined) {
      const work = session.next(ahead.log.partition)
      // As it was foreseen, unless records were removed, given back or sought since.
      if (work?.from === ahead.from) return this.#turn(session, work, ahead)
      this.#drop(ahead)
      this.forget()
    }
    const work = session.next()
    return work === undefined
      ? undefined
      : this.#turn(session, work, this.#begin(work.partition, work.from, work.until))
  }

  /**
   * A turn is delivered, and goes to the socket now. Begins to read what will be wanted next: before the write, which may keep this
   * thread for as long as the read takes.
   */
  delivered(): void {
    this.#sent = this.#current?.window
    this.#current = undefined
    this.#readOn()
  }

  /**
   * The socket has taken everything: it refers to no window any more. Also in the middle of a turn, when a drain is heard late: the
   * window of that turn stays.
   */
  release(): void {
    if (this.#sent === undefined) return
    this.#windows?.giveBack(this.#sent)
    this.#sent = undefined
  }

  /** Gives up what was read ahead: the socket does not take what it has. */
  forget(): void {
    for (const reading of this.#ahead.splice(0)) this.#drop(reading)
  }

  /** The socket may still be sending, and the disk writing: what they have is left to them. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const window of [this.#current?.window, this.#sent]) if (window !== undefined) this.#windows?.leave()
    this.#current = this.#sent = undefined
    this.forget()
  }

  #turn(session: Session, work: Work, reading: Reading): Turn {
    const { log, end, batches } = reading
    // Those who take turns would all read the same piece; and what comes again is pieces, of which nobody knows the next.
    const goesOn = batches instanceof Promise && !session.takesTurns && work.attempt === undefined
    this.#lagging = goesOn ? session : undefined
    this.#current = reading
    return { work, log, end, batches }
  }

  /** Reads ahead, as far as it is known where, and while there are windows enough. */
  #readOn(): void {
    while (this.#lagging !== undefined && !this.#isClosed && this.#ahead.length < aheadMax) {
      const work = this.#windows?.arePlenty === true ? this.#lagging.next() : undefined
      if (work === undefined) return
      // What the session does not know to be read yet.
      const before = [this.#current, ...this.#ahead].findLast((each) => each?.log.partition === work.partition)
      const from = before === undefined ? work.from : before.foreseen
      if (from === undefined || from >= (this.#logs.get(work.partition) as Log).end) return
      const reading = this.#begin(work.partition, from, work.until)
      // At the tail it is there when it is wanted.
      if (!(reading.batches instanceof Promise)) return
      // Whoever takes it up hears of it.
      reading.batches.catch(() => {})
      this.#ahead.push(reading)
    }
  }

  #begin(partition: Partition, from: Offset, until: number): Reading {
    const log = this.#logs.get(partition) as Log
    const reading: Reading = { log, from, end: log.end, batches: [], window: undefined, foreseen: undefined }
    const foresee = (next: Offset): void => {
      reading.foreseen = next
      this.#readOn()
    }
    const fill: Fill = (windows, read) => {
      this.#windows = windows
      reading.window = windows.lend()
      const bytesMax = until === Infinity ? windowBytes : turnBytes
      if (reading.window !== undefined) return read(bytesMax, { bytes: reading.window, foresee })
      return windows.inTurn(async (bytes) => (await read(scarceBytes, { bytes })).map(copied))
    }
    reading.batches = log.read(from, turnBytes, fill)
    return reading
  }

  /** Nobody wants it any more; but the disk may still be writing to its window. */
  #drop({ batches, window }: Reading): void {
    if (window === undefined) return
    const giveBack = (): void => this.#windows?.giveBack(window)
    Promise.resolve(batches).then(giveBack, giveBack)
  }
}

function copied(batch: StoredBatch): StoredBatch {
  return { ...batch, view: Buffer.from(batch.view) }
}
