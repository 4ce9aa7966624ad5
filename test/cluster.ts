/** Real brokers behind a real proxy, as processes. */

import { Client } from '#wire/client'

import { startRole, type Scope, type StartedRole } from './start.ts'

/** Two brokers behind a proxy. */
export interface Cluster {
  readonly brokers: StartedRole[]
  readonly proxy: StartedRole
  readonly client: Client
  /** Starts a killed broker again, on its port and its data. */
  restart(index: number): Promise<void>
}

/** What the roles, and the tests, call each other with. */
export const token = 'a-token-between-roles'

export async function startCluster(t: Scope): Promise<Cluster> {
  const env = (index: number): Record<string, string> => ({
    BROKER_INDEX: String(index),
    SERVICE_TOKEN: token,
    HOST: '127.0.0.1',
  })
  const brokers = await Promise.all([0, 1].map((index) => startRole(t, 'broker', { env: env(index) })))
  const proxy = await startRole(t, 'proxy', {
    env: {
      BROKERS: brokers.map(({ url }) => url).join(','),
      SERVICE_TOKEN: token,
      HOST: '127.0.0.1',
      PROBE_INTERVAL: '100ms',
    },
  })
  return {
    brokers,
    proxy,
    client: new Client({ url: proxy.url, token }),
    async restart(index) {
      const { port, dataDir } = brokers[index] as StartedRole
      brokers[index] = await startRole(t, 'broker', { env: { ...env(index), DATA_DIR: dataDir, PORT: String(port) } })
    },
  }
}

/** A last resort against what never comes, such as a process that has died: else the test would say nothing for ten minutes. */
const untilMsMax = 180_000

/**
 * Waits for a condition that other processes bring about.
 *
 * @throws Error when it does not come to hold within three minutes
 */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  const startedMs = performance.now()
  while (!(await holds())) {
    if (performance.now() - startedMs > untilMsMax)
      throw new Error(`not within ${untilMsMax / 1000} s: ${String(holds)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
