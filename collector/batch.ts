/** Records on their way from the broker to the store, and what a full batch of them asks for. Pure. */

import type { RefusedRecord } from '#store/errors'
import type { BatchPart, WriteBatch } from '#store/store'
import { isRefused, type TelemetryRecord } from '#telemetry/record'
import { formatId, type Offset, type Ordinal, type Partition } from '#wire/ids'
import { transform } from './transform.ts'

/** A record as the broker delivers it. */
export interface Delivered {
  readonly id: string
  readonly broker: number
  readonly partition: number
  readonly offset: number
  readonly data: string
}

/** A record that cannot be stored, as the broker keeps it. */
export interface Letter {
  readonly reason: string
  readonly row: string
  /** The id of the record. With the group it names the letter: the same one twice is one. */
  readonly origin: string
  readonly group: string
}

export interface BatchLimits {
  readonly records: number
  /** Of the records' texts, in UTF-16 units: close to bytes, and free to ask for. */
  readonly bytes: number
}

interface Gathered {
  readonly logId: string
  readonly broker: number
  readonly partition: number
  readonly messages: Delivered[]
}

/** Gathers records by log until there are enough of them. */
export class Batch {
  readonly #limits: BatchLimits
  readonly #parts: Gathered[] = []
  /** The part of each log that takes its next records. */
  readonly #open = new Map<string, Gathered>()
  #records = 0
  #bytes = 0
  #openedMs = 0

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  get records(): number {
    return this.#records
  }

  /** When its first record came. */
  get openedMs(): number {
    return this.#openedMs
  }

  /** Of the records' texts, as {@link BatchLimits} counts them. */
  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#records === 0
  }

  get isFull(): boolean {
    return this.#records >= this.#limits.records || this.#bytes >= this.#limits.bytes
  }

  get parts(): readonly Gathered[] {
    return this.#parts
  }

  /**
   * @param logIdOf the log that a partition of a broker is now, by `<broker>/<partition>`
   * @param nowMs for {@link openedMs}
   */
  add(messages: readonly Delivered[], logIdOf: (place: string) => string, nowMs = 0): void {
    if (this.isEmpty) this.#openedMs = nowMs
    let part: Gathered | undefined
    for (const message of messages) {
      if (part === undefined || !isNext(part, message)) part = this.#partFor(message, logIdOf)
      part.messages.push(message)
      this.#bytes += message.data.length
    }
    this.#records += messages.length
  }

  /** Whether this batch and that one are within the limits together. */
  hasRoomFor({ records, bytes }: Batch): boolean {
    return this.#records + records <= this.#limits.records && this.#bytes + bytes <= this.#limits.bytes
  }

  /** Takes in a batch of other logs; nothing is added to either afterwards. */
  join({ parts, records, bytes, openedMs }: Batch): void {
    this.#openedMs = this.isEmpty ? openedMs : Math.min(this.#openedMs, openedMs)
    this.#parts.push(...parts)
    this.#records += records
    this.#bytes += bytes
  }

  #partFor(message: Delivered, logIdOf: (place: string) => string): Gathered {
    const { broker, partition } = message
    const place = `${broker}/${partition}`
    const logId = logIdOf(place)
    const open = this.#open.get(place)
    if (open !== undefined && open.logId === logId && isNext(open, message)) return open
    const part: Gathered = { logId, broker, partition, messages: [] }
    this.#parts.push(part)
    this.#open.set(place, part)
    return part
  }
}

/** Whether the message goes on where the part is. A redelivery goes back, and begins another part. */
function isNext(part: Gathered, message: Delivered): boolean {
  const last = part.messages.at(-1)
  return (
    part.partition === message.partition &&
    part.broker === message.broker &&
    (last === undefined || last.offset < message.offset)
  )
}

/** What to do with a batch, in this order. */
export interface Settlement {
  readonly letters: readonly Letter[]
  readonly write: WriteBatch
  /** The newest record of each log, as `up_to` of an acknowledgement. */
  readonly upTo: readonly string[]
  /** The letter of a record that the store refuses; none where it has one. */
  readonly letterOf: (refused: RefusedRecord) => Letter[]
}

/**
 * Turns a batch into what to write, what to dead-letter and what to acknowledge.
 *
 * @param read makes the record of a text
 * @param settledTo the offset below which the store's ledger has counted the records of a log: their letters were sent
 */
export function settlementOf(
  batch: Batch,
  topic: string,
  group: string,
  settledTo: (logId: string) => number,
  read: typeof transform = transform,
): Settlement {
  const letters: Letter[] = []
  const newest = new Map<string, Delivered>()
  const parts = batch.parts.map(({ logId, broker, partition, messages }): BatchPart => {
    const records: TelemetryRecord[] = []
    const offsets: number[] = []
    const dead: number[] = []
    const settled = settledTo(logId)
    for (const message of messages) {
      const record = read(message.data)
      if (!isRefused(record)) {
        records.push(record)
        offsets.push(message.offset)
        continue
      }
      dead.push(message.offset)
      if (message.offset >= settled)
        letters.push({ reason: record.refused, row: message.data, origin: message.id, group })
    }
    const last = messages.at(-1) as Delivered
    const before = newest.get(`${broker}/${partition}`)
    if (before === undefined || before.offset < last.offset) newest.set(`${broker}/${partition}`, last)
    return { logId, broker, partition, records, offsets, dead, next: last.offset + 1 }
  })
  const upTo = [...newest.values()].map(({ broker, partition, offset }) =>
    formatId(broker as Ordinal, partition as Partition, offset as Offset),
  )
  const letterOf = ({ logId, offset, reason }: RefusedRecord): Letter[] => {
    if (offset < settledTo(logId)) return []
    const own = batch.parts.filter((part) => part.logId === logId)
    const message = own.flatMap(({ messages }) => messages).find((each) => each.offset === offset)
    return message === undefined ? [] : [{ reason, row: message.data, origin: message.id, group }]
  }
  return { letters, write: { topic, parts }, upTo, letterOf }
}
