/** The databases at the end of each row: they go away, come back, and tell at the end what they have of each tick. */

import { influx2, type StartedInflux } from '#test/influx'
import { start, temporaryFolder, type Scope } from '#test/start'
import type { Started } from '#test/started'

import { tickMs } from './load.ts'
import { freePort, Relay } from './relay.ts'

/** What a database has at the end. */
export interface Stored {
  /** Different samples of each tick. */
  readonly ofTick: readonly number[]
  /** Samples that it was given once more. */
  readonly duplicated: number
}

export interface Database {
  /** The only way to it. */
  readonly relay: Relay
  /** Takes it away: nobody listens, and the process ends. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Grows with what comes in: from the last start on in InfluxDB, in VictoriaMetrics from the first. */
  written(): Promise<number>
  stored(startMs: number, ticks: number): Promise<Stored>
}

/** The bucket of every row; the set-up of the server makes it. */
export const bucket = 'first'

/** InfluxDB 2.9. It keeps one of two points with one identity, so what it was given twice is told by its own counters. */
export class Influx implements Database {
  readonly relay: Relay
  readonly #scope: Scope
  readonly #folder: string
  readonly #port: number
  #server: StartedInflux
  #bucketId = ''
  /** Points that it had when it was started last. */
  #before = 0

  static async start(scope: Scope): Promise<Influx> {
    const folder = temporaryFolder(scope)
    const server = await influx2.start(scope, folder)
    const port = Number(new URL(server.settings.influxdbUrl).port)
    const relay = await Relay.open(port)
    scope.teardown(() => relay.refuse())
    const influx = new Influx(scope, folder, port, server, relay)
    const { buckets } = (await influx.#ask(`/api/v2/buckets?name=${bucket}`)) as { buckets: { id: string }[] }
    influx.#bucketId = (buckets[0] as { id: string }).id
    return influx
  }

  private constructor(scope: Scope, folder: string, port: number, server: StartedInflux, relay: Relay) {
    this.#scope = scope
    this.#folder = folder
    this.#port = port
    this.#server = server
    this.relay = relay
  }

  get token(): string {
    return this.#server.settings.influxdbToken ?? ''
  }

  get org(): string {
    return this.#server.settings.influxdbOrg ?? ''
  }

  async stop(): Promise<void> {
    await this.relay.refuse()
    await this.#server.kill()
  }

  async start(): Promise<void> {
    this.#server = await influx2.start(this.#scope, this.#folder, this.#port)
    // Before anybody can write again; its counters are at 0.
    this.#before = await this.count()
    await this.relay.accept()
  }

  async written(): Promise<number> {
    const metrics = await (await fetch(`${this.#server.settings.influxdbUrl}/metrics`)).text()
    const ofBucket = metrics.matchAll(/^storage_shard_write_count\{bucket="([^"]+)".*\} (\S+)$/gm)
    let points = 0
    for (const [, id, count] of ofBucket) if (id === this.#bucketId) points += Number(count)
    return points
  }

  /** All points of the measurement. */
  async count(measurement = 'gpu'): Promise<number> {
    const rows = await this.#query(`SELECT count(value) FROM ${measurement}`)
    return rows[0]?.[1] ?? 0
  }

  async stored(startMs: number, ticks: number): Promise<Stored> {
    const given = await this.written()
    const where = `time >= ${startMs}ms AND time < ${startMs + ticks * tickMs}ms`
    const rows = await this.#query(`SELECT count(value) FROM gpu WHERE ${where} GROUP BY time(${tickMs}ms) fill(0)`)
    const ofTick = Array.from({ length: ticks }, () => 0)
    for (const [timeMs, count] of rows) ofTick[(timeMs - startMs) / tickMs] = count
    const total = ofTick.reduce((sum, count) => sum + count, 0)
    return { ofTick, duplicated: Math.max(0, given - (total - this.#before)) }
  }

  async #query(influxql: string): Promise<[number, number][]> {
    const answer = (await this.#ask(`/query?db=${bucket}&epoch=ms&q=${encodeURIComponent(influxql)}`)) as {
      readonly results: readonly { readonly series?: readonly { readonly values: [number, number][] }[] }[]
    }
    return answer.results[0]?.series?.[0]?.values ?? []
  }

  async #ask(path: string): Promise<unknown> {
    const answer = await fetch(`${this.#server.settings.influxdbUrl}${path}`, {
      headers: { authorization: `Token ${this.token}` },
    })
    if (!answer.ok) throw new Error(`InfluxDB, ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
}

/**
 * VictoriaMetrics. It keeps all that it is given, so what it was given twice stands there twice. What a sample is, is told by
 * its value: the number of the reading.
 */
export class VictoriaMetrics {
  readonly relay: Relay
  readonly #scope: Scope
  readonly #folder: string
  readonly #port: number
  #server: Started

  static async start(scope: Scope): Promise<VictoriaMetrics> {
    const port = await freePort()
    const folder = temporaryFolder(scope)
    const server = await launchVictoria(scope, folder, port)
    const relay = await Relay.open(port)
    scope.teardown(() => relay.refuse())
    return new VictoriaMetrics(scope, folder, port, server, relay)
  }

  private constructor(scope: Scope, folder: string, port: number, server: Started, relay: Relay) {
    this.#scope = scope
    this.#folder = folder
    this.#port = port
    this.#server = server
    this.relay = relay
  }

  async stop(): Promise<void> {
    await this.relay.refuse()
    await this.#server.kill()
  }

  async start(): Promise<void> {
    this.#server = await launchVictoria(this.#scope, this.#folder, this.#port)
    await this.relay.accept()
  }

  /** Samples of the series, with their copies: its counter would also count what Prometheus tells of itself. */
  async written(): Promise<number> {
    const query = encodeURIComponent('sum(count_over_time({uuid!=""}[1h]))')
    const answer = await fetch(`http://127.0.0.1:${this.#port}/api/v1/query?nocache=1&query=${query}`)
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
    return Number(data.result[0]?.value[1] ?? 0)
  }

  /** Each reading of each series, and how often it is there, handed to `see`. */
  async each(see: (uuid: string, reading: number, copies: number) => void): Promise<void> {
    const url = `http://127.0.0.1:${this.#port}/api/v1/export?match[]={uuid!=""}`
    const lines = (await (await fetch(url)).text()).split('\n')
    const seen = new Map<string, { readonly uuid: string; readonly copies: Map<number, number> }>()
    for (const line of lines) {
      if (line === '') continue
      const { metric, values } = JSON.parse(line) as { metric: Record<string, string>; values: (number | null)[] }
      const key = JSON.stringify(metric)
      const series = seen.get(key) ?? { uuid: metric['uuid'] ?? '', copies: new Map<number, number>() }
      seen.set(key, series)
      for (const value of values) {
        // Where a target went away Prometheus writes that it did, as a value that is no number.
        if (value !== null) series.copies.set(value, (series.copies.get(value) ?? 0) + 1)
      }
    }
    for (const { uuid, copies } of seen.values()) for (const [reading, count] of copies) see(uuid, reading, count)
  }
}

async function launchVictoria(scope: Scope, folder: string, port: number): Promise<Started> {
  const started = start(scope, 'victoria-metrics', [
    `-storageDataPath=${folder}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    '-retentionPeriod=10y',
    '-search.maxExportDuration=5m',
    '-search.latencyOffset=0s',
  ])
  for (;;) {
    if (started.hasExited()) throw new Error(`victoria-metrics ended:\n${started.tail()}`)
    try {
      if ((await fetch(`http://127.0.0.1:${port}/health`)).ok) return started
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
