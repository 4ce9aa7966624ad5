/**
 * What `server.ts` and an engine know of each other. An engine reads requests off sockets and writes answers to them;
 * it knows no routes, no tokens and no problems but those of requests that it cannot read.
 */

import type { ServerTls } from '../tls.ts'
import type { Sink } from './http.ts'

/** One request and its answer, as an engine sees them. */
export interface Exchange {
  readonly method: string
  /** The request target as it came: path and query, perhaps with scheme and host before. */
  readonly target: string
  /** Where the client connects from, in any form that is the same for the same address. */
  readonly address: string
  /** False: a certificate of the client is asked for, and it has shown none that is known. */
  readonly trusted: boolean
  /** @param name in any case */
  header(name: string): string | undefined
  /** Calls back when the client goes away before the answer is complete. */
  onGone(callback: () => void): void
  /**
   * Sends a whole answer. Does nothing when the client is gone.
   *
   * @param headers names and values in turns, `Content-Length` among them
   * @param body `undefined` for an answer that has none (HEAD, 204)
   * @throws TypeError for a header that is none, before anything is sent
   */
  reply(status: number, headers: readonly string[], body: string | Uint8Array | undefined): void
  /** Sends the head of an answer at once, and lets the caller write the rest. */
  stream(status: number, headers: readonly string[]): Sink
}

/** A request that is to be handled, once its body is there. */
export interface Handling {
  readonly bodyBytesMax: number
  /** The body is complete. It may be overwritten as soon as this returns. */
  handle(body: Uint8Array): void
  /** The body is over `bodyBytesMax`: answer so. What is left of it is read and dropped. */
  tooLarge(): void
}

/**
 * Takes a request whose head has come, before its body is read. `undefined`: it is answered already, and a body that
 * may still come is dropped.
 */
export type Accept = (exchange: Exchange) => Handling | undefined

/** Bounds of what a client may make a process hold or wait for. */
export interface HttpLimits {
  /** A head longer than this is a 431. */
  readonly headBytesMax: number
  /** A connection whose next head has begun, or whose first one has not come, and is not complete in this time is cut. */
  readonly headMs: number
  /** A request that has not arrived in this time is a 408. An answer may take as long as it likes. */
  readonly requestMs: number
  /** A body of which fewer than `uploadBytesMin` bytes come in so long is a 408, too. */
  readonly uploadMs: number
  readonly uploadBytesMin: number
  /** A client that has taken nothing for so long of an answer that waits for it is cut. */
  readonly stalledMs: number
  /** A client that has not said by then by which keys it speaks TLS is cut. */
  readonly handshakeMs: number
  /** An idle connection is closed after this: longer than the pools of clients and proxies keep theirs. */
  readonly keepAliveMs: number
  /** `Sink.write` answers false from here on. */
  readonly sinkBytesMax: number
  /** The requests of one more connection than these are a 429, and it is closed. */
  readonly connectionsMax: number
  /** One more request than these, of the same address at the same time, is a 429. */
  readonly addressRequestsMax: number
}

export const httpLimits: HttpLimits = {
  headBytesMax: 16 * 1024,
  // `uws` has these times built in: 28 to 32 s, measured with 20.57.0. A body is refused in words before it is cut.
  headMs: 30_000,
  stalledMs: 30_000,
  requestMs: 60_000,
  uploadMs: 10_000,
  uploadBytesMin: 10 * 16 * 1024,
  handshakeMs: 10_000,
  keepAliveMs: 75_000,
  sinkBytesMax: 256 * 1024,
  connectionsMax: 10_000,
  addressRequestsMax: Infinity,
}

export interface Engine {
  readonly port: number
  /** Takes no more connections, ends the streams, waits for open answers, and cuts what is left after `graceMs`. */
  close(graceMs: number): Promise<void>
}

/** Opens an engine. Rejects with the system's error (`EADDRINUSE` …) when it cannot listen. */
export type OpenEngine = (
  host: string,
  port: number,
  accept: Accept,
  limits: HttpLimits,
  tls?: ServerTls,
) => Promise<Engine>
