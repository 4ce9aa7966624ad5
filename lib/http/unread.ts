/** What is answered to a connection whose request cannot be read, or does not come. */

import type { Socket } from 'node:net'
import { Problem } from '#wire/problems'
import { problemAnswer } from './problem.ts'

// As in node.ts, not by `import`.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

/** The `clientError` of a server of Node. */
export type ClientError = Error & { readonly code?: string }

/**
 * Answers with a problem, and ends the connection.
 *
 * @param isAnswering an answer is under way on it, into which nothing else may be written
 */
export function refuseUnread(error: ClientError, connection: Socket, isAnswering: boolean): void {
  if (error.code === 'ECONNRESET' || !connection.writable || isAnswering) {
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
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request_timeout', 'the request did not arrive in time')
  return new Problem('bad_request', `this is no HTTP/1.1 request: ${message}`)
}
