/** What is answered to a connection whose request cannot be read, or does not come. */

import type { Socket } from 'node:net'
import { Problem } from '#wire/problems'
import { problemAnswer } from './problem.ts'

// As in node.ts, not by `import`.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

/** Of a body that nobody wants, so much is read, so that the connection can be used again. */
export const droppedBytesMax = 1024 * 1024

/** After that nothing is read: a client that is still sending has this long to see its answer before it is cut. */
export const lingerMs = 1_000

/** The `clientError` of a server of Node. */
export type ClientError = Error & { readonly code?: string }

/**
 * Answers with a problem, and ends the connection.
 *
 * @param isAnswering an answer is under way on it, into which nothing else may be written
 */
export function refuseUnread(error: ClientError, connection: Socket, isAnswering: boolean): void {
  // What is written into a handshake of TLS waits for its end, and the connection with it: for ever, where that does not come.
  const { secureConnecting = false } = connection as { secureConnecting?: boolean }
  if (error.code === 'ECONNRESET' || !connection.writable || isAnswering || secureConnecting) {
    connection.destroy()
    return
  }
  const { status, headers, body } = problemAnswer(problemOf(error))
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`
  head += `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
  connection.end(head + body, () => connection.destroy())
}

function problemOf({ code, message }: ClientError): Problem {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Problem('headers_too_large', 'the request line and headers are too long')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return tooSlow()
  return new Problem('bad_request', `this is no HTTP/1.1 request: ${message}`)
}

/** What a client is told whose request does not come in time. */
export function tooSlow(): Problem {
  return new Problem('request_timeout', 'the request did not arrive in time, or slower than 16 KiB/s', {
    retry_after_s: 1,
  })
}

/** What a connection is told that is one too many. */
export function tooManyConnections(max: number): Problem {
  return new Problem('too_many_connections', `${max} connections are open already (MAX_CONNECTIONS)`, {
    retry_after_s: 1,
  })
}
