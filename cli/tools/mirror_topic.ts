/** One topic from a source to a target: a consumer of a group at the source, and a queue for each of its logs. */

import { Client, type Consumer, type Message, type TopicInfo } from '#wire/client'
import { deadSuffix } from '#wire/ids'
import { Problem } from '#wire/problems'
import type { Transport } from '#wire/transport'
import { type Delivered, MirrorLog } from './mirror_log.ts'

/** Records of a topic that are read and not forwarded yet: what a mirror holds in memory. */
const inFlightMax = 20_000

/** How long the source waits for an acknowledgement before it delivers again; it is asked for more while the target is away. */
const visibilityMs = 30_000
const extendMs = visibilityMs / 3

/** What was done so far. */
export interface Counts {
  /** Written to the target by this process. */
  forwarded: number
  /** The target had them: an earlier try, or an earlier process, had sent them. */
  known: number
  /** The target refused them for what they are, and keeps them as dead letters. */
  refused: number
}

/** A topic that is there on both sides. */
export interface MirrorOptions {
  readonly source: Client
  readonly target: Transport
  /** To write dead letters with. */
  readonly letters: Client
  readonly topic: TopicInfo
  /** At the target. */
  readonly partitions: number
  readonly group: string
  /** Aborts when something ends the mirror for good, too. */
  readonly signal: AbortSignal
  readonly onFailed: (error: unknown) => void
}

/**
 * Which partition of the target a partition of the source goes to. A whole one goes to one, so that the order of each key is
 * kept. Where `targetCount` divides the source's number it is the partition that the target would choose for these keys itself,
 * because a key's partition is its checksum modulo the number.
 */
export function partitionAt(targetCount: number, partition: number): number {
  return partition % targetCount
}

export class MirrorTopic {
  readonly counts: Counts = { forwarded: 0, known: 0, refused: 0 }
  readonly #options: MirrorOptions
  readonly #consumer: Consumer
  readonly #logs = new Map<string, { readonly logId: string; readonly queue: MirrorLog }>()

  constructor(options: MirrorOptions) {
    this.#options = options
    const { source, topic, group, signal } = options
    this.#consumer = source.consumer({ topic: topic.name, group, signal, visibilityMs, maxInFlight: inFlightMax })
  }

  /** Records that were read and wait for the target. */
  get waiting(): number {
    return [...this.#logs.values()].reduce((sum, { queue }) => sum + queue.waiting, 0)
  }

  /** Forwards until the signal aborts. @throws Problem what refuses the stream for good */
  async run(): Promise<void> {
    const extending = setInterval(() => this.#extend(), extendMs)
    try {
      // Never slower than the source sends: a reader that takes nothing is cut. What is in flight has its bound.
      for await (const messages of this.#consumer.batches()) for (const message of messages) await this.#take(message)
    } finally {
      clearInterval(extending)
    }
  }

  async #take(message: Message): Promise<void> {
    const { id, offset, data } = message
    const queue = this.#logs.get(logOf(message))
    const told = this.#consumer.logs.get(logOf(message))?.logId
    const current =
      queue !== undefined && (told === undefined || queue.logId === told) ? queue : await this.#open(message, told)
    current.queue.add({ id, sequence: offset, data }, this.#options.onFailed)
  }

  async #open(message: Message, told: string | undefined) {
    const { target, topic, group, partitions, signal } = this.#options
    const logId = told ?? (await this.#askLogId(message))
    const isDead = topic.name.endsWith(deadSuffix)
    const queue = new MirrorLog(
      {
        target,
        topic: isDead ? topic.name.slice(0, -deadSuffix.length) : topic.name,
        isDead,
        partition: partitionAt(partitions, message.partition),
        producer: `${group}-${logId}`,
      },
      {
        onForwarded: (records, known) => this.#forwarded(records, known),
        onRefused: (record, problem) => this.#refused(record, problem),
      },
      signal,
    )
    const opened = { logId, queue }
    this.#logs.set(logOf(message), opened)
    return opened
  }

  /** A stream tells the id of each of its logs; where a gateway has left that out the list of topics has it. */
  async #askLogId({ broker, partition }: Message): Promise<string> {
    const { source, topic } = this.#options
    const found = (await source.topics()).find(({ name }) => name === topic.name)
    const log = found?.logs.find((each) => each.broker === broker && each.partition === partition)
    if (log === undefined)
      throw new Problem('unavailable', `${topic.name}: nobody knows the log ${broker}/${partition}`)
    return log.log_id
  }

  async #forwarded(records: readonly Delivered[], known: boolean): Promise<void> {
    if (known) this.counts.known += records.length
    else this.counts.forwarded += records.length
    await this.#acknowledge(records)
  }

  async #refused(record: Delivered, problem: Problem): Promise<void> {
    const { letters, topic, group, signal } = this.#options
    const name = topic.name.endsWith(deadSuffix) ? topic.name.slice(0, -deadSuffix.length) : topic.name
    const { id: origin, data: row } = record
    await letters.dead(
      name,
      [{ reason: `refused by the mirror's target: ${problem.message}`, origin, group, row }],
      signal,
    )
    this.counts.refused++
    await this.#acknowledge([record])
  }

  /** By their own ids, never up to one: what was read behind them, or before, is acknowledged by nobody else's success. */
  async #acknowledge(records: readonly Delivered[]): Promise<void> {
    try {
      await this.#consumer.ackEach(records.map(({ id }) => id))
    } catch (error) {
      // They come again, and the target says that it has them.
      if (!isLost(error)) throw error
    }
  }

  #extend(): void {
    for (const { queue } of this.#logs.values()) {
      const id = queue.waitingId
      if (id !== undefined) this.#consumer.extend([id]).catch(() => {})
    }
  }
}

function logOf({ broker, partition }: Message): string {
  return `${broker}/${partition}`
}

/** The records are not this consumer's any more. */
function isLost(error: unknown): boolean {
  return error instanceof Problem && (error.code === 'lease_lost' || error.code === 'not_delivered')
}
