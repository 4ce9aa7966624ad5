/** What is loaded: every role as a process of its own, on loopback, as `penstock <role>` starts it. */

import { join } from 'node:path'

import { startPenstock, startRole, type Scope, type StartedRole } from '#test/start'

/** A key of the API that lives as long as the run. */
const apiKey = 'a-key-of-the-load-test-alone'

const brokers = 2
const topics = 'telemetry:partitions=4,transfers:partitions=1'

export interface Stack {
  readonly brokers: readonly string[]
  readonly proxy: string
  readonly api: string
  readonly apiKey: string
  /** What `penstock audit --json` says. @throws Error where it says nothing */
  audit(): Promise<Audit>
  /** Roles that are no more, each with how it ended and the last that it said; none should. */
  ended(): Promise<string[]>
}

/** As far as it is read here. */
export interface Audit {
  readonly topics: readonly {
    readonly topic: string
    readonly produced: number
    readonly pending: number
    readonly removed: number
    readonly counts: {
      readonly received: number
      readonly stored: number
      readonly duplicate: number
      readonly not_reported: number
      readonly dead: number
    }
  }[]
  /** Where broker, collector and store differ. */
  readonly findings: readonly string[]
}

/** Two brokers, the proxy, a collector, and the API; the embedded store, so that nothing else is needed. */
export async function startStack(scope: Scope, folder: string): Promise<Stack> {
  const logs = { LOG_LEVEL: 'warn' }
  const roles = await Promise.all(
    Array.from({ length: brokers }, (_, index) =>
      startRole(scope, 'broker', {
        env: {
          LOG_LEVEL: 'info',
          BROKER_INDEX: String(index),
          TOPICS: topics,
          DATA_DIR: join(folder, `broker-${index}`),
        },
      }),
    ),
  )
  const urls = roles.map(({ url }) => url)
  const all = new Map(roles.map((role, index) => [`broker ${index}`, role]))
  const started = async (name: string, env: Record<string, string>): Promise<StartedRole> => {
    const role = await startRole(scope, name, { env })
    all.set(name, role)
    return role
  }
  const proxy = await started('proxy', { BROKERS: urls.join(',') })
  const dataDir = join(folder, 'store')
  const env = { MSG_QUEUE_ADDR: proxy.url, DATA_DIR: dataDir }
  await started('collector', env)
  const api = await started('api', { ...env, API_KEY: apiKey, RATE_LIMIT: '10000000' })
  return {
    brokers: urls,
    proxy: proxy.url,
    api: api.url,
    apiKey,
    async ended() {
      const gone = [...all].filter(([, role]) => role.hasExited())
      return Promise.all(
        gone.map(async ([name, role]) => {
          const { code, signal } = await role.exited
          return `the ${name} ended (${signal ?? `status ${code}`}): ${role.tail().split('\n').slice(-3).join(' ')}`
        }),
      )
    },
    async audit() {
      const args = ['audit', '--json', '--addr', proxy.url, '--data-dir', dataDir]
      const { exited, stdout, tail } = startPenstock(scope, args, { env: logs })
      await exited
      const line = stdout.findLast((text) => text.startsWith('{'))
      if (line === undefined) throw new Error(`penstock audit said nothing that can be read:\n${tail()}`)
      return JSON.parse(line) as Audit
    },
  }
}
