/** A broker, and a proxy in front of it: the same broker is asked with and without the proxy. */

import { join } from 'node:path'

import { startRole, type Scope, type StartedRole } from '#test/start'

export interface Pair {
  readonly broker: StartedRole
  readonly proxy: StartedRole
}

/** Its topic is `telemetry`: four partitions, written before they are acknowledged, not synced. */
export async function startPair(scope: Scope, folder: string): Promise<Pair> {
  const broker = await startRole(scope, 'broker', {
    env: {
      DATA_DIR: join(folder, 'broker'),
      TOPICS: 'telemetry:partitions=4:durability=disk',
      MEMORY_BYTES: '64MiB',
      LOG_LEVEL: 'info',
    },
  })
  const proxy = await startRole(scope, 'proxy', { env: { BROKERS: broker.url, LOG_LEVEL: 'info' } })
  return { broker, proxy }
}
