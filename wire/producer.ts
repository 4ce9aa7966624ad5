/**
 * The batching producer: records are queued by partition and sent one request at a time for each, partitions in parallel.
 *
 * Every record has a number in this producer's stream to its partition, given when it is handed over, so that a batch whose
 * answer was lost can be sent again without being written twice (docs/PROTOCOL.md, "Sent twice, written once").
 */

import { Bodies } from './body.ts'
import { isName, partitionOfKey, randomName } from './ids.ts'
import { Problem } from './problems.ts'
import { afterRefusal } from './refusal.ts'
import { retry } from './retry.ts'
import { told, type Entry, type Lane, type Sending } from './sending.ts'
import type { StraightPath } from './straight.ts'
import { retryAfterMs, type Call, type Transport } from './transport.ts'

/** One record to send. */
export interface Outgoing {
  /** Text without a line end: JSON, usually. */
  readonly data: string
  /** Records of one key go to one partition, in order. */
  readonly key?: string | undefined
  /** The partition, where the caller has chosen it. Without key and partition the partitions take turns. */
  readonly partition?: number | undefined
}

/** What a producer sends to, and how it gathers. */
export interface ProducerOptions {
  readonly topic: string
  /** How long a record waits for others, in ms (5). What queues up behind a request does not wait any longer. */
  readonly lingerMs?: number | undefined
  /** The body of a request grows to about this (512 KiB). */
  readonly batchBytesMax?: number | undefined
  /** What may wait unacknowledged before {@link Producer.ready} holds the caller back (32 MiB). */
  readonly bufferedBytesMax?: number | undefined
  /** The name under which the broker remembers what was written. A random one unless told. */
  readonly producerId?: string | undefined
  /** The number of the next record of each partition, from an earlier life ({@link Producer.sequences}). */
  readonly sequences?: Readonly<Record<number, number>> | undefined
  /** How long a batch is tried, in ms, before its records are given up. For ever unless told. */
  readonly retryForMs?: number | undefined
  /** Gives up everything that is not acknowledged. */
  readonly signal?: AbortSignal | undefined
}

const batchRecordsMax = 20_000

type Produced = { readonly count?: number; readonly duplicate?: boolean }

/** Sends records to one topic. Made by `Client.producer`. */
export class Producer {
  readonly #transport: Transport
  readonly #straight: StraightPath | undefined
  readonly #topic: string
  readonly #producerId: string
  readonly #lingerMs: number
  readonly #bufferedBytesMax: number
  readonly #retryForMs: number | undefined
  readonly #signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #sequences: Readonly<Record<number, number>>
  readonly #lanes = new Map<number, Lane>()
  readonly #open = new Set<Promise<void>>()
  #batchBytesMax: number
  #waiting: (() => void)[] = []
  #partitions: number | undefined
  #asking: Promise<unknown> | undefined
  #turn = 0
  readonly #bodies = new Bodies()
  #bufferedBytes = 0
  #acknowledged = 0
  /** Calls of {@link flush} under way: nothing lingers then. */
  #flushing = 0
  /** Calls of {@link send} with a trace that are not settled. */
  #traced = 0

