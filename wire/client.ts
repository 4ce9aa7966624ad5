/**
 * `penstock/client`: produce to, consume from and look at a broker or proxy, from Node or a browser.
 *
 *     const client = new Client({ url: 'http://127.0.0.1:8081', token: process.env.SERVICE_TOKEN })
 *     const producer = client.producer({ topic: 'telemetry' })
 *     await producer.send([{ data: JSON.stringify(record), key: record.uuid }])
 *     for await (const messages of client.consumer({ topic: 'telemetry', from: 'earliest' }).batches()) …
 */

import { Consumer, type ConsumerOptions } from './consumer.ts'
import type { LogHead } from './frames.ts'
import type { Gap, Message, TracedBatch } from './inbox.ts'
import { randomName } from './ids.ts'
import { Problem, type ProblemBody, type ProblemCode } from './problems.ts'
import { Producer, type Outgoing, type ProducerOptions } from './producer.ts'
import { retry, type Backoff } from './retry.ts'
import type { RingAnswer } from './ring.ts'
import type { QueueStatus } from './status.ts'
import { StraightPath } from './straight.ts'
import { retryAfterMs, Transport, type ClientOptions, type TokenSource } from './transport.ts'

export { Consumer, Problem, Producer }
export type {
  Backoff,
  ClientOptions,
  ConsumerOptions,
  Gap,
  LogHead,
  Message,
  Outgoing,
  ProblemBody,
  ProblemCode,
  ProducerOptions,
  RingAnswer,
  TokenSource,
  TracedBatch,
}

/** A topic, as `GET /topics` tells. */
export interface TopicInfo {
  readonly name: string
  readonly partitions: number
  readonly durability: string
  /** `time`, or `acknowledged`: what every group has acknowledged goes at once. */
  readonly retention?: string
  /** Such as `4GiB`, or `none`; so are the next two. */
  readonly retention_bytes?: string
  readonly retention_age?: string
  readonly max_bytes?: string
  /** Nobody stands in for the owner of a partition. */
  readonly strict?: boolean
  /** It holds the dead letters of the topic whose name it begins with. */
  readonly dead_letters?: boolean
  readonly logs: readonly LogInfo[]
  readonly groups: readonly string[]
}

/** What a topic can be told; what is not given stays as it is, or is as usual. Sizes and times as texts: `30d`, `4GiB`. */
export interface TopicOptions {
  readonly partitions?: number | undefined
  readonly durability?: 'fsync' | 'disk' | 'memory' | undefined
  readonly retention?: 'time' | 'acknowledged' | undefined
  readonly retention_bytes?: string | number | undefined
  readonly retention_age?: string | undefined
  readonly max_bytes?: string | number | undefined
  readonly strict?: boolean | undefined
}

/** A topic as it was made, or changed to. */
export interface TopicSettings {
  readonly name: string
  readonly partitions: number
  readonly durability: string
  readonly retention: string
  readonly retention_bytes: string
  readonly retention_age: string
  readonly max_bytes: string
  readonly strict: boolean
  /** The partitions were raised: records of one key may stand in two. */
  readonly keys_map_anew?: boolean
  /** What a person should know of the change. */
  readonly note?: string
}

/** One log of a topic. */
export interface LogInfo {
  readonly broker: number
  readonly partition: number
  readonly log_id: string
  /** The offset of the oldest record kept. */
  readonly first: number
  /** The offset after the newest record that can be read. */
  readonly next: number
  /** Fewer than `next - first` where records are lost. */
  readonly records?: number
  readonly bytes: number
}

/** Why a record, or what should have become one, is given up. */
export interface DeadLetter {
  readonly reason: string
  /** Where a row came from. */
  readonly file?: string | undefined
  readonly line?: number | undefined
  readonly row?: string | undefined
  /** The id of a record that a group gave up. */
  readonly origin?: string | undefined
  readonly group?: string | undefined
  readonly attempts?: number | undefined
}

/** A dead letter that nobody has dealt with. */
export interface OpenLetter extends DeadLetter {
  readonly id: string
  /** When it was written. */
  readonly time: string
}

/** A page of dead letters. */
export interface Letters {
  readonly topic: string
  /** How many there are in all. */
  readonly open: number
  /** The oldest first. */
  readonly letters: readonly OpenLetter[]
  /** What to give as `after` for the next page; `null`: there is none. */
  readonly next: string | null
}

/** What became of letters. */
export interface Dealt {
  /** Their records were sent again. */
  readonly retried?: number
  readonly dropped?: number
  /** Those that cannot be sent again, and why. */
  readonly kept: readonly { readonly id: string; readonly why: string }[]
  /** Ids that are of no letter that is open. */
  readonly unknown: number
  /** How many are still open. */
  readonly open: number
}

