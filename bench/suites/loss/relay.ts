/** A piece of network of which a suite holds the plug: TCP from a port of its own to another, on loopback. */

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export class Relay {
  readonly port: number
  readonly #targetPort: number
  readonly #pairs = new Set<Pair>()
  #isCut = false
  #server

  static async open(targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort, await freePort())
    await relay.accept()
    return relay
  }

  private constructor(targetPort: number, port: number) {
    this.#targetPort = targetPort
    this.port = port
    this.#server = this.#newServer()
  }

  /** The cable is out: nothing crosses, nobody is told, and who connects waits. */
  cut(): void {
    this.#isCut = true
    for (const { near, far } of this.#pairs) {
      near.pause()
      far.pause()
    }
  }

  /** The cable is in again: as TCP does after a short cut, both sides go on where they were. */
  mend(): void {
    this.#isCut = false
    for (const pair of this.#pairs) {
      if (pair.near.destroyed || pair.far.destroyed) this.#drop(pair)
      else {
        pair.near.resume()
        pair.far.resume()
      }
    }
  }

  /** Nobody listens there any more, and the connections that were are gone: the host's process has ended. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.close()
    for (const pair of this.#pairs) this.#drop(pair)
    await once(this.#server, 'close')
  }

  async accept(): Promise<void> {
    this.#server = this.#newServer()
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  #newServer() {
    return createServer({ allowHalfOpen: true }, (near) => this.#join(near))
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true })
    const pair = { near, far }
    this.#pairs.add(pair)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true)
      from.on('data', (bytes) => {
        if (!to.write(bytes)) from.pause()
      })
      to.on('drain', () => {
        if (!this.#isCut) from.resume()
      })
      from.on('end', () => to.end())
      from.on('error', () => from.destroy())
      // Through a cut cable no end is seen either.
      from.on('close', () => {
        if (!this.#isCut) this.#drop(pair)
      })
    }
    if (this.#isCut) {
      near.pause()
      far.pause()
    }
  }

  #drop(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.near.destroy()
    pair.far.destroy()
  }
}

/** A port that nobody has, for what cannot tell which one it was given, and for what must come back on the same. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