  /** @throws Problem `bad_name` when the producer's id is not a name */
  constructor(transport: Transport, options: ProducerOptions, straight?: StraightPath) {
    this.#transport = transport
    this.#straight = straight
    this.#topic = options.topic
    this.#producerId = options.producerId ?? randomName('producer')
    if (!isName(this.#producerId)) throw new Problem('bad_name', `${this.#producerId} is no name of a producer`)
    this.#lingerMs = options.lingerMs ?? 5
    this.#batchBytesMax = options.batchBytesMax ?? 512 * 1024
    this.#bufferedBytesMax = options.bufferedBytesMax ?? 32 * 1024 * 1024
    this.#retryForMs = options.retryForMs
    this.#sequences = options.sequences ?? {}
    this.#signal = this.#stop.signal
    const outer = options.signal
    if (outer?.aborted) this.#stop.abort(outer.reason)
    // Taken away when the producer ends: the caller's signal may outlive many producers.
    const abort = (): void => this.#stop.abort(outer?.reason)
    outer?.addEventListener('abort', abort, { once: true, signal: this.#signal })
    this.#signal.addEventListener('abort', () => {
      for (const lane of this.#lanes.values()) this.#start(lane)
      this.#release()
    })
  }

  /** Characters handed over and not acknowledged yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Records acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** The number of the next record, a partition: what a checkpoint keeps for the next life of this producer. */
  sequences(): Record<number, number> {
    const sequences: Record<number, number> = { ...this.#sequences }
    for (const { partition, nextSequence } of this.#lanes.values()) sequences[partition] = nextSequence
    return sequences
  }

  /**
   * Hands records over; resolves when all of them are acknowledged.
   *
   * Where every record names its partition, the numbers are given before this returns, in the order of calls.
   *
   * A record that is refused for what it is (too large, binary) is told by its place in the call, in `extra.refused` of the
   * problem; the others are written. Any other refusal ends the partition: what waits there, and what comes later, is
   * rejected with it. Numbers above those of a lost batch must not be written, else the next life's batch looks like one
   * that was sent twice. Make another producer to go on, from the numbers of the last acknowledged record.
   *
   * @param traceparent the trace that the records belong to, as W3C Trace Context writes it: it is sent with their batches, of
   *   which each bears one
   * @throws Problem what refused one of them (the others of the call may be written); the signal's reason when it aborts
   */
  send(records: readonly Outgoing[], traceparent?: string): Promise<void> {
    if (records.length === 0) return Promise.resolve()
    const needsCount = this.#partitions === undefined && records.some((record) => record.partition === undefined)
    const done = needsCount
      ? this.#askPartitions().then(() => this.#enqueue(records, traceparent))
      : this.#enqueue(records, traceparent)
    this.#open.add(done)
    const forget = (): void => void this.#open.delete(done)
    done.then(forget, forget)
    return done
  }

  /** Resolves when there is room: await it between calls of {@link send}, and memory stays bounded. */
  async ready(): Promise<void> {
    while (this.#bufferedBytes >= this.#bufferedBytesMax) {
      this.#signal.throwIfAborted()
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Sends what waits at once, and resolves when all of it is settled. It does not throw: {@link send} does. */
  async flush(): Promise<void> {
    this.#flushing++
    for (const lane of this.#lanes.values()) this.#start(lane)
    await Promise.allSettled(this.#open)
    this.#flushing--
  }

  /** Flushes; nothing may be sent afterwards. */
  async close(): Promise<void> {
    await this.flush()
    this.#stop.abort(new Problem('stopping', 'the producer is closed'))
  }

  async #enqueue(records: readonly Outgoing[], traceparent: string | undefined): Promise<void> {
    this.#signal.throwIfAborted()
    for (const { data } of records) {
      if (data.includes('\n'))
        throw new Problem('bad_record', 'a record holds a line end: send it as JSON, on one line')
      // The broker skips empty lines, and would count the numbers of those behind it otherwise.
      if (data[0] !== '{' && data.trimStart() === '') throw new Problem('bad_record', 'a record is empty')
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const sending: Sending = { open: records.length, traceparent, refused: [], resolve, reject }
    if (traceparent !== undefined) this.#traced++
    const touched = new Set<Lane>()
    const turn = this.#turn++
    for (let index = 0; index < records.length; index++) {
      const { data, key, partition } = records[index] as Outgoing
      const lane = this.#lane(partition ?? this.#place(key, turn))
      lane.queue.push({ data, sequence: lane.nextSequence++, sending, index, isSettled: false })
      lane.queuedBytes += data.length
      this.#bufferedBytes += data.length
      touched.add(lane)
    }
    for (const lane of touched) this.#wake(lane)
    return promise
  }

  #place(key: string | undefined, turn: number): number {
    const count = this.#partitions as number
    return key === undefined ? turn % count : partitionOfKey(key, count)
  }

  #lane(partition: number): Lane {
    let lane = this.#lanes.get(partition)
    if (lane === undefined) {
      const nextSequence = this.#sequences[partition] ?? 0
      lane = { partition, queue: [], queuedBytes: 0, nextSequence, isBusy: false, linger: undefined }
      this.#lanes.set(partition, lane)
    }
    return lane
  }

  #askPartitions(): Promise<unknown> {
    if (this.#asking !== undefined) return this.#asking
    const asking = retry(
      () => this.#partitionCount(),
      this.#retrying(() => 'GET /topics'),
    )
    this.#asking = asking
    // The first to hear the answer, before the calls that wait for it: a later call must not overtake them.
    asking.then(
      (count) => (this.#partitions = count),
      () => (this.#asking = undefined),
    )
    return asking
  }

  async #partitionCount(): Promise<number> {
    const { topics } = await this.#transport.json<{
      readonly topics: readonly { readonly name: string; readonly partitions: number }[]
    }>('GET', '/topics', { signal: this.#signal })
    const topic = topics.find(({ name }) => name === this.#topic)
    if (topic !== undefined) return topic.partitions
    const known = topics.map(({ name }) => name).join(', ')
    throw new Problem('unknown_topic', `there is no topic ${this.#topic}; there are ${known}`)
  }

  /** Sends at once when there is a whole batch, else when the linger time is over. */
  #wake(lane: Lane): void {
    if (lane.isBusy) return
    const isDue = this.#lingerMs === 0 || this.#flushing > 0
    if (isDue || lane.queuedBytes >= this.#batchBytesMax) this.#start(lane)
    else lane.linger ??= setTimeout(() => this.#start(lane), this.#lingerMs)
  }

  #start(lane: Lane): void {
    clearTimeout(lane.linger)
    lane.linger = undefined
    if (!lane.isBusy && lane.queue.length > 0) void this.#drain(lane)
  }

  async #drain(lane: Lane): Promise<void> {
    lane.isBusy = true
    while (lane.queue.length > 0) {
      const batch = this.#take(lane)
      try {
        if (lane.failure !== undefined) throw lane.failure
        await this.#deliver(lane, batch)
      } catch (problem) {
        // What fails a whole batch (a topic that is gone, a token that is wrong) fails what waits behind it too.
        lane.failure = problem
        const lost = [...batch.filter((entry) => !entry.isSettled), ...lane.queue.splice(0)]
        lane.queuedBytes = 0
        for (const entry of lost) {
          entry.sending.failure ??= problem
          this.#settle(entry)
        }
      }
    }
    lane.isBusy = false
  }

  /** The next entries of a lane whose numbers follow each other. */
  #take(lane: Lane): Entry[] {
    let bytes = 0
    let count = 0
    for (const { data, sequence } of lane.queue) {
      const follows = sequence === (lane.queue[0] as Entry).sequence + count
      if (count > 0 && (bytes + data.length > this.#batchBytesMax || count === batchRecordsMax || !follows)) break
      bytes += data.length
      count++
    }
    lane.queuedBytes -= bytes
    return lane.queue.splice(0, count)
  }

  /** Sends a batch until each of its records is written or refused. */
  async #deliver(lane: Lane, batch: readonly Entry[]): Promise<void> {
    const parts = [batch]
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const [first] = part
      if (first === undefined) continue
      try {
        await this.#post(lane, part, first.sequence)
        this.#written(part)
      } catch (error) {
        const after = afterRefusal(error, part)
        if (after === undefined) throw error
        this.#batchBytesMax = after.charactersMax ?? this.#batchBytesMax
        this.#written(after.written)
        for (const entry of after.refused) {
          entry.sending.problem ??= after.problem
          entry.sending.refused.push(entry.index)
          this.#settle(entry)
        }
        parts.push(...after.rest.toReversed())
      }
    }
  }

  async #post(lane: Lane, batch: readonly Entry[], sequence: number): Promise<void> {
    const body = this.#bodies.take(batch)
    const traceparent = this.#traceOf(batch)
    const call = {
      query: { topic: this.#topic, partition: lane.partition },
      headers: {
        'content-type': 'application/x-ndjson',
        'producer-id': this.#producerId,
        'producer-sequence': String(sequence),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
      body,
      signal: this.#signal,
    }
    let tries = 0
    const send = async (by: Transport, how: Call): Promise<void> => {
      tries++
      const answer = await by.json<Produced | undefined>('POST', '/produce', how)
      // A gateway may say 200 to anything: only what the broker counted is acknowledged.
      if (answer?.duplicate === true || answer?.count === batch.length) return
      throw new Problem('unavailable', `the answer counts ${answer?.count} of ${batch.length} records`)
    }
    await retry(
      () => this.#straight?.send(lane.partition, call, send) ?? send(this.#transport, call),
      this.#retrying(() => `${batch.length} records for ${this.#topic}/${lane.partition}`),
    )
    // Not after a failure: nobody knows then who still looks at it.
    if (tries === 1) this.#bodies.give(body)
  }

  #traceOf(batch: readonly Entry[]): string | undefined {
    if (this.#traced === 0) return undefined
    return batch.find(({ sending }) => sending.traceparent !== undefined)?.sending.traceparent
  }

  #retrying(what: () => string): Parameters<typeof retry>[1] {
    return {
      backoff: this.#transport.backoff,
      forMs: this.#retryForMs,
      signal: this.#signal,
      again: retryAfterMs,
      onFailure: (error, tries, waitMs) => {
        const message = error instanceof Error ? error.message : String(error)
        this.#transport.warn(`${what()}: try ${tries}: ${message}; again in ${waitMs} ms`)
      },
    }
  }

  #written(entries: readonly Entry[]): void {
    this.#acknowledged += entries.length
    for (const entry of entries) this.#settle(entry)
  }

  #settle(entry: Entry): void {
    entry.isSettled = true
    this.#bufferedBytes -= entry.data.length
    const { sending } = entry
    if (--sending.open === 0) {
      if (sending.traceparent !== undefined) this.#traced--
      const problem = sending.failure ?? told(sending)
      if (problem === undefined) sending.resolve()
      else sending.reject(problem)
    }
    if (this.#waiting.length > 0 && this.#bufferedBytes < this.#bufferedBytesMax) this.#release()
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
