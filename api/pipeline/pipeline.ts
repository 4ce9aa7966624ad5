/** Asks the other roles how they are, once for all who want to know at the same time. */

import type { Dial } from '#lib/dial'
import { noCounts } from '#store/store'
import { Problem } from '#wire/problems'
import { Transport } from '#wire/transport'
import type { Pipeline } from '../contract.ts'
import { type Asked, type Body, type Findings, membersOf, pipelineOf, type ProxyMember } from './parts.ts'
import type { StoreReader } from '../ask/reader.ts'
import type { ApiSettings } from '../settings.ts'

/** A role that has not told by then is taken for down: the page must not wait longer. */
const askMsMax = 1_500

/** An answer is good for so long: many pages ask, the roles are asked once. */
const keepMs = 750

type Settings = Pick<ApiSettings, 'msgQueueAddr' | 'serviceToken' | 'collectorUrl' | 'streamerUrl' | 'group' | 'demo'>

export class PipelineWatch {
  readonly #settings: Settings
  readonly #reader: StoreReader
  readonly #dial: Dial | undefined
  /** What the proxy listed last: while it is down its brokers are asked all the same. */
  #members: readonly ProxyMember[] | undefined
  /** The ordinal of a broker that is asked without a proxy: what is down keeps its name. */
  #broker: number | null = null
  #last: { readonly atMs: number; readonly answer: Promise<Pipeline> } | undefined

  /** @param dial another `fetch` than the global one */
  constructor(settings: Settings, reader: StoreReader, dial?: Dial) {
    this.#settings = settings
    this.#dial = dial
    this.#reader = reader
  }

  read(nowMs: number): Promise<Pipeline> {
    const last = this.#last
    if (last !== undefined && nowMs >= last.atMs && nowMs - last.atMs < keepMs) return last.answer
    const answer = this.#ask(nowMs)
    this.#last = { atMs: nowMs, answer }
    return answer
  }

  async #ask(nowMs: number): Promise<Pipeline> {
    const { msgQueueAddr, collectorUrl, streamerUrl, group, demo } = this.#settings
    const [queues, collector, streamer, store] = await Promise.all([
      this.#queues(msgQueueAddr),
      collectorUrl === undefined ? undefined : this.#status(collectorUrl),
      streamerUrl === undefined ? undefined : this.#status(streamerUrl),
      this.#store(),
    ])
    return pipelineOf({ ...queues, collector, streamer, store }, group, nowMs, demo)
  }

  async #queues(url: string): Promise<Pick<Findings, 'queue' | 'brokers' | 'behindProxy'>> {
    const queue = await this.#status(url)
    if ('body' in queue) this.#members = membersOf(queue.body)
    const members = this.#members
    if (members === undefined) {
      if ('body' in queue && typeof queue.body['broker'] === 'number') this.#broker = queue.body['broker']
      const member = { url, broker: this.#broker, draining: false }
      return { queue, behindProxy: false, brokers: [{ member, asked: queue }] }
    }
    const asked = members.map(async (member) => ({ member, asked: await this.#status(member.url, member.serverName) }))
    return { queue, behindProxy: true, brokers: await Promise.all(asked) }
  }

  async #status(url: string, serverName?: string): Promise<Asked> {
    const { serviceToken: token } = this.#settings
    const transport = new Transport({ url, token, fetch: await this.#dial?.(serverName), timeoutMs: askMsMax })
    try {
      return { url, body: await transport.json<Body>('GET', '/status') }
    } catch (error) {
      const state = error instanceof Problem && error.code === 'starting' ? 'starting' : 'down'
      return { url, state, error: error instanceof Problem ? error.toJSON().detail : String(error) }
    }
  }

  async #store(): Promise<Findings['store']> {
    const empty = { ...noCounts, bytes: undefined }
    try {
      const counts = await this.#reader.ask(async (store) => {
        const { received, stored, duplicate, not_reported, dead } = await store.totals()
        return { received, stored, duplicate, not_reported, dead, bytes: await store.bytes() }
      }, empty)
      return { ...counts, error: null }
    } catch (error) {
      return { ...empty, error: error instanceof Error ? error.message : String(error) }
    }
  }
}
