/**
 * The topic `_keys`: made where it is not there, read from its beginning and followed, and written to. Every replica of the API
 * follows it, and keeps no state of its own beside it.
 */

import type { Log } from '#lib/log'
import { Client, type ClientOptions } from '#wire/client'
import { parseId } from '#wire/ids'
import { Problem } from '#wire/problems'
import { retry, sleep } from '#wire/retry'
import { retryAfterMs, Transport } from '#wire/transport'
import { keysTopic } from './bounds.ts'
import { type KeyEvent, readEvent } from './events.ts'
import type { Keyring } from './keyring.ts'

/** Nothing is ever removed: a key whose end is forgotten would work again. */
const topicOptions = {
  partitions: 1,
  durability: 'fsync',
  retention: 'time',
  retention_age: 'none',
  retention_bytes: 'none',
} as const

/** A broker that has not answered by then is away. */
const answerMs = 5_000

/** What was refused is tried again after this. */
const againMs = 1_000

/** How long a change of a key is tried, before its client is told that it may not be made. */
const writeForMs = 5_000

/** A connection that is lost is made again within a second: what another replica revokes meanwhile works here so long. */
const backoff = { firstMs: 50, longestMs: 500 }

export class KeyTopic {
  readonly #options: ClientOptions
  readonly #client: Client
  readonly #transport: Transport
  readonly #keyring: Keyring
  readonly #log: Log
  readonly #stop = new AbortController()
  #state: 'reading' | 'away' | 'current' = 'reading'
  #problem: string | null = null
  #settle: () => void = () => {}
  /** Resolves when the topic has been read to its end, or the broker is found to be away. */
  readonly settled = new Promise<void>((resolve) => (this.#settle = resolve))

  constructor(broker: Pick<ClientOptions, 'url' | 'token' | 'fetch'>, keyring: Keyring, log: Log) {
    this.#log = log
    this.#keyring = keyring
    this.#options = { ...broker, backoff, timeoutMs: answerMs }
    this.#client = new Client(this.#options)
    this.#transport = new Transport(this.#options)
  }

  /** Whether the keys are known: those of the topic's end, at some moment since the start. */
  get isCurrent(): boolean {
    return this.#state === 'current'
  }

  /** True, or why it is too early to say whose a key is. A broker that is away is not waited for: other keys work without. */
  get ready(): true | string {
    return this.#state === 'reading' ? `the topic ${keysTopic} is being read` : true
  }

  /** For `GET /status`. */
  get status(): { readonly state: string; readonly problem: string | null } {
    return { state: this.#state, problem: this.#problem }
  }

  start(): void {
    void this.#follow(this.#stop.signal)
  }

  stop(): void {
    this.#stop.abort()
  }

  /** @throws Problem `unavailable` while the keys are not known */
  needCurrent(): void {
    if (this.isCurrent) return
    const why = this.#problem ?? `the topic ${keysTopic} is still being read`
    throw new Problem('unavailable', `the keys are not known yet: ${why}`, { retry_after_s: 2 })
  }

  /**
   * Writes an event, and takes it for true when the broker has it. When it throws it may have been written all the same: then
   * the topic brings it. Not ended with the request that asked for it, since half a revocation is none.
   *
   * @throws Problem
   */
  async write(event: KeyEvent): Promise<void> {
    const call = {
      query: { topic: keysTopic, partition: 0 },
      headers: { 'content-type': 'application/x-ndjson' },
      body: JSON.stringify(event),
      signal: this.#stop.signal,
    }
    const options = { backoff: this.#transport.backoff, forMs: writeForMs, signal: call.signal, again: retryAfterMs }
    await retry(() => this.#transport.json('POST', '/produce', call), options)
    this.#keyring.apply(event)
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#read(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#failed(error instanceof Problem ? error.toJSON().detail : String(error))
      }
      await sleep(againMs, signal).catch(() => {})
    }
  }

  #failed(problem: string): void {
    if (this.#state === 'reading') this.#state = 'away'
    if (problem !== this.#problem) {
      const what = this.isCurrent
        ? 'the keys are those of before, and a revocation of elsewhere is not heard'
        : 'only the keys of API_KEY work'
      this.#log.warn({ topic: keysTopic }, `the keys cannot be read: ${problem}; ${what} until they can`)
    }
    this.#problem = problem
    this.#settle()
  }

  async #read(signal: AbortSignal): Promise<void> {
    await this.#make()
    const ends = await this.#ends()
    const consumer = new Client({ ...this.#options, fetch: this.#noticing }).consumer({
      topic: keysTopic,
      from: 'earliest',
      signal,
      onGap: ({ first, last, reason }) => {
        this.#log.error(
          { topic: keysTopic, first, last },
          `events of keys are lost (${reason}): look through penstock keys`,
        )
        reached(ends, last)
        this.#look(ends)
      },
    })
    this.#look(ends)
    for await (const messages of consumer.batches()) {
      for (const { id, data } of messages) {
        const event = readEvent(data)
        if (event === undefined) this.#log.warn({ topic: keysTopic, id }, 'a record that is no event of a key')
        else this.#keyring.apply(event)
        reached(ends, id)
      }
      this.#look(ends)
    }
  }

  /** Each replica asks for it: where it is there, nothing changes. Every broker must have it, or none can stand in. */
  async #make(): Promise<void> {
    try {
      await this.#client.createTopic(keysTopic, topicOptions)
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'topic_differs') throw error
      this.#log.warn({ topic: keysTopic }, error.toJSON().detail)
    }
  }

  /**
   * The last offset of each log now, by `broker/partition`.
   *
   * @throws Problem `unavailable` while a broker is away: its log may hold that a key of another log is revoked
   */
  async #ends(): Promise<Map<string, number>> {
    const topic = (await this.#client.topics()).find(({ name }) => name === keysTopic)
    // Only a proxy knows of several brokers.
    const { complete = true } = await this.#client.status().catch(alone)
    if (topic === undefined || complete !== true) {
      throw new Problem('unavailable', `not every broker tells of ${keysTopic}`, { retry_after_s: 1 })
    }
    const filled = topic.logs.filter(({ first, next }) => next > first)
    return new Map(filled.map(({ broker, partition, next }) => [`${broker}/${partition}`, next - 1]))
  }

  #look(ends: ReadonlyMap<string, number>): void {
    if (this.isCurrent || ends.size > 0) return
    this.#state = 'current'
    this.#problem = null
    this.#log.info({ topic: keysTopic, keys: this.#keyring.all.length }, 'the keys are known')
    this.#settle()
  }

  /** The consumer gets over a lost connection in silence: what became of each try is noted here. */
  readonly #noticing: typeof fetch = async (input, init) => {
    try {
      const answer = await (this.#options.fetch ?? fetch)(input, init)
      if (!answer.ok) this.#failed(`${keysTopic} is answered with ${answer.status}`)
      else if (this.isCurrent) {
        if (this.#problem !== null) this.#log.info({ topic: keysTopic }, 'the keys are followed again')
        this.#problem = null
      }
      return answer
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failed(error instanceof Error ? error.message : String(error))
      throw error
    }
  }
}

function alone(error: unknown): { readonly complete?: unknown } {
  if (error instanceof Problem && error.code === 'not_found') return {}
  throw error
}

/** Takes a log off the list when it has been read to where it ended. */
function reached(ends: Map<string, number>, id: string): void {
  const parsed = parseId(id)
  if (parsed === undefined) return
  const log = `${parsed.broker}/${parsed.partition}`
  if (parsed.offset >= (ends.get(log) ?? Infinity)) ends.delete(log)
}
