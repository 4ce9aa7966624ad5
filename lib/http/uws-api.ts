/**
 * What of uWebSockets.js is used, in types of our own, because it may be absent; and how it is loaded.
 *
 * Its objects are bare: one that is used after its answer is complete, or after its client is gone, throws.
 */

import { createRequire } from 'node:module'

export interface UwsResponse {
  /** Writes the status line; nothing is added to it but CR and LF, so that it may bring headers along. */
  writeStatus(head: string): void
  /** A chunk of a chunked answer. False: not all of it is with the kernel, the rest was copied. */
  write(chunk: Uint8Array): boolean
  end(body?: string | Uint8Array, closeConnection?: boolean): void
  /** No length: none is written, nor may `undefined` be given in its place. */
  endWithoutBody(): void
  endWithoutBody(reportedLength: number, closeConnection: boolean): void
  /** Writes what the kernel takes of the end of a body of `totalSize` bytes, and copies nothing. */
  tryEnd(rest: Uint8Array, totalSize: number): [ok: boolean, done: boolean]
  /** How much of a body {@link tryEnd} has written. */
  getWriteOffset(): number
  onWritable(callback: (offset: number) => boolean): void
  onAborted(callback: () => void): void
  /** The bytes are gone when the callback returns. */
  onData(callback: (chunk: ArrayBuffer, isLast: boolean) => void): void
  cork(callback: () => void): void
  /** Reads no more. */
  pause(): void
  close(): void
  getRemoteAddress(): ArrayBuffer
}

export interface UwsRequest {
  getCaseSensitiveMethod(): string
  getUrl(): string
  getQuery(): string | undefined
  forEach(callback: (name: string, value: string) => void): void
}

/** Opaque, and native: it may be closed once. */
export interface UwsListening {
  readonly isListening: never
}

export interface UwsApp {
  any(pattern: string, handle: (response: UwsResponse, request: UwsRequest) => void): void
  filter(callback: (response: UwsResponse, change: 1 | -1) => void): void
  listen(host: string, port: number, options: number, callback: (listening: UwsListening | false) => void): void
  /** Cuts every connection. */
  close(): void
}

export interface Uws {
  App(): UwsApp
  us_listen_socket_close(listening: UwsListening): void
  us_socket_local_port(listening: UwsListening): number
  /** Without it a second process may listen on the same port, and take half of the connections. */
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number
}

/** Why it does not load, in one line: the cause of the loader, not what the package makes of it. */
export class UwsAbsent extends Error {
  override readonly name = 'UwsAbsent'
  readonly isInstalled: boolean

  constructor(message: string, isInstalled: boolean, options?: ErrorOptions) {
    super(message, options)
    this.isInstalled = isInstalled
  }
}

/**
 * Read by uWebSockets.js when it is loaded: a head longer than this it refuses in its own words. More than our own limit, so
 * that most are refused in ours. (A library may not read the environment here; `cli/` sets it.)
 */
export const headBytesVariable = { name: 'UWS_HTTP_MAX_HEADERS_SIZE', value: String(64 * 1024) } as const

let loaded: Uws | undefined

/** @throws UwsAbsent */
export function loadUws(): Uws {
  try {
    return (loaded ??= createRequire(import.meta.url)('uWebSockets.js') as Uws)
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string }
    const isInstalled = code !== 'MODULE_NOT_FOUND'
    const cause = isInstalled ? causeOf(message) : 'uWebSockets.js is not installed (npm run engine)'
    throw new UwsAbsent(cause, isInstalled, { cause: error })
  }
}

function causeOf(message: string): string {
  // The package blames the version of Node first; what the system said stands in the last lines.
  const system = (message.split('\n\n')[1] ?? message).replace(/^Error: /, '')
  return system.split('\n')[0] as string
}
