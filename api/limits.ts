/**
 * What one client may make the API hold, wait for or do, each bound with what happens at it. Those that an operator may need
 * otherwise are settings (`settings.ts`): RATE_LIMIT, STREAM_BYTES, and those that begin with QUERY_.
 */
export interface ApiLimits {
  /** A body over this is a 413 `body_too_large`; what is left of it is not read. */
  readonly bodyBytesMax: number
  /** A JSON body whose objects and lists stand deeper within each other is a 400, before it is parsed. */
  readonly jsonDepthMax: number
  /** A request line and headers over this are a 431 `headers_too_large`. */
  readonly headBytesMax: number
  /** A parameter in the path that is longer than this is a 404: no GPU has such a name. */
  readonly pathParameterMax: number
  /** A request whose head has not come in this time is a 408, and so is a connection that says nothing. */
  readonly headMs: number
  /** A request that has not come as a whole in this time is a 408: a body in drops. Streams are answers, and not bounded by it. */
  readonly requestMs: number
  /** A client that has not said by then by which keys it speaks TLS is cut. */
  readonly handshakeMs: number
  /** A connection on which nothing is asked is closed after this: longer than proxies and pools keep theirs. */
  readonly keepAliveMs: number
  /** A client that takes nothing of its answer for so long is cut. A live stream says something every 10 s. */
  readonly silentMs: number
  /** How often connections are looked through for those that are over their time. */
  readonly lookEveryMs: number
  /** Connections over this are closed as they come. */
  readonly connectionsMax: number
  /** Live streams over this are a 429: each keeps a place of its own in what is live. */
  readonly streamsMax: number
  /** A reader of the stream that has more than this before it is waited for. */
  readonly sinkBytesMax: number
}

export const apiLimits: ApiLimits = {
  bodyBytesMax: 1024 * 1024,
  jsonDepthMax: 32,
  headBytesMax: 16 * 1024,
  pathParameterMax: 1_024,
  headMs: 20_000,
  requestMs: 30_000,
  handshakeMs: 10_000,
  keepAliveMs: 75_000,
  silentMs: 120_000,
  lookEveryMs: 2_000,
  connectionsMax: 10_000,
  streamsMax: 1_000,
  sinkBytesMax: 256 * 1024,
}
