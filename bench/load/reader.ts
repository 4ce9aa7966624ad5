/** A reader that looks at nothing: what it costs to have the bytes, and not more. */

import { connect } from 'node:net'

/** What came, and what it cost. */
export interface Read {
  readonly bytes: number
  readonly seconds: number
}

const bufferBytes = 1 << 20

/**
 * Asks for a path, or, without one, only listens, and reads until so many bytes came.
 *
 * @throws Error with the answer when it is not a 200, or when the other side closes before
 */
export function readBytes(port: number, path: string | undefined, bytes: number): Promise<Read> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    let got = 0
    const buffer = Buffer.allocUnsafe(bufferBytes)
    const callback = (length: number): boolean => {
      if (got === 0 && path !== undefined && buffer.toString('latin1', 9, 12) !== '200') {
        reject(new Error(buffer.toString('utf8', 0, Math.min(length, 500))))
        socket.destroy()
        return false
      }
      got += length
      if (got < bytes) return true
      resolve({ bytes: got, seconds: (performance.now() - startedMs) / 1000 })
      socket.destroy()
      return false
    }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback } })
    if (path !== undefined) socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`${got} bytes came of ${bytes}`)))
  })
}
