/**
 * The memory that readers who lag are served from: windows over the files, one bound over all streams of a broker.
 *
 * A window is lent to one stream for one read, and comes back when that stream's socket refers to none of it: whoever has it
 * decides that, nobody takes it away.
 */

import type { Offset } from '#wire/ids'

import type { StoredBatch } from './types.ts'

type Batches = readonly StoredBatch[]

/** Memory that the files are read into, and that is left as it is as long as a batch of it is of use. */
export interface ReadMemory {
  readonly bytes: Buffer
  /** Told, before the disk answers, where the next read will go on unless something is damaged or removed. */
  foresee?(next: Offset): void
}

/** Has the files read, into memory that the reader chooses: so much, or as much as was asked for. */
export type Fill = (
  windows: Windows,
  read: (bytesMax?: number, memory?: ReadMemory) => Promise<Batches>,
) => Promise<Batches>

/** What is read has memory of its own, for as long as anybody keeps a part of it. */
export const ownMemory: Fill = (_windows, read) => read()

/**
 * What one read brings at most, but for one batch that is larger. To hand a read to a thread and hear of it costs the event loop
 * 37 us: with 256 KiB a reader got less (0.84 and 0.95 GB/s with `node`, in turns), with 1 MiB no more.
 */
export const windowBytes = 512 * 1024

/** What all windows hold together. */
const windowsBytesMax = 32 << 20

/** Windows that nobody has and that are kept: fresh pages cost four times the copying. */
const sparesMax = 16

/** What a stream is sent at one time for which no window is left: at least a batch. */
export const scarceBytes = 16 * 1024

/** The windows of one broker. */
export class Windows {
  readonly #countMax: number
  readonly #spares: Buffer[] = []
  #lent = 0
  /** Read into by those who have no window of their own, one after the other. */
  #shared: Buffer | undefined
  #turn: Promise<unknown> = Promise.resolve()

  /** @param bytesMax what all windows hold together */
  constructor(bytesMax = windowsBytesMax) {
    this.#countMax = Math.floor(bytesMax / windowBytes)
  }

  /** How many windows are lent. */
  get lent(): number {
    return this.#lent
  }

  /** Whether a stream may have a second window: while there are many left for those that have none. */
  get arePlenty(): boolean {
    return this.#lent < this.#countMax / 2
  }

  /** A window for one read; `undefined` when all are lent. What stood in it is gone: it is not cleared. */
  lend(): Buffer | undefined {
    if (this.#lent === this.#countMax) return undefined
    this.#lent++
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(windowBytes)
  }

  /** Nothing refers to the window any more: it is lent again. */
  giveBack(window: Buffer): void {
    this.#lent--
    if (this.#spares.length < sparesMax) this.#spares.push(window)
  }

  /** A window does not come back: its memory is left to whoever still refers to it. */
  leave(): void {
    this.#lent--
  }

  /** Lends the one window of all those for whom none is left, for no longer than a read takes, one after the other. */
  inTurn<T>(read: (window: Buffer) => Promise<T>): Promise<T> {
    const run = this.#turn.then(() => read((this.#shared ??= Buffer.allocUnsafeSlow(windowBytes))))
    this.#turn = run.catch(() => {})
    return run
  }
}
