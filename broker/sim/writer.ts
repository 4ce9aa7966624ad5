/** Clients that write: one batch at a time under numbers, or several at once without. */

import { readRecords, type Records } from '../log/records.ts'
import type { Log } from '../log/log.ts'
import type { Attempt } from './model.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export class Writer {
  readonly #world: World
  readonly #topic: string
  readonly #partition: number
  /** The name under which it numbers its records; without one it sends nothing twice. */
  readonly #producer: string | undefined
  #sequence = 0
  /** Numbered, and not answered yet: it is sent again. */
  #open: Attempt | undefined
  #inFlight = 0

  constructor(world: World, topic: string, partition: number, producer: string | undefined) {
    this.#world = world
    this.#topic = topic
    this.#partition = partition
    this.#producer = producer
  }

  get isAtRest(): boolean {
    return this.#open === undefined && this.#inFlight === 0
  }

  /** Writes for as long as a broker lives. */
  async run(life: Life): Promise<void> {
    const { schedule, random } = this.#world
    this.#inFlight = 0
    // After a crash without an answer most ask again, and some give up.
    if (!this.#world.isResting && random.chance(0.15)) this.#open = undefined
    for (;;) {
      await schedule.turn(`writer of ${this.#topic}/${this.#partition}`)
      if (life.isStopping) continue
      if (this.#world.isResting && this.#open === undefined) continue
      if (this.#producer !== undefined) {
        await this.#send(life, (this.#open ??= this.#next()))
      } else if (this.#inFlight < 3) {
        const sent = this.#send(life, this.#next())
        if (random.chance(0.5)) await sent
      }
    }
  }

  #next(): Attempt {
    const { random } = this.#world
    const count = random.pick([1, 1, 2, 3, 5])
    const records: string[] = []
    for (let index = 0; index < count; index++) {
      records.push(`{"record":${this.#world.newRecord()},"text":"${'x'.repeat(random.pick(this.#world.textBytes))}"}`)
    }
    const numbered = this.#producer === undefined ? undefined : { producer: this.#producer, sequence: this.#sequence }
    this.#sequence += count
    return this.#world.model(this.#topic, this.#partition).attempt(records, numbered)
  }

  async #send(life: Life, attempt: Attempt): Promise<void> {
    const model = attempt.log
    const appended = append(life.log(this.#topic, this.#partition), attempt, this.#world.clock.wallMs())
    const isFirst = attempt.state === 'new'
    if (typeof appended === 'string') {
      this.#refused(life, attempt, isFirst)
      return
    }
    attempt.state = 'sent'
    if ('expected' in appended) {
      this.#world.complain(
        'a batch that is sent again is there or not there',
        `a part: expected ${appended.expected}, sent ${attempt.numbered?.sequence} of ${attempt.records.length}`,
      )
      return
    }
    if (!appended.duplicate) {
      model.issued(attempt, appended.first)
      life.issued(this.#topic, this.#partition, appended.first, attempt.records.length)
    }
    this.#inFlight++
    life.inFlight++
    const outcome = await appended.done
    this.#inFlight--
    life.inFlight--
    if (outcome !== 'durable') {
      this.#refused(life, attempt, isFirst)
      return
    }
    attempt.state = 'answered'
    // A repeat whose place is forgotten is answered without one.
    if (appended.count > 0) model.answered(attempt, appended.first)
    if (this.#open === attempt) this.#open = undefined
  }

  #refused(life: Life, attempt: Attempt, isFirst: boolean): void {
    // What was sent before, in an earlier life, may stand there although this try was refused.
    if (isFirst) {
      const isCut = life.log(this.#topic, this.#partition).writable
      Object.assign(attempt, { state: 'refused', life: attempt.log.life, isCut })
    }
    if (this.#open === attempt && this.#world.random.chance(0.3)) this.#open = undefined
  }
}

function append(log: Log, attempt: Attempt, nowMs: number): ReturnType<Log['append']> {
  const records = readRecords(Buffer.from(attempt.records.join('\n')), 'ndjson', 1 << 20) as Records
  return log.append(records, attempt.numbered, nowMs)
}
