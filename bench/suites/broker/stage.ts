/** What the works of the suite play on: brokers on each HTTP engine, and the peers that are found, started when first asked for. */

import { join } from 'node:path'

import { Scope } from '#test/scope'
import { skipWithout, tools, underUws } from '#test/tools'

import { startBroker, type LoadedBroker } from '../../load/broker.ts'
import type { Bench } from '../../measure.ts'
import { missingOf } from '../../peers/parts.ts'
import { kafkaNeeds, startKafka, type Kafka } from './kafka.ts'
import { natsNeeds, startNats, type JetStream } from './nats.ts'
import { rabbitNeeds, startRabbit, type Rabbit } from './rabbitmq.ts'
import { redisNeeds, startRedis, type Redis } from './redis.ts'

export type Engine = 'node' | 'uws'
export type Durability = 'disk' | 'fsync'

export interface BrokerOptions {
  readonly topics: string
  readonly memory: string
  readonly env?: Readonly<Record<string, string>>
  readonly awaitReady?: boolean
}

export class Stage {
  readonly bench: Bench
  /** Those that load here; `node` does always. */
  readonly engines: readonly Engine[]
  readonly #scope = new Scope()
  readonly #started = new Map<string, Promise<unknown>>()

  constructor(bench: Bench) {
    this.bench = bench
    const without = skipWithout(tools.uws)
    this.engines = without === false ? ['node', 'uws'] : ['node']
    if (without !== false) bench.say(`SKIPPED: ${without}, nothing is measured with uws`)
  }

  /** The broker of that name on an engine; one that was asked for before is the same one. */
  broker(name: string, engine: Engine, options: BrokerOptions): Promise<LoadedBroker> {
    return this.#once(`${name}-${engine}`, () => this.startBroker(`${name}-${engine}`, engine, options))
  }

  /** A broker on a folder, which may have been another one's before. */
  startBroker(
    folder: string,
    engine: Engine,
    options: BrokerOptions,
    scope: Scope = this.#scope,
  ): Promise<LoadedBroker> {
    const { topics, memory, env, awaitReady = true } = options
    return startBroker(scope, join(this.bench.folder, folder), {
      topics,
      awaitReady,
      env: { MEMORY_BYTES: memory, HTTP_ENGINE: engine, ...env },
      ...(engine === 'uws' ? { under: underUws() } : {}),
    })
  }

  redis(durability: Durability): Promise<Redis | undefined> {
    return this.#peer(`redis-${durability}`, redisNeeds, () => startRedis(this.#scope, this.bench.folder, durability))
  }

  nats(durability: Durability): Promise<JetStream | undefined> {
    return this.#peer(`nats-${durability}`, natsNeeds, () => startNats(this.#scope, this.bench.folder, durability))
  }

  kafka(): Promise<Kafka | undefined> {
    return this.#peer('kafka', kafkaNeeds, () => startKafka(this.#scope, this.bench.folder))
  }

  rabbit(): Promise<Rabbit | undefined> {
    return this.#peer('rabbitmq', rabbitNeeds, () => startRabbit(this.#scope, this.bench.folder))
  }

  end(): Promise<void> {
    return this.#scope.end()
  }

  #peer<T>(name: string, needs: readonly string[], start: () => Promise<T>): Promise<T | undefined> {
    return this.#once(name, async () => {
      const missing = missingOf(needs)
      if (missing.length === 0) return start()
      this.bench.say(`SKIPPED: no ${missing.join(', ')}: nothing is compared with ${name} (bench/peers/README.md)`)
      return undefined
    })
  }

  #once<T>(name: string, start: () => Promise<T>): Promise<T> {
    const started = this.#started.get(name) ?? start()
    this.#started.set(name, started)
    return started as Promise<T>
  }
}
