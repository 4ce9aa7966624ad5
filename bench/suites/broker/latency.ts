/**
 * From when a record was due to when a reader has it, at a fixed rate. A record is due each 1/rate of a second, whether the broker
 * keeps up or not, and carries its number: its time counts from when it was due, and not from when it went (no coordinated
 * omission). What falls due between two looks at the clock, a millisecond apart, goes in one request. The load on NATS does the same
 * (bench/peers/nats/main.go).
 */

import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

import { headOf, Poster } from '../../load/posts.ts'
import { latenciesOf, type Latencies } from '../../load/quantile.ts'
import { recordBytes } from '../../load/records.ts'
import { figureOf, takeTurns } from '../../load/rounds.ts'
import type { Durability, Stage } from './stage.ts'

const connections = 16
const path = (topic: Durability): string => `/produce?topic=${topic}`
const topics = 'disk:partitions=4:durability=disk,fsync:partitions=4:durability=fsync'

/** What a reader may be behind when the last record has gone. */
const silenceMsMax = 30_000

const work = 'latency-20k'

export async function latency20k(stage: Stage): Promise<void> {
  await compare(stage, work, 20_000, 'disk', stage.bench.quick ? 2 : 5, stage.bench.quick ? 2 : 5)
}

export async function sweepRates(stage: Stage): Promise<void> {
  const { quick } = stage.bench
  const seconds = quick ? 2 : 3
  // 20,000 to `disk` is the headline's.
  for (const perSecond of [1_000, 5_000, 50_000, 100_000]) {
    await compare(stage, 'rates', perSecond, 'disk', quick ? 1 : 3, seconds)
  }
  await compare(stage, 'rates', 20_000, 'fsync', quick ? 1 : 3, seconds)
}

async function compare(
  stage: Stage,
  name: string,
  perSecond: number,
  durability: Durability,
  rounds: number,
  seconds: number,
): Promise<void> {
  const { bench } = stage
  bench.say(`${name}: ${perSecond.toLocaleString('en-US')} records a second, ${durability}`)
  const noted = new Map<string, Latencies[]>()
  const contestants: Record<string, () => Promise<number>> = {}
  const add = (contestant: string, run: () => Promise<Latencies>): void => {
    const all: Latencies[] = []
    noted.set(contestant, all)
    contestants[contestant] = async () => {
      const latencies = await run()
      all.push(latencies)
      return latencies.p99_ms
    }
  }
  for (const engine of stage.engines) {
    const broker = await stage.broker('latency', engine, { topics, memory: '64MiB' })
    add(engine, () => latencies(broker.role.port, durability, perSecond, seconds))
  }
  // One that syncs each record does not take such rates.
  const nats = durability === 'disk' ? await stage.nats('disk') : undefined
  if (nats !== undefined) add('jetstream', () => nats.latency(perSecond, seconds, recordBytes))
  for (const engine of stage.engines) await contestants[engine]?.()
  for (const all of noted.values()) all.length = 0
  const figures = await takeTurns(bench, rounds, contestants)
  const middle = (contestant: string, key: keyof Latencies): number =>
    figureOf((noted.get(contestant) ?? []).map((each) => each[key])).median
  for (const engine of stage.engines) {
    const { median: value, spread } = figures[engine] as { median: number; spread: number }
    const held = figures['jetstream']
    const peer =
      held === undefined
        ? {}
        : {
            peer: 'jetstream',
            peer_value: held.median,
            peer_spread: held.spread,
            peer_how: `nats.go, PublishAsync and ordered consumer, ${nats?.how}`,
            peer_p50_ms: middle('jetstream', 'p50_ms'),
            peer_p999_ms: middle('jetstream', 'p999_ms'),
          }
    bench.report({
      work: name,
      unit: 'ms p99',
      value,
      spread,
      engine,
      durability,
      rounds,
      records_per_s: perSecond,
      p50_ms: middle(engine, 'p50_ms'),
      p999_ms: middle(engine, 'p999_ms'),
      max_ms: middle(engine, 'max_ms'),
      ...peer,
    })
  }
}