/** One broker or proxy. */
export class Client {
  readonly #transport: Transport
  readonly #options: ClientOptions
  /** By topic, where the options want it. */
  readonly #straight = new Map<string, StraightPath>()
  readonly #burier = randomName('dead')
  /** By topic: the number of its next dead letter, and the request under way. */
  readonly #burials = new Map<string, { next: number; last: Promise<unknown> }>()

  /** @throws Error when the url is no address, or holds a password; when no header can carry the token */
  constructor(options: ClientOptions) {
    this.#transport = new Transport(options)
    this.#options = options
  }

  /** @throws Problem */
  async topics(): Promise<readonly TopicInfo[]> {
    return (await this.#transport.json<{ readonly topics: readonly TopicInfo[] }>('GET', '/topics')).topics
  }

  /**
   * Makes a topic with its dead letters; nothing when it is there and is as asked.
   *
   * @throws Problem `topic_differs`, `bad_option`; `unavailable` when not every broker has it yet: send it again
   */
  async createTopic(name: string, options: TopicOptions = {}): Promise<TopicSettings> {
    return this.#transport.json('PUT', `/topics/${encodeURIComponent(name)}`, optionsBody(options))
  }

  /** Changes what the options name, and nothing else. @throws Problem as {@link createTopic}, and `unknown_topic` */
  async changeTopic(name: string, options: TopicOptions): Promise<TopicSettings> {
    return this.#transport.json('PATCH', `/topics/${encodeURIComponent(name)}`, optionsBody(options))
  }

  /** The dead letters of a topic that nobody has dealt with, 100 a page. @throws Problem `unknown_topic` */
  async letters(topic: string, page: { readonly after?: string; readonly limit?: number } = {}): Promise<Letters> {
    return this.#transport.json('GET', '/dead', { query: { topic, ...page } })
  }

  /**
   * Sends the records of letters to their topic again, or puts letters away: those of these ids, or all (10,000 at most). Not
   * tried again by itself, since a record whose answer was lost may have been sent.
   *
   * @throws Problem
   */
  async deal(topic: string, what: 'retry' | 'drop', ids: readonly string[] | 'all'): Promise<Dealt> {
    const body = JSON.stringify(ids === 'all' ? { all: true } : { ids })
    const headers = { 'content-type': 'application/json' }
    return this.#transport.json('POST', `/dead/${what}`, { query: { topic }, body, headers })
  }

  /** Who owns which partition, as a proxy tells. @throws Problem `not_found` where the address is a broker's */
  async ring(): Promise<RingAnswer> {
    return this.#transport.json('GET', '/ring')
  }

  /** Has a broker emptied, so that it can be removed: nothing new goes to it. `false` ends that. @throws Problem */
  async drain(broker: number, draining = true): Promise<void> {
    await this.#transport.json(draining ? 'PUT' : 'DELETE', '/drain', { query: { broker } })
  }

  /** What the broker or proxy says of itself. @throws Problem */
  async status(): Promise<QueueStatus> {
    return this.#transport.json('GET', '/status')
  }

  /** @throws Problem `bad_name` when the producer's id is not a name */
  producer(options: ProducerOptions): Producer {
    return new Producer(
      this.#transport,
      options,
      this.#options.straight === true ? this.#straightTo(options.topic) : undefined,
    )
  }

  /** Nothing is opened before its batches are asked for. */
  consumer(options: ConsumerOptions): Consumer {
    return new Consumer(this.#transport, options)
  }

  #straightTo(topic: string): StraightPath {
    let path = this.#straight.get(topic)
    if (path === undefined) {
      path = new StraightPath(this.#transport, this.#options, topic)
      this.#straight.set(topic, path)
    }
    return path
  }

  /**
   * Writes dead letters of a topic; tried again until they are acknowledged, and written once: they are numbered, and so go
   * one request after the other.
   *
   * @throws Problem when they are refused; the signal's reason when it aborts
   */
  async dead(topic: string, letters: readonly DeadLetter[], signal?: AbortSignal): Promise<void> {
    if (letters.length === 0) return
    const burials = this.#burials.get(topic) ?? { next: 0, last: Promise.resolve() }
    this.#burials.set(topic, burials)
    const headers = {
      'content-type': 'application/x-ndjson',
      'producer-id': this.#burier,
      'producer-sequence': String(burials.next),
    }
    burials.next += letters.length
    const body = letters.map((letter) => JSON.stringify(letter)).join('\n')
    const bury = (): Promise<unknown> =>
      retry(() => this.#transport.json('POST', '/dead', { query: { topic }, headers, body, signal }), {
        backoff: this.#transport.backoff,
        signal,
        again: retryAfterMs,
        onFailure: (error) =>
          this.#transport.warn(`dead letters of ${topic}: ${(error as Error).message}; trying again`),
      })
    const buried = burials.last.then(bury)
    burials.last = buried.catch(() => {})
    await buried
  }
}

function optionsBody(options: TopicOptions): { readonly body: string; readonly headers: Record<string, string> } {
  return { body: JSON.stringify(options), headers: { 'content-type': 'application/json' } }
}
