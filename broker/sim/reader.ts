/** Clients that read without a group: each log in order, each record once, each gap told. */

import type { Offset } from '#wire/ids'

import type { Log } from '../log/log.ts'
import { PlainSession } from '../groups/session.ts'
import { ConsumeStream } from '../stream.ts'
import { SimulatedSink, type Heard } from './sink.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export class Reader {
  readonly #world: World
  readonly #topic: string
  readonly #name: string
  /** What it wants next of each log; it remembers that when the broker does not live any more. */
  readonly #cursors = new Map<number, number>()

  constructor(world: World, topic: string, name: string) {
    this.#world = world
    this.#topic = topic
    this.#name = name
  }

  /** Whether it has read all that there is. */
  isAtEnd(life: Life): boolean {
    return life.logs(this.#topic).every((log) => (this.#cursors.get(log.partition) ?? 0) >= log.end)
  }

  async run(life: Life): Promise<void> {
    const { schedule, random } = this.#world
    for (;;) {
      await schedule.turn(`${this.#name} connects`)
      if (life.isStopping) continue
      const sink = this.#connect(life)
      // A slow reader takes seldom what came, and falls behind.
      const idle = random.pick([0, 0, 3, 10])
      while (!sink.isClosed) {
        for (let turn = 0; turn <= idle; turn++) await schedule.turn(`${this.#name} waits`)
        for (const heard of sink.take()) this.#hear(life, heard, sink)
        if (!this.#world.isResting && random.chance(0.03)) sink.end()
      }
    }
  }

  #connect(life: Life): SimulatedSink {
    const { random } = this.#world
    const logs = life.logs(this.#topic)
    const start = this.#world.isResting ? 'resume' : random.pick(['resume', 'resume', 'earliest', 'latest'] as const)
    const from = new Map(logs.map((log) => [log.partition, this.#from(log, start)]))
    for (const [partition, offset] of from) this.#cursors.set(partition, offset)
    const sink = new SimulatedSink({}, (found) =>
      this.#world.complain(`${this.#name} is sent all of a log, or told why not`, found),
    )
    const stream = new ConsumeStream(sink, logs, () => {})
    life.streams.add(stream)
    stream.announce(from)
    stream.start(new PlainSession(logs, from, () => stream.wake()))
    return sink
  }

  #from(log: Log, start: 'resume' | 'earliest' | 'latest'): Offset {
    if (start === 'latest') return log.end
    const wanted = start === 'earliest' ? 0 : (this.#cursors.get(log.partition) ?? 0)
    return Math.min(Math.max(wanted, log.first), log.end) as Offset
  }

  #hear(life: Life, heard: Heard, sink: SimulatedSink): void {
    if (heard.kind === 'cut') sink.end()
    if (heard.kind !== 'record' && heard.kind !== 'gap') return
    const model = this.#world.model(this.#topic, heard.partition)
    const cursor = this.#cursors.get(heard.partition)
    const first = heard.kind === 'record' ? heard.offset : heard.first
    if (first !== cursor) {
      this.#world.complain(`${this.#name} gets ${cursor} of ${model.name} next`, `${heard.kind} of ${first}`)
    }
    if (heard.kind === 'record') {
      model.shown(heard.offset, heard.data, this.#name)
      this.#cursors.set(heard.partition, heard.offset + 1)
    } else {
      model.begins(life.log(this.#topic, heard.partition).first)
      model.gap(heard.first, heard.last + 1, this.#name)
      this.#cursors.set(heard.partition, heard.last + 1)
    }
  }
}