async function latencies(port: number, topic: Durability, perSecond: number, seconds: number): Promise<Latencies> {
  const count = perSecond * seconds
  // The first second warms up, on both sides.
  const warm = Math.min(perSecond, count / 2)
  const taken = new Float64Array(count - warm)
  let startMs = Infinity
  let seen = 0
  const reader = await Reader.open(port, topic, (number) => {
    seen++
    if (number >= warm) taken[number - warm] = performance.now() - startMs - (1000 * number) / perSecond
  })
  const idle = await Promise.all(Array.from({ length: connections }, () => Poster.open(port)))
  const posters = [...idle]
  const failed: Error[] = []
  let sent = 0
  /** Sends all that is due over one connection, which is free. */
  const sendDue = (poster: Poster): void => {
    const due = Math.min(count, Math.floor(((performance.now() - startMs) * perSecond) / 1000) + 1)
    if (due <= sent) return void idle.push(poster)
    const body = bodyFrom(sent, due - sent)
    sent = due
    poster.send([Buffer.concat([headOf(path(topic), body.length), body])])
  }
  for (const poster of posters) {
    poster.onAnswer = () => void idle.push(poster)
    poster.onError = (error) => failed.push(error)
  }
  startMs = performance.now()
  const isSending = (): boolean => sent < count && failed.length === 0
  const isWaiting = (): boolean => seen < count && failed.length === 0
  while (isSending()) {
    const poster = idle.pop()
    if (poster !== undefined) sendDue(poster)
    await sleep(1)
  }
  for (const endMs = performance.now() + silenceMsMax; isWaiting();) {
    if (performance.now() > endMs) failed.push(new Error(`${seen} records came of ${count}`))
    await sleep(5)
  }
  for (const poster of posters) poster.close()
  reader.close()
  if (failed[0] !== undefined) throw failed[0]
  return latenciesOf(taken)
}

const digits = 10
const opening = '{"n":"'
const head = Buffer.from(`${opening}${'0'.repeat(digits)}","x":"`)

/** Records of the numbers from there on, a line each. Their own copies: the last ones may still be on their way. */
function bodyFrom(first: number, count: number): Buffer {
  const body = Buffer.alloc(count * recordBytes, 'x')
  for (let at = 0; at < count; at++) {
    const from = at * recordBytes
    head.copy(body, from)
    body.write(String(first + at).padStart(digits, '0'), from + opening.length, 'latin1')
    body.write('"}\n', from + recordBytes - 3, 'latin1')
  }
  return body
}

/** Finds the numbers in the stream of the newest records, and looks at nothing else. */
class Reader {
  readonly #answer: IncomingMessage
  #rest = ''

  static async open(port: number, topic: Durability, onNumber: (number: number) => void): Promise<Reader> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: `/consume?topic=${topic}&from=latest` }, resolve).on('error', reject)
    })
    if (answer.statusCode !== 200) throw new Error(`consume: ${answer.statusCode}`)
    return new Reader(answer, onNumber)
  }

  private constructor(answer: IncomingMessage, onNumber: (number: number) => void) {
    this.#answer = answer
    const bytes = opening.length + digits
    answer.on('error', () => {})
    answer.on('data', (chunk: Buffer) => {
      const text = this.#rest + chunk.toString('latin1')
      let at = 0
      for (let found = text.indexOf(opening, at); found !== -1; found = text.indexOf(opening, at)) {
        if (found + bytes > text.length) break
        onNumber(Number(text.slice(found + opening.length, found + bytes)))
        at = found + bytes
      }
      this.#rest = text.slice(Math.max(at, text.length - bytes))
    })
  }

  close(): void {
    this.#answer.destroy()
  }
}
