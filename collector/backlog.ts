/**
 * What has arrived and waits to be written: each log in its order, and several logs beside each other. Pure.
 *
 * A log takes part in one write at a time, so its records are written in their order, and the ledger hears of them in that
 * order. While little comes, one write takes what all logs have; when more comes than one write takes, each has fewer logs,
 * down to one, and so several writes find work at once. A log that has more than that while it waits for its turn gets a
 * larger write, as far as the store gains by it.
 */

import { Batch, type BatchLimits, type Delivered } from './batch.ts'

interface Lane {
  /** In the order of arrival; the last one is being filled. */
  readonly queue: Batch[]
  isBusy: boolean
}

/** Batches of several logs that are written together. */
export interface Taken {
  readonly batch: Batch
  readonly places: readonly string[]
}

export class Backlog {
  /** What is enough for a write. */
  readonly #limits: BatchLimits
  /** What a log gathers at most for its next one. */
  readonly #largest: BatchLimits
  readonly #waitMs: number
  /** By `<broker>/<partition>`; those that have something to write, or that are written. */
  readonly #lanes = new Map<string, Lane>()
  #records = 0
  #bytes = 0

  /**
   * @param waitMs how long a record waits for others
   * @param growth by how much what a log has to write may exceed the limit of records
   */
  constructor(limits: BatchLimits, waitMs: number, growth = 1) {
    this.#limits = limits
    this.#largest = { records: limits.records * growth, bytes: limits.bytes }
    this.#waitMs = waitMs
  }

  /** Records that wait. */
  get records(): number {
    return this.#records
  }

  /** Whether that is enough for a write. */
  get isEnough(): boolean {
    return this.#records >= this.#limits.records || this.#bytes >= this.#limits.bytes
  }

  /** How many batches that would be, as large as they get. */
  get batches(): number {
    return Math.max(this.#records / this.#largest.records, this.#bytes / this.#largest.bytes)
  }

  /** @param logIdOf the log that a partition of a broker is now, by `<broker>/<partition>` */
  add(messages: readonly Delivered[], logIdOf: (place: string) => string, nowMs: number): void {
    for (const run of runsOf(messages)) {
      const { queue } = this.#laneOf(placeOf(run[0] as Delivered))
      let batch = queue.at(-1)
      if (batch === undefined || batch.isFull) queue.push((batch = new Batch(this.#largest)))
      const before = batch.bytes
      batch.add(run, logIdOf, nowMs)
      this.#records += run.length
      this.#bytes += batch.bytes - before
    }
  }

  /**
   * What to write next, with all that the write has room for; or in how many ms there will be something, if nothing comes
   * before. `undefined`: when something comes, or a write is done.
   *
   * @param isDue whether to wait for nothing
   */
  take(nowMs: number, isDue: boolean): Taken | number | undefined {
    const idle = [...this.#lanes].filter(([, { queue, isBusy }]) => !isBusy && queue.length > 0)
    idle.sort(([, a], [, b]) => headOf(a).openedMs - headOf(b).openedMs)
    const [oldest] = idle
    if (oldest === undefined) return undefined
    const heads = idle.map(([, lane]) => headOf(lane))
    const isEnough =
      sumOf(heads, 'records') >= this.#limits.records ||
      sumOf(heads, 'bytes') >= this.#limits.bytes ||
      heads.some(({ isFull }) => isFull)
    const leftMs = headOf(oldest[1]).openedMs + this.#waitMs - nowMs
    if (!isEnough && !isDue && leftMs > 0) return leftMs
    const batch = new Batch(this.#limits)
    const places: string[] = []
    for (const [place, lane] of idle) {
      const head = headOf(lane)
      if (places.length > 0 && !batch.hasRoomFor(head)) continue
      batch.join(head)
      places.push(place)
      lane.queue.shift()
      lane.isBusy = true
    }
    this.#records -= batch.records
    this.#bytes -= batch.bytes
    return { batch, places }
  }

  /** The write is over: its logs may go on. */
  done({ places }: Taken): void {
    for (const place of places) {
      const lane = this.#laneOf(place)
      lane.isBusy = false
      if (lane.queue.length === 0) this.#lanes.delete(place)
    }
  }

  #laneOf(place: string): Lane {
    let lane = this.#lanes.get(place)
    if (lane === undefined) this.#lanes.set(place, (lane = { queue: [], isBusy: false }))
    return lane
  }
}

function headOf({ queue }: Lane): Batch {
  return queue[0] as Batch
}

function sumOf(batches: readonly Batch[], what: 'records' | 'bytes'): number {
  return batches.reduce((sum, batch) => sum + batch[what], 0)
}

export function placeOf({ broker, partition }: Delivered): string {
  return `${broker}/${partition}`
}

/** Neighbours of one log, in order: a piece of the stream has few logs, and often one. */
export function runsOf(messages: readonly Delivered[]): (readonly Delivered[])[] {
  const runs: (readonly Delivered[])[] = []
  let from = 0
  for (let at = 1; at <= messages.length; at++) {
    const [last, next] = [messages[at - 1] as Delivered, messages[at]]
    if (next !== undefined && next.partition === last.partition && next.broker === last.broker) continue
    runs.push(from === 0 && at === messages.length ? messages : messages.slice(from, at))
    from = at
  }
  return runs
}
