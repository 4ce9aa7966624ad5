/** A broker in a process of its own, and a load of produce requests on it. */

import { startRole, type Scope, type StartedRole } from '#test/start'
import { Client } from '#wire/client'

import { headOf, isAnswerWhole, post, postOf, type Posted } from './posts.ts'
import type { Connection } from './socket.ts'

export interface LoadedBroker {
  readonly role: StartedRole
  /** Sends the body so many times, over so many connections. `path` may be another one for each request. */
  load(path: string | ((at: number) => string), body: Buffer, requests: number, connections: number): Promise<Posted>
}

/** Starts a broker; returns when it listens, or (`awaitReady`, default) when its logs are open. */
export async function startBroker(
  scope: Scope,
  folder: string,
  options: {
    readonly topics: string
    readonly env?: Readonly<Record<string, string>>
    readonly awaitReady?: boolean
    /** A command that runs the broker's. */
    readonly under?: readonly string[]
  },
): Promise<LoadedBroker> {
  const { topics, awaitReady = true, under = [] } = options
  const env = { DATA_DIR: folder, TOPICS: topics, LOG_LEVEL: 'info', ...options.env }
  const role = await startRole(scope, 'broker', { env, awaitReady, under })
  return {
    role,
    load(path, body, requests, connections) {
      if (typeof path === 'function') {
        return post(role.port, (at) => [headOf(path(at), body.length), body], requests, connections)
      }
      const whole = [postOf(path, body)]
      return post(role.port, () => whole, requests, connections)
    },
  }
}

/** How many records a topic holds. */
export async function recordsIn({ role }: LoadedBroker, topic: string): Promise<number> {
  const topics = await new Client({ url: role.url }).topics()
  const logs = topics.find(({ name }) => name === topic)?.logs ?? []
  return logs.reduce((sum, log) => sum + (log.records ?? log.next - log.first), 0)
}

/** Sends the body to a broker or proxy. @throws Error with the answer when it is a refusal */
export async function askProduce(connection: Connection, path: string, body: Buffer): Promise<void> {
  const answer = await connection.ask(requestOf(path, body), isAnswerWhole)
  if (!answer.toString('latin1', 0, 12).endsWith(' 200')) throw new Error(answer.toString('utf8'))
}

let last: { readonly path: string; readonly body: Buffer; readonly bytes: Buffer } | undefined

/** The bytes of a request; those of the last one are kept. */
function requestOf(path: string, body: Buffer): Buffer {
  if (last?.path !== path || last.body !== body) last = { path, body, bytes: postOf(path, body) }
  return last.bytes
}
