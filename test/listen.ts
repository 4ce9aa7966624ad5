/** For tests of the client: a bare server that ends with the test, whatever is still connected to it, and waits of no time. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Scope } from './start.ts'

/** Returns the address. A handler that fails cuts its connection. */
export async function listen(
  t: Scope,
  handle: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<string> {
  const guarded = async (request: IncomingMessage, response: ServerResponse) => handle(request, response)
  const server = createServer((request, response) => {
    guarded(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A port that nobody listens on: for what cannot tell which one it was given. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Answers with JSON; a status of a refusal makes it a problem. */
export function answer(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body))
}

/** A backoff without chance whose waits take no time: it notes how long they should have been, in ms. */
export function notedBackoff() {
  const waits: number[] = []
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    waits.push(ms)
  }
  return { waits, backoff: { random: () => 0.5, sleep } }
}
