/**
 * A load that remembers what it was promised, and holds a broker to it afterwards: our producer with numbers, bare requests
 * without, a plain reader, and a group that acknowledges. All of them go on while the broker is killed and comes back.
 */

import { Client, type ClientOptions, type Consumer, type Message } from '#wire/client'

/** What a record of the load says: who sent it, to which partition, and its number there. */
interface Said {
  readonly by: 'numbered' | 'bare' | 'end'
  readonly p: number
  readonly n: number
}

export interface Verdict {
  readonly acknowledged: number
  /** Acknowledged, and not there; or not under the id of its answer. */
  readonly lost: number
  /** There more than once. */
  readonly duplicates: number
  /** Behind one of the same sender and partition that was acknowledged before it was sent. */
  readonly disordered: number
  /** Seen by the plain reader, and afterwards another record or none under that id; or seen twice. */
  readonly unseen: number
  /** Batches that the broker was sent again because their answer was lost, and knew. */
  readonly repeats: number
  /** Delivered to the group again although its acknowledgement was answered. */
  readonly redelivered: number
}

export interface LoadOptions {
  readonly topic: string
  readonly partitions: number
  /** How long an answer, and a silent stream, are waited for. */
  readonly timeoutMs?: number
  readonly onWarning?: (text: string) => void
}

const batchRecords = 10
/** Calls of `send` under way a partition. */
const sendsMax = 10
const group = 'load'

export class Load {
  readonly #client: Client
  readonly #url: string
  readonly #options: LoadOptions
  readonly #stop = new AbortController()
  readonly #loops: Promise<void>[] = []
  /** By partition, how many records were given to the numbered producer. */
  readonly #given: number[]
  /** Bare records that were acknowledged: text by id. */
  readonly #bare = new Map<string, string>()
  readonly #seen = new Map<string, string>()
  readonly #acknowledgedUpTo = new Map<number, number>()
  #began: (() => void)[] = []
  #answerMs = 1
  #repeats = 0
  #acknowledged = 0
  #seenTwice = 0
  #redelivered = 0

  constructor(url: string, options: LoadOptions) {
    const { timeoutMs = 10_000, onWarning = () => {} } = options
    const backoff = { longestMs: 200 } satisfies ClientOptions['backoff']
    const watched: typeof fetch = (input, init) => this.#fetch(input, init)
    this.#client = new Client({ url, timeoutMs, onWarning, backoff, fetch: watched })
    this.#url = url
    this.#options = options
    this.#given = Array.from({ length: options.partitions }, () => 0)
  }

  /** Records acknowledged to either producer. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Records that the plain reader has seen. */
  get seen(): number {
    return this.#seen.size
  }

