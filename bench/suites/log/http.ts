/** A broker in a process of its own, and a load of produce requests on it. */

import { startRole, type Scope, type StartedRole } from '#test/start'

import { loadOver, type Connection } from './socket.ts'

export interface LoadedBroker {
  readonly role: StartedRole
  /** Sends the body so many times, over so many connections. `path` may be another one for each request. */
  load(path: string | ((at: number) => string), body: Buffer, requests: number, connections: number): Promise<void>
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
    load: (path, body, requests, connections) =>
      loadOver(role.port, connections, requests, (connection, at) =>
        askProduce(connection, typeof path === 'string' ? path : path(at), body),
      ),
  }
}

/** Sends the body to a broker or proxy. @throws Error with the answer when it is a refusal */
export async function askProduce(connection: Connection, path: string, body: Buffer): Promise<void> {
  const answer = await connection.ask(postOf(path, body), isAnswerWhole)
  if (!answer.toString('latin1', 0, 12).endsWith(' 200')) throw new Error(answer.toString('utf8'))
}

let lastPost: { readonly path: string; readonly body: Buffer; readonly bytes: Buffer } | undefined

/** The bytes of a request; those of the last one are kept. */
function postOf(path: string, body: Buffer): Buffer {
  if (lastPost?.path === path && lastPost.body === body) return lastPost.bytes
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Content-Type: application/x-ndjson',
    `Content-Length: ${body.length}`,
    '',
    '',
  ]
  lastPost = { path, body, bytes: Buffer.concat([Buffer.from(head.join('\r\n')), body]) }
  return lastPost.bytes
}

/** Whether an answer with a length is all there. */
export function isAnswerWhole(bytes: Buffer): boolean {
  const head = bytes.indexOf('\r\n\r\n')
  if (head === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString('latin1', 0, head))
  return length !== null && bytes.length >= head + 4 + Number(length[1])
}
