/**
 * What one stream reads: from memory at once, from the files through windows, and there one read ahead. The next window is read
 * while the socket takes this one, so that a reader who lags waits for the slower of the two, not for both.
 */

import type { Offset, Partition } from '#wire/ids'

import type { Work } from './groups/group.ts'
import type { Session } from './groups/session.ts'
import type { Log } from './log/log.ts'
import type { StoredBatch } from './log/types.ts'
import { scarceBytes, windowBytes, type Fill, type Windows } from './log/windows.ts'

/** Bytes of memory that one turn of a stream sends. */
const turnBytes = 256 * 1024

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
  /** The window of the turn that is being read and delivered. */
  #current: Buffer | undefined
  /** The one that the socket may refer to. */
  #sent: Buffer | undefined
  #ahead: Reading | undefined
  /** Whether the turn that is being sent came from the files. */
  #isLagging = false
  #isClosed = false

  constructor(logs: ReadonlyMap<Partition, Log>) {
    this.#logs = logs
  }

  /** What a session wants sent next, and the read of it. To be called when the socket has taken all of the turn before. */
  next(session: Session): Turn | undefined {
    this.release()
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead !== undefined) {
      const work = session.next(ahead.log.partition)
      // As it was foreseen, unless records were removed, given back or sought since.
      if (work?.from === ahead.from) return this.#turn(work, ahead)
      this.#drop(ahead)
    }
    const work = session.next()
    return work === undefined ? undefined : this.#turn(work, this.#begin(work))
  }

  /**
   * A turn is delivered, and goes to the socket now. Begins to read what will be wanted next, where that is in the files: before
   * the write, which may keep this thread for as long as the read takes.
   */
  delivered(session: Session): void {
    this.#sent = this.#current
    this.#current = undefined
    // Those who take turns would all read the same piece.
    if (!this.#isLagging || this.#isClosed || session.takesTurns || this.#windows?.arePlenty !== true) return
    const work = session.next()
    if (work === undefined) return
    const reading = this.#begin(work)
    // At the tail it is there when it is wanted.
    if (!(reading.batches instanceof Promise)) return
    // Whoever takes it up hears of it.
    reading.batches.catch(() => {})
    this.#ahead = reading
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

  /** The socket may still be sending, and the disk writing: what they have is left to them. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const window of [this.#current, this.#sent]) if (window !== undefined) this.#windows?.leave()
    this.#current = this.#sent = undefined
    if (this.#ahead !== undefined) this.#drop(this.#ahead)
    this.#ahead = undefined
  }

  #turn(work: Work, { log, end, batches, window }: Reading): Turn {
    this.#isLagging = batches instanceof Promise
    this.#current = window
    return { work, log, end, batches }
  }

  #begin({ partition, from }: Work): Reading {
    const log = this.#logs.get(partition) as Log
    const reading: Reading = { log, from, end: log.end, batches: [], window: undefined }
    const fill: Fill = (windows, read) => {
      this.#windows = windows
      reading.window = windows.lend()
      if (reading.window !== undefined) return read(windowBytes, reading.window)
      return windows.inTurn(async (window) => (await read(scarceBytes, window)).map(copied))
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
