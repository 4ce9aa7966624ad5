/** A source that is asked instead of telling: an endpoint of metrics for Prometheus, in parts that are targets of their own. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { tickMs, type Load } from './load.ts'
import type { Series } from './plan.ts'

/** As in bench/peers/prometheus.yml. */
export const parts = 8

interface Part {
  readonly series: readonly Series[]
  /** When each reading was taken. */
  readonly atMs: number[]
}

/**
 * Each answer is a reading, and its number is the value of every sample in it. A sample that nobody fetched is offered all the
 * same: a sensor reads once a tick whether it is asked or not.
 */
export class Exporter implements Load {
  readonly held = 0
  readonly parts: readonly Part[]
  readonly #server: Server
  readonly #startMs = performance.now()
  #stoppedMs: number | undefined

  static async start(series: readonly Series[]): Promise<Exporter> {
    const exporter = new Exporter(series)
    exporter.#server.listen(0, '127.0.0.1')
    await once(exporter.#server, 'listening')
    return exporter
  }

  private constructor(series: readonly Series[]) {
    this.parts = Array.from({ length: parts }, (_, part) => ({
      series: series.filter(({ uuid }) => partOf(uuid) === part),
      atMs: [],
    }))
    this.#server = createServer((request, response) => {
      const part = this.parts[Number(new URL(request.url ?? '', 'http://exporter').searchParams.get('part'))]
      if (part === undefined) return response.writeHead(404).end()
      const reading = part.atMs.push(performance.now()) - 1
      const text = part.series.map(({ uuid, metric }) => `${metric}{uuid="${uuid}"} ${reading}\n`).join('')
      return response.setHeader('content-type', 'text/plain; version=0.0.4').end(text)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get ticks(): number {
    return Math.floor(((this.#stoppedMs ?? performance.now()) - this.#startMs) / tickMs)
  }

  offered(fromTick: number, toTick: number): number {
    return this.parts.reduce((sum, part) => sum + part.series.length * this.#readings(part, fromTick, toTick), 0)
  }

  /** The tick in which a reading was taken. */
  tickOf(part: number, reading: number): number {
    return Math.floor(((this.parts[part]?.atMs[reading] ?? 0) - this.#startMs) / tickMs)
  }

  async stop(): Promise<void> {
    if (this.#stoppedMs !== undefined) return
    this.#stoppedMs = performance.now()
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  /** Those that were taken, and those for which nobody came, each at its time. */
  #readings(part: Part, fromTick: number, toTick: number): number {
    const isWithin = (atMs: number) => {
      const tick = (atMs - this.#startMs) / tickMs
      return tick >= fromTick && tick < toTick
    }
    const endMs = this.#startMs + this.ticks * tickMs
    let count = 0
    part.atMs.forEach((atMs, reading) => {
      if (isWithin(atMs)) count++
      const nextMs = part.atMs[reading + 1] ?? endMs
      for (let missedMs = atMs + tickMs; missedMs < nextMs - tickMs / 2; missedMs += tickMs) {
        if (isWithin(missedMs)) count++
      }
    })
    return count
  }
}

export function partOf(uuid: string): number {
  return Number(uuid.slice('GPU-'.length)) % parts
}
