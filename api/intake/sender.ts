/** Sends records to the partitions that their keys name, and tells which the broker has acknowledged. */

import { type Partition, partitionOfKey } from '#wire/ids'
import { Problem } from '#wire/problems'
import { type RetryOptions, retry } from '#wire/retry'
import { retryAfterMs, type Transport } from '#wire/transport'
import type { Intake } from './intake.ts'

/** How long a topic's number of partitions is taken for known: it may be raised, and keys map anew then. */
const partitionsMs = 60_000

/** How long a broker that is away is waited for, before the client is told. */
const retryForMs = 3_000

/** The body of a request to the broker grows to about this. */
const batchCharsMax = 512 * 1024

/** So many requests are under way at once, each to a partition of its own. */
const lanesMax = 16

export interface Sent {
  /** In the order of the records. `null`: not acknowledged; it may be written all the same, when an answer was lost. */
  readonly ids: readonly (string | null)[]
  /** Why some have none; `undefined`: all have one. */
  readonly failure: unknown
}

interface Placed {
  readonly data: string
  /** In the order of the caller. */
  readonly place: number
}

export class Sender {
  readonly #transport: Transport
  readonly #topic: string
  #known: { readonly partitions: number; readonly untilMs: number } | undefined

  constructor(transport: Transport, topic: string) {
    this.#transport = transport
    this.#topic = topic
  }

  /**
   * Records of one partition go one request after the other, and none behind one that failed, so that their order holds.
   *
   * A repeated try may write records twice, which no store sees: their identity is the same.
   */
  async send(records: readonly Intake[], nowMs: number, signal: AbortSignal): Promise<Sent> {
    const ids: (string | null)[] = Array.from({ length: records.length }, () => null)
    const options = { backoff: this.#transport.backoff, forMs: retryForMs, signal, again: retryAfterMs }
    const failures: unknown[] = []
    try {
      const partitions = await this.#partitions(options, nowMs)
      const lanes = new Map<Partition, Placed[]>()
      for (const [place, { data, key }] of records.entries()) {
        const partition = partitionOfKey(key, partitions)
        const lane = lanes.get(partition)
        if (lane === undefined) lanes.set(partition, [{ data, place }])
        else lane.push({ data, place })
      }
      // Shared by the workers: each takes the next partition when it is done with one.
      const waiting = lanes.entries()
      const work = async () => {
        for (const [partition, lane] of waiting) {
          try {
            await this.#sendLane(partition, lane, ids, options)
          } catch (error) {
            failures.push(error)
          }
        }
      }
      // All are waited for: an answer must not go out while a part is still on its way.
      await Promise.all(Array.from({ length: Math.min(lanesMax, lanes.size) }, work))
    } catch (error) {
      failures.push(error)
    }
    return { ids, failure: failures[0] }
  }

  async #partitions(options: RetryOptions, nowMs: number): Promise<number> {
    if (this.#known !== undefined && nowMs < this.#known.untilMs) return this.#known.partitions
    const { topics } = await retry(
      () => this.#transport.json<{ topics: { name: string; partitions: number }[] }>('GET', '/topics'),
      options,
    )
    const partitions = topics.find(({ name }) => name === this.#topic)?.partitions
    if (partitions === undefined) throw new Problem('unknown_topic', `the broker has no topic ${this.#topic}`)
    this.#known = { partitions, untilMs: nowMs + partitionsMs }
    return partitions
  }

  async #sendLane(
    partition: Partition,
    lane: readonly Placed[],
    ids: (string | null)[],
    options: RetryOptions,
  ): Promise<void> {
    for (const batch of batchesOf(lane)) {
      const call = {
        query: { topic: this.#topic, partition },
        headers: { 'content-type': 'application/x-ndjson' },
        body: batch.map(({ data }) => data).join('\n'),
        signal: options.signal,
      }
      const { id } = await retry(() => this.#produce(call, batch), options)
      const [broker, own, first] = id.split('/')
      batch.forEach(({ place }, index) => (ids[place] = `${broker}/${own}/${Number(first) + index}`))
    }
  }

  async #produce(call: Parameters<Transport['json']>[2], batch: readonly Placed[]): Promise<{ readonly id: string }> {
    try {
      return await this.#transport.json('POST', '/produce', call)
    } catch (error) {
      if (!(error instanceof Problem) || typeof error.extra['line'] !== 'number') throw error
      // The broker counts the lines of this request; the caller knows its own records.
      const { line, ...extra } = error.extra
      const detail = error.toJSON().detail.replace(/^line \d+: /, '')
      throw new Problem(error.code, detail, { ...extra, line: (batch[line - 1]?.place ?? 0) + 1 })
    }
  }
}

function* batchesOf(lane: readonly Placed[]): Generator<readonly Placed[]> {
  let batch: Placed[] = []
  let chars = 0
  for (const placed of lane) {
    if (batch.length > 0 && chars + placed.data.length > batchCharsMax) {
      yield batch
      batch = []
      chars = 0
    }
    batch.push(placed)
    chars += placed.data.length
  }
  if (batch.length > 0) yield batch
}
