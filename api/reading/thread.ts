/** The reading thread as the one that speaks HTTP sees it. */

import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Clock } from '#lib/clock'
import type { Log } from '#lib/log'
import type { Counter } from '#lib/metrics'
import { Problem } from '#wire/problems'
import type { Call } from '../call.ts'
import type { ReadOperation, ReadSettings } from './answers.ts'
import { errorOf, type Question, type Reply } from './messages.ts'

/** One that dies is not begun again sooner than this after it was begun: what kills it at once must not take the processor. */
const againMs = 1_000

/** Beside this file in a checkout, and beside its compiled form in the package. */
const entry = join(import.meta.dirname, `entry${extname(import.meta.filename)}`)

interface Waiting {
  resolve(written: Buffer): void
  reject(error: Error): void
}

interface Running {
  readonly worker: Worker
  readonly beganMs: number
  readonly waiting: Map<number, Waiting>
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>
}

export interface ThreadSurroundings {
  readonly log: Log
  readonly clock: Clock
  /** Counts those that died. */
  readonly deaths: Counter
}

/** What a handler is asked by. */
export type Asked = Pick<Call<never>, 'nowMs' | 'bounds'> & { readonly params: unknown; readonly query: unknown }

export class ReadingThread {
  readonly #settings: ReadSettings
  readonly #around: ThreadSurroundings
  #running: Running | undefined
  /** When the one before was begun that died. */
  #diedBeganMs = -Infinity
  #next = 0
  #problem: string | null = null
  #isEnded = false

  constructor(settings: ReadSettings, around: ThreadSurroundings) {
    this.#settings = settings
    this.#around = around
  }

  /** Why it could not read the store when it last tried, in one line. */
  get problem(): string | null {
    return this.#problem
  }

  /** The thread that runs now, by its number; for tests. */
  get threadId(): number | undefined {
    return this.#running?.worker.threadId
  }

  /** Begins it, unless it runs: else the first question does, and waits for it. */
  start(): void {
    if (!this.#isEnded) this.#run()
  }

  /**
   * Asks a handler, and gives its answer as it is written.
   *
   * @throws what the handler throws; Problem `unavailable` where the thread dies of it, or is ended
   */
  async ask(operation: ReadOperation, { params, query, nowMs, bounds }: Asked): Promise<Buffer> {
    if (this.#isEnded) throw new Problem('unavailable', 'the API is stopping', { retry_after_s: 1 })
    const { worker, waiting } = this.#run()
    const id = this.#next++
    const question: Question = { id, operation, params, query, nowMs, bounds: bounds.given }
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    waiting.set(id, { resolve, reject })
    worker.postMessage(question)
    return promise
  }

  /** Lets it answer what it was asked, for so long at most. */
  async end(graceMs: number): Promise<void> {
    this.#isEnded = true
    const running = this.#running
    if (running === undefined) return
    running.worker.postMessage('end')
    const cut = setTimeout(() => void running.worker.terminate(), graceMs)
    await running.ended
    clearTimeout(cut)
  }

  #run(): Running {
    if (this.#running !== undefined) return this.#running
    const beganMs = this.#around.clock.monotonicMs()
    if (beganMs - this.#diedBeganMs < againMs) throw died(1)
    const worker = new Worker(entry, { workerData: this.#settings })
    const waiting = new Map<number, Waiting>()
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    let why = 'it ended by itself'
    worker.on('message', (reply: Reply) => {
      this.#problem = reply.problem
      const asker = waiting.get(reply.id)
      waiting.delete(reply.id)
      if ('written' in reply) asker?.resolve(Buffer.from(reply.written.buffer))
      else asker?.reject(errorOf(reply.thrown))
    })
    // Nothing that crosses should be unreadable; where it is, nobody must wait for it for ever.
    worker.on('messageerror', () => void worker.terminate())
    worker.on(
      'error',
      (error: unknown) => (why = error instanceof Error ? (error.stack ?? error.message) : String(error)),
    )
    worker.on('exit', () => {
      this.#running = undefined
      if (!this.#isEnded) this.#bury(beganMs, why, waiting.size)
      for (const { reject } of waiting.values()) reject(died(againMs / 1000))
      resolve()
    })
    return (this.#running = { worker, beganMs, waiting, ended })
  }

  #bury(beganMs: number, why: string, asked: number): void {
    this.#diedBeganMs = beganMs
    const { log, deaths } = this.#around
    deaths.inc()
    log.error({ why, asked }, 'the thread that reads the store died, and is begun again with the next question')
  }
}

function died(retryAfterS: number): Problem {
  return new Problem('unavailable', 'the thread that reads the store died', { retry_after_s: retryAfterS })
}
