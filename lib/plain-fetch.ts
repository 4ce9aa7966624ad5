/**
 * A `fetch` for roles that send and read much: what the wire's client needs of it, straight over `node:http`.
 *
 * Node's own makes a stream of every body and answer, and copies them on the way: of a request of 450 KB it takes 1.2 ms of
 * processor time, this 0.25 (docs/decisions/188).
 */

import { type IncomingMessage, request as requestHttp } from 'node:http'

/** What the wire's client reads of an answer. */
class Answer {
  readonly #message: IncomingMessage
  readonly ok: boolean
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: { getReader(): { read(): Promise<IteratorResult<Uint8Array>> } }

  constructor(message: IncomingMessage) {
    this.#message = message
    const { statusCode: status = 0, headers } = message
    this.status = status
    this.ok = status >= 200 && status < 300
    this.headers = { get: (name) => headers[name.toLowerCase()]?.toString() ?? null }
    this.body = {
      getReader() {
        const pieces = message.iterator() as AsyncIterator<Uint8Array>
        return { read: () => pieces.next() }
      },
    }
  }

  async text(): Promise<string> {
    let text = ''
    for await (const piece of this.#message.setEncoding('utf8')) text += piece as string
    return text
  }
}

/**
 * Takes an address, a method, headers, a body of text or bytes, and a signal. Follows no redirect. Bytes are not copied: they
 * must stay as they are until there is an answer.
 */
export const plainFetch = ((input: string, init: RequestInit = {}): Promise<Response> => {
  // What is neither is for the one that knows certificates.
  if (!input.startsWith('http:')) return fetch(input, init)
  return new Promise((resolve, reject) => {
    const { method = 'GET', signal } = init
    signal?.throwIfAborted()
    const body = init.body as string | Uint8Array | undefined
    const headers = { ...(init.headers as Record<string, string>) }
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    const request = requestHttp(input, { method, headers })
    let answer: IncomingMessage | undefined
    const abort = (): void => {
      const reason = signal?.reason as Error
      answer?.destroy(reason)
      request.destroy(reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
    // Behind the last byte of the answer, or when the connection is gone.
    request.once('close', () => signal?.removeEventListener('abort', abort))
    request.on('error', reject)
    request.once('response', (message) => {
      answer = message
      // What breaks later is told to who reads; before there is a reader it must not end the process.
      message.on('error', () => {})
      const { statusCode = 0, headers } = message
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        message.resume()
        reject(new Error('unexpected redirect'))
      } else resolve(new Answer(message) as unknown as Response)
    })
    request.end(body)
  })
}) as typeof fetch
