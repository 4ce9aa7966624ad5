/**
 * One log of the source on its way to the target: what was delivered of it is sent in batches, one request at a time, and
 * acknowledged at the source when the target has answered.
 *
 * The target knows this stream by the log's own id, and each record in it by its offset at the source. So whoever sends a record
 * again, this process or the next one, is answered that it is there. It holds because a log is always sent to one partition.
 */

import { Problem } from '#wire/problems'
import { afterRefusal } from '#wire/refusal'
import { retry } from '#wire/retry'
import { retryAfterMs, type Transport } from '#wire/transport'

/** A request holds about so many characters, and at most so many records. */
const batchCharactersMax = 512 * 1024
const batchRecordsMax = 5_000

/** A record of the source; its number at the target is its offset. */
export interface Delivered {
  readonly id: string
  readonly sequence: number
  readonly data: string
}

/** Where the records of a log go. */
export interface Destination {
  readonly target: Transport
  readonly topic: string
  /** Dead letters go where dead letters are taken. */
  readonly isDead: boolean
  readonly partition: number
  readonly producer: string
}

/** What became of a log's records, for whoever counts. */
export interface LogEvents {
  /** The target has them: `known` says that it had them before. They are to be acknowledged at the source. */
  onForwarded(records: readonly Delivered[], known: boolean): Promise<void>
  /** The target refused one for what it is: it is to be kept as a dead letter there. */
  onRefused(record: Delivered, problem: Problem): Promise<void>
}

/** The queue of one log. */
export class MirrorLog {
  readonly #to: Destination
  readonly #events: LogEvents
  readonly #signal: AbortSignal
  /** Offsets that are queued or being sent: a record that the source delivers again meanwhile is not queued twice. */
  readonly #pending = new Set<number>()
  #queue: Delivered[] = []
  #isWorking = false

  constructor(to: Destination, events: LogEvents, signal: AbortSignal) {
    this.#to = to
    this.#events = events
    this.#signal = signal
  }

  /** Records that wait for the target. */
  get waiting(): number {
    return this.#pending.size
  }

  /** One of them: who asks for more time for it asks for all of its log. */
  get waitingId(): string | undefined {
    return this.#queue[0]?.id
  }

  /** @param onFailed is told what ends this log: a refusal that another try would not change */
  add(record: Delivered, onFailed: (error: unknown) => void): void {
    if (this.#pending.has(record.sequence)) return
    this.#pending.add(record.sequence)
    this.#queue.push(record)
    if (this.#isWorking) return
    this.#isWorking = true
    this.#work().catch(onFailed)
  }

  async #work(): Promise<void> {
    // What arrives in this turn goes with the first batch.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = nextBatch(this.#queue)
      await this.#deliver(batch)
      this.#queue = this.#queue.slice(batch.length)
      for (const { sequence } of batch) this.#pending.delete(sequence)
    }
    this.#isWorking = false
  }

  /** Sends a batch until each of its records is written or refused. */
  async #deliver(batch: readonly Delivered[]): Promise<void> {
    const parts: (readonly Delivered[])[] = [batch]
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      if (part.length === 0) continue
      try {
        await this.#events.onForwarded(part, await this.#post(part))
      } catch (error) {
        const after = afterRefusal(error, part)
        if (after === undefined) throw error
        if (after.written.length > 0) await this.#events.onForwarded(after.written, true)
        for (const record of after.refused) await this.#events.onRefused(record, after.problem)
        parts.push(...after.rest.toReversed())
      }
    }
  }

  /** @returns whether the target had the batch already */
  async #post(batch: readonly Delivered[]): Promise<boolean> {
    const { target, topic, isDead, partition, producer } = this.#to
    const [first] = batch as readonly [Delivered, ...Delivered[]]
    const call = {
      query: isDead ? { topic } : { topic, partition },
      headers: {
        'content-type': isOneLine(first) ? 'application/x-ndjson' : 'text/plain',
        'producer-id': producer,
        'producer-sequence': String(first.sequence),
      },
      body: batch.map(({ data }) => data).join('\n'),
      signal: this.#signal,
    }
    const send = async (): Promise<boolean> => {
      const path = isDead ? '/dead' : '/produce'
      const answer = await target.json<{ count?: number; duplicate?: boolean } | undefined>('POST', path, call)
      if (answer?.duplicate === true) return true
      // A gateway may say 200 to anything: only what the broker counted is there.
      if (answer?.count === batch.length) return false
      throw new Problem('unavailable', `the answer counts ${answer?.count} of ${batch.length} records`)
    }
    return retry(send, {
      backoff: target.backoff,
      signal: this.#signal,
      again: retryAfterMs,
      onFailure: (error, tries, waitMs) =>
        target.warn(`${topic}/${partition}: try ${tries}: ${(error as Error).message}; again in ${waitMs} ms`),
    })
  }
}

/**
 * What goes in one request: numbers that follow each other. A record of several lines goes alone, as text.
 *
 * @param queue is not empty
 */
export function nextBatch(queue: readonly Delivered[]): readonly Delivered[] {
  const [first] = queue as readonly [Delivered, ...Delivered[]]
  if (!isOneLine(first)) return [first]
  let characters = 0
  let count = 0
  for (const record of queue) {
    const fits = characters + record.data.length <= batchCharactersMax && count < batchRecordsMax
    if (count > 0 && (!fits || record.sequence !== first.sequence + count || !isOneLine(record))) break
    characters += record.data.length
    count++
  }
  return queue.slice(0, count)
}

/** Lines without text are skipped where lines are records. */
function isOneLine({ data }: Delivered): boolean {
  return !data.includes('\n') && data.trim() !== ''
}
