/**
 * One consumer's stream, put together from a stream of every broker: whole batches and whole events, each log in its order.
 *
 * A broker that dies costs its own part of the stream only: the others go on, and it is opened again, with a growing pause,
 * from where it stopped. A consumer that is slow keeps each broker from sending more than one piece ahead.
 */

import type { Sink } from '#lib/http/http'
import { parseId, type RecordId } from '#wire/ids'
import { backoffMs, type Backoff } from '#wire/retry'

import { BlockCutter, placeOf } from './blocks.ts'
import type { Member } from './members.ts'
import type { Opened } from './upstream.ts'

/** Bytes that may wait in the socket before the brokers are held back. */
const pendingBytesMax = 1 << 20

/** A broker that says nothing for so long is opened anew: it sends a heartbeat every 10 s. */
const silenceMs = 30_000

const heartbeat = Buffer.from(': heartbeat\n\n')
const cutStart = Buffer.from('event: cut\n')

/** One broker, as the fan-in sees it. */
export interface Source {
  /** Opens the broker's stream; `from` where it is known how far this one has come. */
  open(from: string | undefined, signal: AbortSignal): Promise<Opened>
}

export class FanIn {
  readonly #sink: Sink
  readonly #backoff: Backoff
  readonly #nowMs: () => number
  readonly #resumes: boolean
  readonly #stop = new AbortController()
  /** The streams that are open, and when each was last heard of. */
  readonly #heard = new Map<Opened, number>()
  readonly #sourceOf: (member: Member) => Source
  readonly #followed = new Map<Member, AbortController>()
  #drained: (() => void)[] = []
  #sentSinceBeat = false

  /**
   * @param resumes whether the reader has no group, so that the proxy has to know how far it has come
   * @param sourceOf how to open a broker that comes later
   */
  constructor(
    sink: Sink,
    backoff: Backoff,
    nowMs: () => number,
    resumes: boolean,
    sourceOf: (member: Member) => Source,
  ) {
    this.#sourceOf = sourceOf
    this.#sink = sink
    this.#backoff = backoff
    this.#nowMs = nowMs
    this.#resumes = resumes
    sink.onDrain(() => this.#release())
    sink.onClose(() => {
      this.#stop.abort()
      for (const stop of this.#followed.values()) stop.abort()
      for (const opened of this.#heard.keys()) opened.close()
      this.#release()
    })
  }

  /**
   * Follows a broker until the consumer, or the broker, is gone for good.
   *
   * @param first the stream that is open already, if one is
   */
  follow(member: Member, source: Source, first: Opened | undefined): void {
    const stop = new AbortController()
    this.#followed.set(member, stop)
    if (this.#stop.signal.aborted) stop.abort()
    void this.#follow(source, first, stop.signal)
  }

  /** Follows the brokers of which there is no stream yet, and no longer those that are not there any more. */
  renew(members: readonly Member[]): void {
    if (this.#stop.signal.aborted) return
    for (const [member, stop] of this.#followed) {
      if (members.includes(member)) continue
      stop.abort()
      this.#followed.delete(member)
    }
    for (const member of members) {
      if (member.ordinal !== undefined && !this.#followed.has(member)) {
        this.follow(member, this.#sourceOf(member), undefined)
      }
    }
  }

  async #follow(source: Source, first: Opened | undefined, signal: AbortSignal): Promise<void> {
    const places = new Map<string, RecordId>()
    let opened = first
    for (let failures = 0; !signal.aborted;) {
      try {
        opened ??= await source.open(this.#fromOf(places), signal)
        if (opened.status !== 200) throw new Error(`it answers ${opened.status}: ${await opened.text()}`)
        await this.#pass(opened, places)
        failures = 0
      } catch {
        // The member's state, which probes and the opening feed, says what is wrong with it; here it is only tried again.
        failures++
      }
      opened?.close()
      opened = undefined
      // Also after a stream that ended well: a broker that cuts each stream at once must not be asked in a loop.
      await this.#backoff.sleep(backoffMs(this.#backoff, Math.max(1, failures)), signal).catch(() => {})
    }
    opened?.close()
  }

  /** A comment when nothing was sent since the last call; ends connections to brokers that have fallen silent. */
  beat(): void {
    if (!this.#sentSinceBeat && this.#sink.pendingBytes === 0) this.#sink.write(heartbeat)
    this.#sentSinceBeat = false
    for (const [opened, heardMs] of this.#heard) if (this.#nowMs() - heardMs > silenceMs) opened.close()
  }

  end(): void {
    this.#sink.end()
  }

  async #pass(opened: Opened, places: Map<string, RecordId>): Promise<void> {
    const cutter = new BlockCutter()
    this.#heard.set(opened, this.#nowMs())
    try {
      for await (const chunk of opened.body) {
        for (const block of cutter.feed(chunk)) {
          if (!isCut(block)) this.#send(block, places)
          // Only a broker's own end is ours to hide; a consumer that was replaced has to know it.
          else if (block.includes('"replaced"')) {
            this.#sink.write(block)
            this.#sink.end()
            return
          } else return
        }
        while (this.#sink.pendingBytes > pendingBytesMax && !this.#stop.signal.aborted) {
          // Waiting for a slow consumer is no silence of the broker.
          this.#heard.delete(opened)
          await this.#drain()
        }
        this.#heard.set(opened, this.#nowMs())
      }
    } finally {
      this.#heard.delete(opened)
    }
  }

  #send(block: Buffer, places: Map<string, RecordId>): void {
    const place = this.#resumes ? placeOf(block) : undefined
    if (place !== undefined) places.set(`${place.broker}/${place.partition}`, place)
    this.#sink.write(block)
    this.#sentSinceBeat = true
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  #release(): void {
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  #fromOf(places: ReadonlyMap<string, RecordId>): string | undefined {
    if (!this.#resumes || places.size === 0) return undefined
    const ids = [...places].filter(([, { offset }]) => offset >= 0).map(([log, { offset }]) => `${log}/${offset}`)
    return ids.length === 0 ? 'earliest' : ids.join(',')
  }
}

/** The part of `from` that one broker understands: its own ids of a list, anything else as it is. */
export function fromFor(from: string, broker: number): string {
  const ids = from.split(',')
  if (!ids.every((id) => parseId(id) !== undefined)) return from
  const own = ids.filter((id) => parseId(id)?.broker === broker)
  return own.length === 0 ? 'earliest' : own.join(',')
}

function isCut(block: Buffer): boolean {
  return block.length > cutStart.length && block.compare(cutStart, 0, cutStart.length, 0, cutStart.length) === 0
}
