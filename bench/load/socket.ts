/** A connection with one question in flight, of bytes that are made beforehand: a load must not cost more than what it loads. */

import { connect, type Socket } from 'node:net'
import { once } from 'node:events'

/** Whether an answer is whole, of the bytes that have come. */
export type IsWhole = (bytes: Buffer) => boolean

/** A connection to this machine that sends at once. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

export class Connection {
  readonly #socket: Socket
  #bytes: Buffer = Buffer.alloc(0)
  #waiting: { isWhole: IsWhole; resolve: (bytes: Buffer) => void; reject: (error: Error) => void } | undefined

  static async open(port: number): Promise<Connection> {
    return new Connection(await dial(port))
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')))
  }

  ask(question: Buffer, isWhole: IsWhole): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { isWhole, resolve, reject }
      this.#socket.write(question)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const waiting = this.#waiting
    if (waiting === undefined || !waiting.isWhole(this.#bytes)) return
    const bytes = this.#bytes
    this.#bytes = Buffer.alloc(0)
    this.#waiting = undefined
    waiting.resolve(bytes)
  }
}

/** Runs questions over so many connections, each with one in flight. */
export async function loadOver(
  port: number,
  connections: number,
  questions: number,
  ask: (connection: Connection, at: number) => Promise<void>,
): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const connection = await Connection.open(port)
      try {
        while (next < questions) await ask(connection, next++)
      } finally {
        connection.close()
      }
    }),
  )
}
