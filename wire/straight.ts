/**
 * The straight path: a batch goes to the broker that owns its partition, by the table of the proxy, and through the proxy
 * wherever the owner does not answer as it should.
 *
 * The table may be old at any time: a broker takes what it is sent, owner or not, so a record is never lost by it, only its
 * order against others. It is asked for again when it has its age, when a proxy's answer names another one, and when an owner
 * failed. A batch whose answer was lost on the straight path may stand in two logs (docs/PROTOCOL.md, "Straight to the owner").
 */

import { Problem } from './problems.ts'
import { addressesOf, readRing, ringHeader } from './ring.ts'
import { Transport, type Call, type ClientOptions } from './transport.ts'

/** How long an owner may take to answer before the batch goes through the proxy. */
const answerMs = 5_000

/** How long an owner that failed is left alone: at first, and at most, doubled with each failure. */
const avoidFirstMs = 2_000
const avoidLongestMs = 300_000

/** How often the table is asked for at most, and how long a server that has none is not asked again. */
const askEveryMs = 250
const noTableMs = 60_000

/** How long before its end a table is asked for again, beside the sending. */
const aheadMs = 2_000

type Send = (by: Transport, call: Call) => Promise<void>

interface Owner {
  readonly transport: Transport
  failures: number
  avoidUntilMs: number
}

interface Table {
  readonly addresses: readonly (string | undefined)[]
  readonly version: string
  readonly goodUntilMs: number
}

/** The way of one topic's batches. */
export class StraightPath {
  readonly #proxy: Transport
  readonly #options: ClientOptions
  readonly #topic: string
  readonly #nowMs: () => number
  readonly #owners = new Map<string, Owner>()
  #table: Table | undefined
  #asking: Promise<void> | undefined
  #askAgainMs = -Infinity
  /** Whether the first question is settled. */
  #hasAnswer = false

  /** @param options of the client: the owners are reached as the proxy is */
  constructor(proxy: Transport, options: ClientOptions, topic: string, nowMs = (): number => performance.now()) {
    this.#proxy = proxy
    this.#options = options
    this.#topic = topic
    this.#nowMs = nowMs
  }

  /**
   * Sends one produce request to the owner or the proxy, or to one after the other.
   *
   * @param send sends it once, and throws where the answer is not one
   * @throws what `send` throws
   */
  async send(partition: number, call: Call, send: Send): Promise<void> {
    await this.#freshen()
    const address = this.#fresh()?.addresses[partition]
    const owner = address === undefined ? undefined : this.#ownerAt(address)
    if (owner === undefined || owner.avoidUntilMs > this.#nowMs()) return this.#throughProxy(call, send)
    try {
      await send(owner.transport, call)
      owner.failures = 0
    } catch (error) {
      if (call.signal?.aborted === true || !isAway(error)) throw error
      this.#failed(owner, error as Problem)
      await this.#throughProxy(call, send)
    }
  }

  #throughProxy(call: Call, send: Send): Promise<void> {
    const onResponse = (response: Response): void => {
      const version = response.headers.get(ringHeader)
      if (version !== null && version !== this.#table?.version) this.#ask()
    }
    return send(this.#proxy, { ...call, onResponse })
  }

  #failed(owner: Owner, problem: Problem): void {
    owner.avoidUntilMs = this.#nowMs() + Math.min(avoidLongestMs, avoidFirstMs * 2 ** Math.min(owner.failures, 30))
    if (owner.failures++ === 0) {
      this.#proxy.warn(
        `${owner.transport.url} does not take ${this.#topic}: ${problem.message}; going by ${this.#proxy.url}`,
      )
    }
    this.#ask()
  }

  #ownerAt(address: string): Owner {
    let owner = this.#owners.get(address)
    if (owner === undefined) {
      owner = {
        transport: new Transport({ ...this.#options, url: address, timeoutMs: answerMs }),
        failures: 0,
        avoidUntilMs: -Infinity,
      }
      this.#owners.set(address, owner)
    }
    return owner
  }

  /** The table, unless it is too old to go by. */
  #fresh(): Table | undefined {
    return this.#table !== undefined && this.#table.goodUntilMs > this.#nowMs() ? this.#table : undefined
  }

  /** Asks ahead of the table's end, beside the sending; the first time the batch waits for it. */
  #freshen(): Promise<void> | undefined {
    const table = this.#table
    if (table === undefined || table.goodUntilMs - this.#nowMs() < aheadMs) this.#ask()
    return this.#hasAnswer ? undefined : this.#asking
  }

  #ask(): void {
    if (this.#asking !== undefined || this.#nowMs() < this.#askAgainMs) return
    this.#askAgainMs = this.#nowMs() + askEveryMs
    this.#asking = this.#learn().finally(() => {
      this.#asking = undefined
      this.#hasAnswer = true
    })
  }

  async #learn(): Promise<void> {
    // From before the question: the table is as old as that.
    const askedMs = this.#nowMs()
    try {
      const ring = readRing(await this.#proxy.json('GET', '/ring', { query: { topic: this.#topic } }))
      if (ring === undefined) throw new Problem('not_found', 'it tells no table')
      const { version, max_age_ms: ageMs } = ring
      this.#table = { addresses: addressesOf(ring, this.#topic), version, goodUntilMs: askedMs + ageMs }
    } catch (error) {
      // A broker has no table; a proxy that is away has none now, and the batch finds that out by itself.
      if (error instanceof Problem && !error.retry) this.#askAgainMs = this.#nowMs() + noTableMs
    }
  }
}

/** Whether the proxy should be asked instead: nobody there, another one there, or one that cannot write now. */
function isAway(error: unknown): boolean {
  if (!(error instanceof Problem)) return false
  return [401, 403, 404, 500, 502, 503].includes(error.status)
}
