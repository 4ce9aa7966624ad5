/**
 * Pull: `GET /consume` that is answered with some records, for those who ask when they want more.
 *
 * A pull is a consumer of a shared group that comes, takes and goes; what it took stays its own until the deadline.
 */

import type { Clock } from '#lib/clock'
import type { Request } from '#lib/http/http'
import { query } from '#lib/http/query'
import { formatId, type Offset, type Partition } from '#wire/ids'

import type { Group, Work } from './groups/group.ts'
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
  max: query.integer({ min: 0, max: 10_000 }),
  wait_ms: query.integer({ min: 0, max: 60_000 }),
  visibility: query.duration({ min: '1s', max: '12h' }),
  from: query.text(),
}

/** Records of an answer where nobody says how many. */
export const pullRecords = 100

/** Whether the caller wants lines of JSON and not a stream. */
export function wantsLines(request: Request): boolean {
  return (request.header('accept') ?? '').includes('application/x-ndjson')
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
    this.#group.join(this.#member, this.#clock.monotonicMs())
    try {
      await this.#take()
    } finally {
      clearTimeout(timer)
      unwatch()
      closed.removeEventListener('abort', end)
      this.#group.detach(this.#member, this.#clock.monotonicMs())
      this.#topic.groups.touch(this.#group.name, this.#clock.monotonicMs())
    }
    return { lines: this.#lines.join(''), records: this.#records }
  }

  async #take(): Promise<void> {
    while (this.#bytes < answerBytesMax && !this.#topic.isClosed) {
      const work = this.#group.next(this.#member)
      if (work !== undefined) await this.#takeWork(work)
      else if (this.#isOver || this.#records > 0) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async #takeWork(first: Work): Promise<void> {
    const log = this.#topic.logs[first.partition] as Log
    const { end } = log
    const batches = await log.read(first.from, readBytes)
    let work = first
    if (batches.length === 0) {
      const until = Math.min(end, work.until) as Offset
      if (this.#delivered(work, until)) this.#lost(log, work, until)
    }
    for (const batch of batches) {
      const next = Math.min(batch.next, work.until) as Offset
      if (!this.#delivered(work, next)) return
      const from = Math.min(Math.max(work.from, batch.first), next) as Offset
      this.#lost(log, work, from)
      const texts = from < next ? textsOf(batch).slice(from - batch.first, next - batch.first) : []
      for (const [at, text] of texts.entries()) this.#record(log, (from + at) as Offset, work.attempt ?? 1, text)
      const following = this.#group.next(this.#member, work.partition)
      if (next < batch.next || following?.from !== next || this.#bytes >= answerBytesMax) return
      work = following
    }
  }

  #delivered(work: Work, next: Offset): boolean {
    return this.#group.delivered(this.#member, work, next, this.#clock.monotonicMs())
  }

  #record(log: Log, offset: Offset, attempt: number, data: string): void {
    this.#line({ id: formatId(log.broker, log.partition, offset), attempt, data })
    this.#records++
  }

  /** Tells of what is not there of a piece of work, up to an offset. */
  #lost(log: Log, { gone, from, partition }: Work, to: Offset): void {
    const ranges = [...(gone ?? []), ...(from < to ? [{ from, to }] : [])]
    for (const range of ranges) {
      for (const { first, next, reason } of log.lostBetween(range.from, range.to)) {
        const id = (offset: number): string => formatId(log.broker, log.partition, offset as Offset)
        this.#line({ gap: { first: id(first), last: id(next - 1), reason } })
      }
      this.#group.pass(partition, range.from, range.to)
    }
  }

  #line(value: unknown): void {
    const line = `${JSON.stringify(value)}\n`
    this.#lines.push(line)
    this.#bytes += line.length
  }
}
