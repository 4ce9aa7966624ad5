/** What the tests of a topic's collector run it against: a broker's two logs, an embedded store that fails as it is told, a clock. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ManualClock, manualClock } from '#lib/clock'
import { logTo } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { openStore } from '#store/open'
import type { Counts, Store, WriteBatch } from '#store/store'
import { Problem } from '#wire/problems'
import type { Delivered, Letter } from './batch.ts'
import { type Subscription, TopicCollector } from './collector.ts'
import { createFigures } from './figures.ts'
import { Gate } from './gate.ts'
import { deadMayRepeat, Settler, storeMayRepeat } from './settle.ts'

interface Scope {
  teardown(callback: () => unknown): void
}

export const logId = 'a'.repeat(16)

export function recordText(second: number, value: number | null = second): string {
  const time = new Date(Date.UTC(2025, 6, 18) + second * 1000).toISOString()
  return JSON.stringify({ kind: 'gpu', time, uuid: 'GPU-a', metric: 'DCGM_FI_DEV_GPU_UTIL', value })
}

export function message(offset: number, data: string): Delivered {
  return { id: `0/0/${offset}`, broker: 0, partition: 0, offset, data }
}

export function good(second: number, offset = second): Delivered {
  return message(offset, recordText(second))
}

/** A record of the other partition, and of a GPU of its own. */
export function ofSecondLog(offset: number): Delivered {
  return { id: `0/1/${offset}`, broker: 0, partition: 1, offset, data: recordText(offset).replace('GPU-a', 'GPU-b') }
}

/** Two logs of a broker, as a consumer sees them. */
class FakeBroker implements Subscription {
  readonly logs = new Map([
    ['0/0', { logId }],
    ['0/1', { logId: 'b'.repeat(16) }],
  ])
  /** Everything below is acknowledged. */
  floor = 0
  isOpen = true
  readonly extended: string[] = []
  readonly #events: string[]
  #queue: (readonly Delivered[] | Error)[] = []
  #wake: () => void = () => undefined
  #losesAcks = false

  constructor(events: string[]) {
    this.#events = events
  }

  deliver(messages: readonly Delivered[]): void {
    if (messages.length > 0) this.#queue.push(messages)
    this.#wake()
  }

  break(error: Error): void {
    this.#queue.push(error)
    this.#wake()
  }

  reopen(losesAcks: boolean): void {
    this.#queue = []
    this.#losesAcks = losesAcks
  }

  async *batches(): AsyncIterable<readonly Delivered[]> {
    const queue = this.#queue
    try {
      for (;;) {
        const next = queue.shift()
        if (next instanceof Error) throw next
        if (next !== undefined) yield next
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      this.isOpen = false
    }
  }

  async extend(ids: readonly string[]): Promise<void> {
    this.extended.push(...ids)
  }

  async ack(upTo: readonly string[]): Promise<void> {
    if (this.#losesAcks) throw new Problem('lease_lost', 'test')
    this.#events.push(`ack ${upTo.join(',')}`)
    for (const id of upTo) this.floor = Math.max(this.floor, Number(id.split('/')[2]) + 1)
  }
}

interface Bench {
  readonly store: Store
  readonly broker: FakeBroker
  readonly events: string[]
  readonly letters: Letter[]
  failures: number
  /** Tried, too. */
  writes: number
  written: number
  stop: AbortController
  /** Awaited before each write. */
  before: (batch: WriteBatch) => Promise<unknown>
  fail: () => Error | undefined
  refused: (batch: WriteBatch) => Error | undefined
  refuse: (letters: readonly Letter[]) => boolean
  start(): {
    readonly collector: TopicCollector
    readonly running: Promise<void>
    readonly gate: Gate
    readonly clock: ManualClock
  }
  /** Waits, one turn after the other, until it holds. */
  until(holds: () => boolean): Promise<void>
}

export async function benchOf(
  t: Scope,
  given: { records?: number; waitMs?: number; writesAtOnce?: number } = {},
): Promise<Bench> {
  const dataDir = mkdtempSync(join(tmpdir(), 'penstock-collector-'))
  const real = await openStore({ dataDir })
  t.teardown(async () => {
    await real.close().catch(() => undefined)
    rmSync(dataDir, { recursive: true, force: true })
  })
  const events: string[] = []
  const broker = new FakeBroker(events)
  const log = logTo('collector', 'silent', { write: () => undefined })
  const figures = createFigures(createMetrics('collector'), () => 0).of('telemetry')
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const bench: Bench = {
    store: real,
    broker,
    events,
    letters: [],
    failures: 0,
    writes: 0,
    written: 0,
    stop: new AbortController(),
    before: async () => undefined,
    fail: () => undefined,
    refused: () => undefined,
    refuse: () => false,
    start() {
      const clock = manualClock(0)
      const store: Store = Object.assign(Object.create(real) as Store, {
        totals: () => real.totals(),
        async write(batch: WriteBatch): Promise<Counts> {
          bench.writes++
          await bench.before(batch)
          const error = bench.fail()
          if (error !== undefined) {
            bench.failures++
            throw error
          }
          const refused = bench.refused(batch)
          if (refused !== undefined) throw refused
          const counts = await real.write(batch)
          const offsets = batch.parts.flatMap((part) => [...part.offsets, ...part.dead])
          events.push(`write ${Math.min(...offsets)}-${Math.max(...offsets)}`)
          bench.written = Math.max(bench.written, Math.max(...offsets) + 1)
          return counts
        },
      })
      const dead = async (letters: readonly Letter[]): Promise<void> => {
        if (bench.refuse(letters)) throw new Problem('record_too_large', 'test')
        events.push(`dead ${letters.map(({ origin }) => origin).join(',')}`)
        bench.letters.push(...letters)
      }
      // A wait is a turn of the event loop, however long; one of a minute ends only by its signal.
      const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
        ms < 60_000 && signal?.aborted !== true
          ? turn()
          : new Promise((_, reject) => {
              const abort = (): void => reject(signal?.reason as Error)
              if (signal?.aborted) abort()
              else signal?.addEventListener('abort', abort, { once: true })
            })
      const backoff = { firstMs: 1, longestMs: 10, random: () => 0.5, sleep }
      const gate = new Gate(backoff, storeMayRepeat)
      const deadGate = new Gate(backoff, deadMayRepeat)
      const settler = new Settler({ clock, store, dead, storeGate: gate, deadGate, log, figures })
      const settled = async () => new Map((await real.totals()).logs.map(({ log_id, next }) => [log_id, next]))
      const collector = new TopicCollector(
        { clock, backoff, settler, subscription: broker, settled, log, figures },
        {
          topic: 'telemetry',
          group: 'collector',
          limits: { records: given.records ?? 100, bytes: 1_000_000 },
          waitMs: given.waitMs ?? 5,
          visibilityMs: 30_000,
          writesAtOnce: given.writesAtOnce ?? 1,
        },
      )
      const running = collector.run(bench.stop.signal)
      // What it throws is asked for later; until then it is not "unhandled".
      running.catch(() => undefined)
      return { collector, running, gate, clock }
    },
    async until(holds) {
      while (!holds()) await turn()
    },
  }
  return bench
}
