/**
 * The live stream of this process: records come in once, and go out to every reader that wants them.
 *
 * The newest records are kept in one ring for all. A reader is a place in it: a slow one falls behind, and when the ring
 * has passed it, it is told how much it missed; it never makes anybody else wait, and never takes memory of its own. A
 * reader that gathers (`every`) keeps the newest record of each series instead, so its memory is bounded by the fleet.
 */

import { gpuSeriesKey, metricSeriesKey } from '#telemetry/identity'
import type { TelemetryRecord } from '#telemetry/record'

/** Where a reader's events go. */
export interface Outlet {
  /** `data` is JSON. */
  event(name: 'message' | 'records' | 'gap' | 'state', data: string, id?: string): void
  /** Whether it takes no more now; {@link LiveReader.resume} is called when it does again. */
  readonly isFull: boolean
}

export type Wants = (record: TelemetryRecord) => boolean

interface Kept {
  readonly record: TelemetryRecord
  readonly text: string
}

/** What one record in the ring is taken to cost beside its text. */
const recordBytes = 400

/** Transfers that a gathering reader holds between two events; a series is held once, a transfer each time. */
const gatheredTransfersMax = 10_000

export class Live {
  readonly #epoch: string
  readonly #bytesMax: number
  readonly #readers = new Set<LiveReader>()
  #ring: Kept[] = []
  /** Where the ring begins in `#ring`: what is before it is dropped in one go. */
  #start = 0
  #bytes = 0
  /** The number of the next record. */
  #next = 0
  #state = '{"live":false,"reason":"connecting"}'

  /**
   * @param epoch differs from process to process: a number of another one means nothing here
   * @param bytesMax about how much the ring may take
   */
  constructor(epoch: string, bytesMax: number) {
    this.#epoch = epoch
    this.#bytesMax = bytesMax
  }

  get readerCount(): number {
    return this.#readers.size
  }

  get next(): number {
    return this.#next
  }

  /** The number of the oldest record that is still kept. */
  get oldest(): number {
    return this.#next - (this.#ring.length - this.#start)
  }

  publish(records: readonly TelemetryRecord[]): void {
    if (records.length === 0) return
    for (const record of records) {
      const kept = { record, text: JSON.stringify(record) }
      this.#ring.push(kept)
      this.#bytes += kept.text.length + recordBytes
      this.#next++
    }
    while (this.#bytes > this.#bytesMax && this.#start < this.#ring.length - 1) {
      this.#bytes -= (this.#ring[this.#start++] as Kept).text.length + recordBytes
    }
    for (const reader of this.#readers) reader.pump()
    // After the readers: shifting for each record would be quadratic.
    if (this.#start > this.#ring.length / 2) {
      this.#ring = this.#ring.slice(this.#start)
      this.#start = 0
    }
  }

  /** Tells every reader whether records can come at all, and why not. */
  setState(live: boolean, reason: string | null): void {
    const state = JSON.stringify({ live, reason })
    if (state === this.#state) return
    this.#state = state
    for (const reader of this.#readers) reader.tell('state', state)
  }

  /** Tells every reader that records were lost on the way here. */
  lost(reason: string, missed: number | null): void {
    for (const reader of this.#readers) reader.tell('gap', JSON.stringify({ reason, missed }))
  }

  /**
   * Adds a reader.
   *
   * @param lastId the id of the last event that it has, to go on behind it
   */
  open(outlet: Outlet, wants: Wants, gathers: boolean, lastId: string | undefined): LiveReader {
    const after = lastId === undefined ? undefined : this.#numberOf(lastId)
    const reader = new LiveReader(this, outlet, wants, gathers, after === undefined ? this.#next : after + 1)
    this.#readers.add(reader)
    reader.tell('state', this.#state)
    if (lastId !== undefined && after === undefined) {
      reader.tell('gap', JSON.stringify({ reason: 'the stream was begun anew since that event', missed: null }))
    }
    reader.pump()
    return reader
  }

  close(reader: LiveReader): void {
    this.#readers.delete(reader)
  }

  /** @param number from {@link oldest} to before {@link next} */
  at(number: number): Kept {
    return this.#ring[this.#start + number - this.oldest] as Kept
  }

  idOf(number: number): string {
    return `${this.#epoch}-${number}`
  }

  #numberOf(id: string): number | undefined {
    const match = /^(.+)-(\d{1,15})$/.exec(id)
    const number = Number(match?.[2])
    return match?.[1] === this.#epoch && number < this.#next ? number : undefined
  }
}

export class LiveReader {
  readonly #live: Live
  readonly #outlet: Outlet
  readonly #wants: Wants
  readonly #gathered: Map<string, string> | undefined
  #transfers = 0
  #place: number

  constructor(live: Live, outlet: Outlet, wants: Wants, gathers: boolean, place: number) {
    this.#live = live
    this.#outlet = outlet
    this.#wants = wants
    this.#gathered = gathers ? new Map() : undefined
    this.#place = place
  }

  /** Takes what is new. */
  pump(): void {
    const live = this.#live
    const missed = live.oldest - this.#place
    if (missed > 0) {
      // Told when it can be heard: a full outlet is told once, and of everything.
      if (this.#gathered === undefined && this.#outlet.isFull) return
      this.tell('gap', JSON.stringify({ reason: 'this reader was too slow, or away for too long', missed }))
      this.#place = live.oldest
    }
    for (; this.#place < live.next; this.#place++) {
      if (this.#gathered === undefined && this.#outlet.isFull) return
      const { record, text } = live.at(this.#place)
      if (!this.#wants(record)) continue
      if (this.#gathered === undefined) this.#outlet.event('message', text, live.idOf(this.#place))
      else this.#gather(this.#gathered, record, text)
    }
  }

  /** Sends what was gathered; nothing when nothing came, or when the last one is still on its way. */
  flush(): void {
    const gathered = this.#gathered
    if (gathered === undefined || gathered.size === 0 || this.#outlet.isFull) return
    this.#outlet.event('records', `[${[...gathered.values()].join(',')}]`, this.#live.idOf(this.#place - 1))
    gathered.clear()
    this.#transfers = 0
  }

  tell(name: 'gap' | 'state', data: string): void {
    this.#outlet.event(name, data)
  }

  #gather(gathered: Map<string, string>, record: TelemetryRecord, text: string): void {
    if (record.kind !== 'transfer') {
      const key = record.kind === 'gpu' ? gpuSeriesKey(record) : `metric ${metricSeriesKey(record)}`
      // Set anew, so that the order is that of the newest records.
      gathered.delete(key)
      gathered.set(key, text)
    } else if (++this.#transfers <= gatheredTransfersMax) gathered.set(`transfer ${record.id}`, text)
    else if (this.#transfers === gatheredTransfersMax + 1) {
      this.tell('gap', JSON.stringify({ reason: 'this reader was too slow: transfers were passed over', missed: null }))
    }
  }
}
