/** RabbitMQ: one node with a quorum queue, which is the durable kind, loaded by its own PerfTest (bench/peers/rabbitmq). */

import { join } from 'node:path'

import { freePort } from '#test/listen'
import { start, type Scope } from '#test/start'

import { madeFolder, perfTestFolder } from '../../peers/parts.ts'
import { outputOf } from './output.ts'

/** Debian's package; its command in /usr/sbin changes to another user. */
const server = '/usr/lib/rabbitmq/bin/rabbitmq-server'

export const rabbitNeeds = [server, perfTestFolder, 'java']

/** Confirms that a publisher may be without. */
const unconfirmedMax = 1_000
const publishers = 2

export interface Rabbit {
  readonly how: string
  /** Confirmed records a second into a queue of its own, by its tool's own count. */
  publish(records: number, recordBytes: number): Promise<number>
}

export async function startRabbit(scope: Scope, folder: string): Promise<Rabbit> {
  const own = await madeFolder(folder, 'rabbitmq')
  const [port, distributionPort, mapperPort] = [await freePort(), await freePort(), await freePort()]
  const env = {
    HOME: own,
    RABBITMQ_NODENAME: `bench-${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    // Its own, which ends with it.
    ERL_EPMD_PORT: String(mapperPort),
    RABBITMQ_MNESIA_BASE: join(own, 'data'),
    RABBITMQ_LOG_BASE: join(own, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(own, 'plugins'),
    RABBITMQ_PID_FILE: join(own, 'pid'),
    RABBITMQ_CONF_ENV_FILE: join(own, 'none'),
  }
  await start(scope, server, [], { cwd: own, env }).waitFor(/Starting broker.*completed/)
  let queues = 0
  return {
    how: `PerfTest, ${publishers} publishers with ${unconfirmedMax} unconfirmed, quorum queue`,
    async publish(records, recordBytes) {
      const queue = `load-${queues++}`
      const options = {
        uri: `amqp://127.0.0.1:${port}`,
        queue,
        'queue-args': 'x-queue-type=quorum',
        size: String(recordBytes),
        producers: String(publishers),
        consumers: '0',
        pmessages: String(Math.round(records / publishers)),
        confirm: String(unconfirmedMax),
        flag: 'persistent',
      }
      const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
      const text = await outputOf('java', [
        '-cp',
        join(perfTestFolder, '*'),
        'com.rabbitmq.perf.PerfTest',
        ...flags,
        '--auto-delete',
        'false',
      ])
      const rate = Number(
        /confirm(?:ed)? rate avg: ([\d.]+)/.exec(text)?.[1] ?? /sending rate avg: ([\d.]+)/.exec(text)?.[1],
      )
      if (!(rate > 0)) throw new Error(`PerfTest says ${text.slice(-400)}`)
      return rate
    },
  }
}