  /** Records of which the group's acknowledgement was answered. */
  get settled(): number {
    let settled = 0
    for (const offset of this.#acknowledgedUpTo.values()) settled += offset + 1
    return settled
  }

  start(): void {
    const partitions = [...this.#given.keys()]
    this.#loops.push(this.#produce(partitions), this.#read(), this.#consume())
    for (const partition of partitions) this.#loops.push(this.#produceBare(partition))
  }

  /** Ends the load; everything that was given to the numbered producer is acknowledged then. The broker must be up. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#loops)
  }

  /** Reads everything that is there, and compares. */
  async verdict(): Promise<Verdict> {
    const found = await this.#readAll()
    const texts = new Map<string, number>()
    for (const { data } of found) texts.set(data, (texts.get(data) ?? 0) + 1)
    const byId = new Map(found.map(({ id, data }) => [id, data]))
    let lost = 0
    for (const [p, count] of this.#given.entries()) {
      for (let n = 0; n < count; n++) if (!texts.has(textOf({ by: 'numbered', p, n }))) lost++
    }
    for (const [id, data] of this.#bare) if (byId.get(id) !== data) lost++
    let duplicates = 0
    for (const count of texts.values()) duplicates += count - 1
    let unseen = this.#seenTwice
    for (const [id, data] of this.#seen) if (byId.get(id) !== data) unseen++
    const disordered = this.#disordered(found)
    const figures = { acknowledged: this.#acknowledged, repeats: this.#repeats, redelivered: this.#redelivered }
    return { ...figures, lost, duplicates, disordered, unseen }
  }

  /** Resolves in the middle of a request of the numbered producer: any part of its usual time after it began. */
  async inRequest(): Promise<void> {
    await new Promise<void>((resolve) => this.#began.push(resolve))
    await new Promise((resolve) => setTimeout(resolve, Math.random() * this.#answerMs))
  }

  async #fetch(...[input, init]: Parameters<typeof fetch>): Promise<Response> {
    if (typeof input !== 'string' || !input.includes('/produce')) return fetch(input, init)
    for (const began of this.#began.splice(0)) began()
    const startMs = performance.now()
    const answer = await fetch(input, init)
    const text = await answer.text()
    if (text.includes('"duplicate":true')) this.#repeats++
    this.#answerMs += (performance.now() - startMs - this.#answerMs) / 10
    return new Response(text, answer)
  }

  #disordered(found: readonly Message[]): number {
    const latest = new Map<string, number>()
    const bare = new Set(this.#bare.values())
    let disordered = 0
    for (const { data, partition } of found) {
      const { by, p, n } = JSON.parse(data) as Said
      if (p !== partition) disordered++
      // A bare request that nobody answered may have been read from its socket at any later time.
      if (by === 'bare' && !bare.has(data)) continue
      const sender = `${by} ${p}`
      if (n < (latest.get(sender) ?? -1)) disordered++
      latest.set(sender, n)
    }
    return disordered
  }

  async #produce(partitions: readonly number[]): Promise<void> {
    const producer = this.#client.producer({ topic: this.#options.topic, lingerMs: 1 })
    const open = new Set<Promise<void>>()
    while (!this.#stop.signal.aborted) {
      for (const p of partitions) {
        const from = this.#given[p] as number
        this.#given[p] = from + batchRecords
        const records = Array.from({ length: batchRecords }, (_, at) => ({
          data: textOf({ by: 'numbered', p, n: from + at }),
          partition: p,
        }))
        const sent = producer.send(records).then(() => {
          this.#acknowledged += records.length
          open.delete(sent)
          return undefined
        })
        open.add(sent)
      }
      if (open.size >= sendsMax * partitions.length) await Promise.race(open)
    }
    await Promise.all(open)
    await producer.close()
  }

  /** One request after the other, each sent once: what it does not hear an answer to may be there or not. */
  async #produceBare(p: number): Promise<void> {
    for (let n = 0; !this.#stop.signal.aborted; n += 2) {
      const texts = [n, n + 1].map((number) => textOf({ by: 'bare', p, n: number }))
      try {
        const { id } = await this.#post(p, texts)
        const [broker, partition, offset] = id.split('/')
        texts.forEach((text, at) => this.#bare.set(`${broker}/${partition}/${Number(offset) + at}`, text))
        this.#acknowledged += texts.length
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  async #post(partition: number, texts: readonly string[]): Promise<{ readonly id: string }> {
    const { topic, timeoutMs = 10_000 } = this.#options
    const answer = await fetch(`${this.#url}/produce?topic=${topic}&partition=${partition}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: texts.join('\n'),
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
    return (await answer.json()) as { readonly id: string }
  }

  async #read(): Promise<void> {
    const reader = this.#reader({ signal: this.#stop.signal })
    for await (const messages of reader.batches()) {
      for (const { id, data } of messages) {
        if (this.#seen.has(id)) this.#seenTwice++
        this.#seen.set(id, data)
      }
    }
  }

  async #consume(): Promise<void> {
    const consumer = this.#reader({ group, consumer: 'one', signal: this.#stop.signal })
    for await (const messages of consumer.batches()) {
      const upTo = new Map<number, Message>()
      for (const message of messages) {
        if (message.offset <= (this.#acknowledgedUpTo.get(message.partition) ?? -1)) this.#redelivered++
        upTo.set(message.partition, message)
      }
      try {
        await consumer.ack([...upTo.values()].map(({ id }) => id))
        for (const { partition, offset } of upTo.values()) this.#acknowledgedUpTo.set(partition, offset)
      } catch {
        // Delivered before the broker was killed: they are not in flight any more, and come again.
      }
    }
  }

  #reader(more: { readonly group?: string; readonly consumer?: string; readonly signal: AbortSignal }): Consumer {
    const { topic, timeoutMs: silenceMs } = this.#options
    return this.#client.consumer({ topic, from: 'earliest', silenceMs, ...more })
  }

  /** All records from the first one up to marks that are written now. */
  async #readAll(): Promise<Message[]> {
    const stop = new AbortController()
    for (const p of this.#given.keys()) await this.#post(p, [textOf({ by: 'end', p, n: 0 })])
    const found: Message[] = []
    let open = this.#given.length
    for await (const messages of this.#reader({ signal: stop.signal }).batches()) {
      for (const message of messages) {
        if (message.data.includes('"end"')) open--
        else found.push(message)
      }
      if (open === 0) break
    }
    stop.abort()
    return found
  }
}

function textOf(said: Said): string {
  return JSON.stringify(said)
}
