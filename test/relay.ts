/** A piece of network of which a test holds the plug: TCP from an address of its own on loopback to a port. */

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

import type { Scope } from './start.ts'

export class Relay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isCut = false

  /** @param host an address of loopback, such as 127.0.0.2; rejects where the system has it not */
  static async open(t: Scope, host: string, port: number, targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort)
    relay.#server.listen(port, host)
    await once(relay.#server, 'listening')
    t.teardown(() => relay.close())
    return relay
  }

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      const far = connect({ port: targetPort, host: '127.0.0.1' })
      this.#join(near, far)
      this.#join(far, near)
    })
  }

  /** The cable is out: nothing crosses, nobody is told, and who connects waits. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** The cable is in again: as TCP does after a short cut, both sides go on where they were. */
  mend(): void {
    this.#isCut = false
    for (const socket of this.#sockets) socket.resume()
  }

  /** The address is nobody's any more. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.setNoDelay(true)
    from.on('data', (bytes) => {
      if (!to.write(bytes)) from.pause()
    })
    to.on('drain', () => {
      if (!this.#isCut) from.resume()
    })
    from.on('error', () => from.destroy())
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
    if (this.#isCut) from.pause()
  }
}
