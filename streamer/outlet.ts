/** Lanes made of the wire's client: a producer for the records, and a line of numbered requests for the dead letters. */

import { Client } from '#wire/client'
import { partitionOfKey } from '#wire/ids'
import { Problem } from '#wire/problems'
import { retry, type Backoff } from '#wire/retry'
import { Transport, retryAfterMs, type ClientOptions } from '#wire/transport'
import type { DeadRow } from './batch.ts'
import type { KeyedRecord } from './formats/format.ts'
import type { Lane, LaneNumbers, OpenLane } from './lane.ts'

/** Bytes that one lane may hold for its producer: a broker that is away stops the reading here. */
const bufferedBytesMax = 32 << 20

/** The dead letters of one request. */
const buryBytesMax = 512 * 1024

/**
 * @param stop ends everything on its way, unacknowledged; aborted only when waiting for the broker is given up
 */
export function outlet(options: ClientOptions, backoff: Backoff, stop: AbortSignal): OpenLane {
  const client = new Client(options)
  const transport = new Transport(options)
  return async (topic, producerId, numbers, signal) => {
    const onFailure = (error: unknown, tries: number): void => {
      if (tries === 1) options.onWarning?.(`${options.url}: ${messageOf(error)}; trying again`)
    }
    const topics = await retry(() => client.topics(), { backoff, signal, again: retryAfterMs, onFailure })
    const partitions = topics.find(({ name }) => name === topic)?.partitions
    if (partitions === undefined) {
      const known = topics.map(({ name }) => name).filter((name) => !name.endsWith('.dead'))
      throw new Problem('unknown_topic', `there is no topic ${topic}; there are ${known.join(', ')}`)
    }
    const { sequences } = numbers
    const producer = client.producer({ topic, producerId, sequences, bufferedBytesMax, signal: stop })
    const graves = new Graveyard(transport, topic, producerId, numbers.deadSequence, { backoff, stop, onFailure })
    return new ClientLane(producer, graves, partitions)
  }
}

class ClientLane implements Lane {
  private readonly producer: ReturnType<Client['producer']>
  private readonly graves: Graveyard
  private readonly partitions: number
  /** A file has few keys and many rows. */
  private readonly partitionOf = new Map<string, number>()

  constructor(producer: ReturnType<Client['producer']>, graves: Graveyard, partitions: number) {
    this.producer = producer
    this.graves = graves
    this.partitions = partitions
  }

  send(records: readonly KeyedRecord[], traceparent?: string): Promise<void> {
    for (const record of records) record.partition = this.place(record.key)
    return this.producer.send(records, traceparent)
  }

  bury(rows: readonly DeadRow[], file: string): Promise<void> {
    return this.graves.bury(rows.map(({ reason, line, row }) => JSON.stringify({ reason, file, line, row })))
  }

  get numbers(): LaneNumbers {
    return { sequences: this.producer.sequences(), deadSequence: this.graves.sequence }
  }

  get bufferedBytes(): number {
    return this.producer.bufferedBytes
  }

  async close(): Promise<void> {
    await this.producer.close()
  }

  private place(key: string): number {
    const known = this.partitionOf.get(key)
    if (known !== undefined) return known
    const partition = partitionOfKey(key, this.partitions)
    if (this.partitionOf.size >= 100_000) this.partitionOf.clear()
    this.partitionOf.set(key, partition)
    return partition
  }
}

interface GraveyardOptions {
  readonly backoff: Backoff
  readonly stop: AbortSignal
  readonly onFailure: (error: unknown, tries: number) => void
}

/** Dead letters, one request at a time, each letter with its number. */
class Graveyard {
  private readonly transport: Transport
  private readonly topic: string
  private readonly producer: string
  private readonly options: GraveyardOptions
  /** The number of the next letter that is taken. */
  sequence: number
  private last: Promise<void> = Promise.resolve()

  constructor(transport: Transport, topic: string, producer: string, sequence: number, options: GraveyardOptions) {
    this.transport = transport
    this.topic = topic
    this.producer = producer
    this.sequence = sequence
    this.options = options
  }

  bury(letters: readonly string[]): Promise<void> {
    const first = this.sequence
    this.sequence += letters.length
    const done = this.last.then(() => this.sendAll(letters, first))
    this.last = done.catch(() => {})
    return done
  }

  private async sendAll(letters: readonly string[], first: number): Promise<void> {
    for (let from = 0; from < letters.length;) {
      let to = from
      for (let bytes = 0; to < letters.length && (bytes === 0 || bytes < buryBytesMax); to++) {
        bytes += (letters[to] as string).length
      }
      from = await this.send(letters, from, to, first)
    }
  }

  /** Returns how far the letters are settled: the broker may know more of them than we remember. */
  private async send(letters: readonly string[], from: number, to: number, first: number): Promise<number> {
    const { backoff, stop, onFailure } = this.options
    const call = {
      query: { topic: this.topic },
      headers: {
        'content-type': 'application/x-ndjson',
        'producer-id': this.producer,
        'producer-sequence': String(first + from),
      },
      body: letters.slice(from, to).join('\n'),
      signal: stop,
    }
    try {
      await retry(() => this.transport.json('POST', '/dead', call), {
        backoff,
        signal: stop,
        again: retryAfterMs,
        onFailure,
      })
      return to
    } catch (error) {
      const expected = error instanceof Problem && error.code === 'sequence_overlap' ? error.extra.expected : undefined
      if (typeof expected === 'number' && expected > first + from && expected < first + to) return expected - first
      throw error
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
