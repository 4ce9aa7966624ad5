/** Brings the broker's records into the live stream, while anybody reads it. */

import type { Log } from '#lib/log'
import { normalise } from '#telemetry/normalise'
import { isRefused, readRecord, type TelemetryRecord } from '#telemetry/record'
import { Client, type Message } from '#wire/client'
import { Problem } from '#wire/problems'
import { sleep } from '#wire/retry'
import { Transport } from '#wire/transport'
import type { Live } from './live.ts'
import type { ApiSettings } from '../settings.ts'

/** How long the broker is still read after the last reader left: pages are reloaded. */
const lingerMs = 30_000

/** How often the way to the broker is looked at while records may come. */
const probeMs = 2_000

/** A topic that refuses (it is not there yet) is tried again. */
const againMs = 5_000

type Settings = Pick<ApiSettings, 'msgQueueAddr' | 'serviceToken' | 'msgQueueTopic' | 'transfersTopic'>

export class Feed {
  readonly #settings: Settings
  readonly #live: Live
  readonly #log: Log
  readonly #fetch: typeof fetch | undefined
  #reading: AbortController | undefined
  #linger: NodeJS.Timeout | undefined

  /** @param fetchBy another `fetch` than the global one */
  constructor(settings: Settings, live: Live, log: Log, fetchBy?: typeof fetch) {
    this.#settings = settings
    this.#live = live
    this.#log = log
    this.#fetch = fetchBy
  }

  /** Called when a reader came. */
  wake(): void {
    clearTimeout(this.#linger)
    if (this.#reading !== undefined) return
    this.#reading = new AbortController()
    const { signal } = this.#reading
    const { msgQueueTopic, transfersTopic } = this.#settings
    for (const topic of new Set([msgQueueTopic, transfersTopic])) void this.#follow(topic, signal)
    void this.#probe(signal)
  }

  /** Called when a reader left. */
  rest(): void {
    if (this.#live.readerCount > 0) return
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => this.stop(), lingerMs).unref()
  }

  stop(): void {
    clearTimeout(this.#linger)
    this.#reading?.abort()
    this.#reading = undefined
  }

  async #follow(topic: string, signal: AbortSignal): Promise<void> {
    const { msgQueueAddr, serviceToken } = this.#settings
    const onWarning = (text: string) => this.#log.warn({ topic }, text)
    const client = new Client({ url: msgQueueAddr, token: serviceToken, fetch: this.#fetch, onWarning })
    const onGap = ({ reason }: { reason: string }) => this.#live.lost(reason, null)
    while (!signal.aborted) {
      try {
        const consumer = client.consumer({ topic, from: 'latest', signal, onGap })
        for await (const messages of consumer.batches()) this.#live.publish(recordsOf(messages))
      } catch (error) {
        this.#log.warn({ topic, err: error }, `the live stream of ${topic} cannot be read; trying again`)
      }
      await sleep(againMs, signal).catch(() => {})
    }
  }

  /** The consumer gets over a lost connection by itself and in silence: whether it could read now is asked beside it. */
  async #probe(signal: AbortSignal): Promise<void> {
    const { msgQueueAddr: url, serviceToken: token } = this.#settings
    const transport = new Transport({ url, token, fetch: this.#fetch, timeoutMs: probeMs })
    while (!signal.aborted) {
      try {
        await transport.json('GET', '/ready', { signal })
        this.#live.setState(true, null)
      } catch (error) {
        if (signal.aborted) return
        this.#live.setState(false, error instanceof Problem ? error.toJSON().detail : String(error))
      }
      await sleep(probeMs, signal).catch(() => {})
    }
  }
}

/** What is no record is passed over: the collector gives it to the dead letters. */
function recordsOf(messages: readonly Message[]): TelemetryRecord[] {
  return messages.flatMap(({ data }) => {
    try {
      const record = readRecord(JSON.parse(data))
      return isRefused(record) ? [] : [normalise(record)]
    } catch {
      return []
    }
  })
}
