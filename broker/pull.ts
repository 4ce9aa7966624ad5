/**
 * Pull: `GET /consume` that is answered with some records, for those who ask when they want more.
 *
 * A pull is a consumer of a shared group that comes, takes and goes; what it took stays its own until the deadline.
 */

import type { Clock } from '#lib/clock'
import { query } from '#lib/http/query'
import { formatId, type Offset, type Partition } from '#wire/ids'
import { pullLimits } from '#wire/pull'

import { deliver, tellLost } from './delivery.ts'
import type { Group, Work } from './groups/group.ts'
import { PullSession, type Session } from './groups/session.ts'
import type { Member } from './groups/sharing.ts'
import type { Log } from './log/log.ts'
import { textsOf } from './log/texts.ts'
import type { Topic } from './topic.ts'

/** Bytes of the log that are read at one time. */
const readBytes = 256 * 1024

/** An answer is not made longer than this, but for its last batch. */
const answerBytesMax = 4 << 20

export const pullParameters = {
  topic: query.text({ required: true }),
  group: query.text({ required: true }),
  mode: query.choice(['shared']),
  partition: query.integer({ min: 0 }),
  /** 0 makes the group and takes nothing. */
  max: query.integer({ min: 0, max: pullLimits.recordsMax }),
  wait_ms: query.integer({ min: 0, max: pullLimits.waitMsMax }),
  visibility: query.duration({ min: '1s', max: '12h' }),
  from: query.text(),
}

export interface PullOptions {
  readonly partition: Partition | undefined
  readonly recordsMax: number
  /** How long it waits where there is no record. */
  readonly waitMs: number
  readonly visibilityMs: number
}

let pulls = 0

export class Pull {
  readonly #clock: Clock
  readonly #topic: Topic
  readonly #group: Group
  readonly #member: Member
  readonly #options: PullOptions
  readonly #lines: string[] = []
  #bytes = 0
  #records = 0
  #isOver = false
  #wake = (): void => {}

  constructor(clock: Clock, topic: Topic, group: Group, options: PullOptions) {
    this.#clock = clock
    this.#topic = topic
    this.#group = group
    this.#options = options
    this.#member = {
      name: `pull.${++pulls}`,
      partition: options.partition,
      maxInFlight: options.recordsMax,
      visibilityMs: options.visibilityMs,
      wake: () => this.#wake(),
      revoked: () => {},
      dismissed: () => this.end(),
    }
  }

  /** Answers with what there is. */
  end(): void {
    this.#isOver = true
    this.#wake()
  }

  /**
   * Takes records, and waits for the first one.
   *
   * @param closed the caller is gone
   */
  async run(closed: AbortSignal): Promise<{ readonly lines: string; readonly records: number }> {
    if (this.#options.recordsMax === 0) return { lines: '', records: 0 }
    const end = (): void => this.end()
    const timer = setTimeout(end, this.#options.waitMs)
    const unwatch = this.#topic.watch({ grown: () => {}, closing: end })
    closed.addEventListener('abort', end, { once: true })
    const session = new PullSession(this.#clock, this.#group, this.#member, () => this.#bytes >= answerBytesMax)
    try {
      await this.#take(session)
    } finally {
      clearTimeout(timer)
      unwatch()
      closed.removeEventListener('abort', end)
      session.close()
      this.#topic.groups.touch(this.#group.name, this.#clock.monotonicMs())
    }
    return { lines: this.#lines.join(''), records: this.#records }
  }

  async #take(session: Session): Promise<void> {
    while (!this.#topic.isClosed) {
      const work = session.next()
      if (work !== undefined) await this.#takeWork(session, work)
      else if (this.#isOver || this.#records > 0) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async #takeWork(session: Session, work: Work): Promise<void> {
    const log = this.#topic.logs[work.partition] as Log
    const { end } = log
    const batches = await log.read(work.from, readBytes)
    deliver(session, work, batches, end, (piece, next, batch) => {
      const from = batch === undefined ? next : (Math.max(piece.from, batch.first) as Offset)
      tellLost(session, log, piece, from, (gap) => this.#line({ gap }))
      if (batch === undefined) return
      const texts = textsOf(batch).slice(from - batch.first, next - batch.first)
      for (const [at, data] of texts.entries()) {
        const id = formatId(log.broker, log.partition, (from + at) as Offset)
        this.#line({ id, attempt: piece.attempt ?? 1, data })
      }
      this.#records += texts.length
    })
  }

  #line(value: unknown): void {
    const line = `${JSON.stringify(value)}\n`
    this.#lines.push(line)
    this.#bytes += line.length
  }
}
