/**
 * A load of requests that costs as little as Node lets it: each connection has one in flight, what is sent was made beforehand, and
 * answers are read into one buffer that all connections share (`onread`), without streams. `npm run bench -- broker generator`
 * holds it against a server that does nothing, and against `wrk`.
 */

import { connect, type Socket } from 'node:net'

/** What a load cost. */
export interface Posted {
  readonly seconds: number
  /** Of a processor, this process's own share while it lasted: 1 is all that one thread can do. */
  readonly loadCores: number
}

/** The bytes of the request of that number, in one piece or in several. */
export type RequestOf = (at: number) => readonly Buffer[]

/**
 * Sends so many requests over so many connections.
 *
 * @throws Error with the answer when one is not a 200
 */
export async function post(port: number, requestOf: RequestOf, requests: number, connections: number): Promise<Posted> {
  const open = await Promise.all(Array.from({ length: Math.min(connections, requests) }, () => Poster.open(port)))
  const before = process.cpuUsage()
  const startedMs = performance.now()
  let next = 0
  const worker = (poster: Poster): Promise<void> =>
    new Promise((resolve, reject) => {
      const more = (): void => {
        if (next === requests) return resolve()
        poster.send(requestOf(next++))
      }
      poster.onAnswer = more
      poster.onError = reject
      more()
    })
  try {
    await Promise.all(open.map(worker))
  } finally {
    for (const poster of open) poster.close()
  }
  const ms = performance.now() - startedMs
  const { user, system } = process.cpuUsage(before)
  return { seconds: ms / 1000, loadCores: (user + system) / 1000 / ms }
}

/** The bytes of a POST of a body. */
export function postOf(path: string, body: Buffer, type = 'application/x-ndjson'): Buffer {
  return Buffer.concat([headOf(path, body.length, type), body])
}

/** What stands before the body. */
export function headOf(path: string, bodyBytes: number, type = 'application/x-ndjson'): Buffer {
  const head = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', `Content-Type: ${type}`, `Content-Length: ${bodyBytes}`]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n`)
}

const answers = Buffer.alloc(64 << 10)

/** A connection with one request in flight. */
export class Poster {
  onAnswer = (): void => {}
  onError = (_error: Error): void => {}
  readonly #socket: Socket
  #part: Buffer = Buffer.alloc(0)

  static open(port: number): Promise<Poster> {
    return new Promise((resolve, reject) => {
      const onread = { buffer: answers, callback: (bytes: number): boolean => poster.#take(answers.subarray(0, bytes)) }
      const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
      const poster = new Poster(socket)
      socket.once('connect', () => resolve(poster))
      socket.on('error', (error) => {
        reject(error)
        poster.onError(error)
      })
      socket.on('close', () => poster.onError(new Error('the connection was closed')))
    })
  }

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  send(request: readonly Buffer[]): void {
    if (request.length === 1) this.#socket.write(request[0] as Buffer)
    else {
      this.#socket.cork()
      for (const piece of request) this.#socket.write(piece)
      this.#socket.uncork()
    }
  }

  close(): void {
    this.onError = () => {}
    this.#socket.destroy()
  }

  #take(chunk: Buffer): boolean {
    const bytes = this.#part.length === 0 ? chunk : Buffer.concat([this.#part, chunk])
    if (isAnswerWhole(bytes)) {
      if (this.#part.length > 0) this.#part = Buffer.alloc(0)
      if (bytes.toString('latin1', 9, 12) === '200') this.onAnswer()
      else this.onError(new Error(bytes.toString('utf8')))
    } else this.#part = Buffer.from(bytes)
    return true
  }
}

/** Whether an answer with a length is all there. */
export function isAnswerWhole(bytes: Buffer): boolean {
  const head = bytes.indexOf('\r\n\r\n')
  if (head === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString('latin1', 0, head))
  return length !== null && bytes.length >= head + 4 + Number(length[1])
}
