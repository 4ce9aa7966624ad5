/**
 * The seam between a role's routes and the engine that speaks HTTP: types only.
 *
 * A route is a row of a table; its handler returns an answer or throws a `Problem`. What turns both into HTTP is
 * `server.ts`; what reads and writes sockets is an engine, one file each (`node.ts`).
 */

import type { Trace } from '../trace.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Route {
  readonly method: Method
  /** `/topics/{topic}`: a segment in braces takes any one segment, percent-decoded, under that name. */
  readonly path: string
  /** Answers without a token. */
  readonly open?: boolean
  /** Answers without a certificate, too, where clients must show one: a kubelet has none. */
  readonly probe?: boolean
  /** The largest body that is taken; 0 takes none. Default: 1 MiB, and 0 for GET and DELETE. */
  readonly bodyBytesMax?: number
  /**
   * @param body valid only until this function returns or first awaits: copy it or use it before
   * @throws Problem what the client is told; anything else is a 500 and a log line
   */
  readonly handle: (request: Request, body: Uint8Array) => Answer | Promise<Answer>
}

export interface Request {
  /** The caller's `X-Request-Id`, or a new id. */
  readonly id: string
  /** As the client wrote it: a handler of GET also sees HEAD. */
  readonly method: string
  /** The path as it came, still encoded, without the query. */
  readonly path: string
  /** What the braces of the route's path took. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The caller's `traceparent`. */
  readonly trace: Trace | undefined
  /** Aborts when the client goes away before the answer is complete. */
  readonly closed: AbortSignal
  /** A header by its name, in any case. Lines of one name are joined by `, `. */
  header(name: string): string | undefined
}

export type Headers = Readonly<Record<string, string>>

/** What a handler returns. The default status is 200; `json` is written as `application/json`. */
export type Answer = JsonAnswer | BytesAnswer | StreamAnswer

export interface JsonAnswer {
  readonly status?: number
  readonly headers?: Headers
  readonly json: unknown
}

export interface BytesAnswer {
  readonly status?: number
  readonly headers?: Headers
  /** The media type. */
  readonly type: string
  readonly bytes: Uint8Array | string
}

/** An answer without an end, such as an event stream: its headers go out at once, and no time-out cuts it. */
export interface StreamAnswer {
  readonly status?: number
  readonly headers?: Headers
  readonly type: string
  readonly stream: (sink: Sink) => void
}

export interface Sink {
  /**
   * Sends bytes, which must stay unchanged until they are flushed. After the close it does nothing.
   *
   * @returns false when so much is pending that the writer should wait for `onDrain`
   */
  write(bytes: Uint8Array): boolean
  /** Bytes written and not yet taken by the kernel, the framing of HTTP included. 0 after the close. */
  readonly pendingBytes: number
  /** Calls back each time that `pendingBytes` falls to 0. */
  onDrain(callback: () => void): void
  /** Calls back once: when the client is gone, or when `end()` was called. At once when that was before. */
  onClose(callback: () => void): void
  /** Ends the answer behind what is pending. */
  end(): void
  /** Drops the connection, and what is pending with it: for a client that does not read. */
  abort(): void
}
