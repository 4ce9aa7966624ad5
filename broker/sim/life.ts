/** One life of the broker: from its start to a crash or a stop. What is here is gone with it. */

import type { Broker } from '../broker.ts'
import type { Log } from '../log/log.ts'
import type { ConsumeStream } from '../stream.ts'
import type { Topic } from '../topic.ts'
import type { World } from './world.ts'

export class Life {
  readonly broker: Broker
  readonly #world: World
  readonly #logs = new Map<string, readonly Log[]>()
  /** No request is taken any more. */
  isStopping = false
  /** Requests that are not answered yet. */
  inFlight = 0
  readonly streams = new Set<ConsumeStream>()

  constructor(world: World, broker: Broker, around: (log: Log) => Log) {
    this.#world = world
    this.broker = broker
    for (const topic of broker.topics) this.#logs.set(topic.name, topic.logs.map(around))
  }

  topic(name: string): Topic {
    return this.broker.topic(name) as Topic
  }

  /** The logs as clients see them: a planted fault may stand before them. */
  logs(topic: string): readonly Log[] {
    return this.#logs.get(topic) as readonly Log[]
  }

  log(topic: string, partition: number): Log {
    return this.logs(topic)[partition] as Log
  }

  /** A batch was given offsets: no group may think that it has seen them. */
  issued(topic: string, partition: number, first: number, count: number): void {
    const log = this.topic(topic).logs[partition] as Log
    for (const group of this.topic(topic).groups.all) {
      this.#world.group(topic, group.name, partition).issued(first, count, group.progress(log.partition))
    }
  }
}
