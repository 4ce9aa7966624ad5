/**
 * The live stream: read by `fetch`, because a browser's EventSource can send no key. It reconnects for ever, goes on
 * behind the last event that came, and takes silence for a broken connection.
 */

import type { StreamGap, StreamRecord, StreamState } from '#api/contract'
import { backoffMs, type Sleep } from '#wire/retry'
import { type SseEvent, SseParser } from '#wire/sse'
import type { Link } from '../model/pipeline.ts'
import { isWrongKey, reasonOf } from './api.ts'

export interface StreamHandlers {
  onRecords(records: readonly StreamRecord[]): void
  /** Records are missing: what the page knows must be asked anew. */
  onGap(gap: StreamGap): void
  onState(state: StreamState): void
  onLink(link: Link): void
}

export interface StreamOptions {
  /** @throws Problem */
  readonly open: (lastId: string, signal: AbortSignal) => Promise<Response>
  readonly signal: AbortSignal
  readonly sleep: Sleep
  readonly random: () => number
  readonly wallMs: () => number
  /** The API sends a heartbeat each 10 s. */
  readonly silentMsMax?: number
}

const backoffBounds = { firstMs: 500, longestMs: 10_000 }

/**
 * Follows the stream until the signal is aborted.
 *
 * @throws Problem when the key is not taken: trying again would change nothing
 */
export async function follow(handlers: StreamHandlers, options: StreamOptions): Promise<void> {
  const { signal, sleep, random, wallMs } = options
  let lastId = ''
  let tries = 0
  let brokenSinceMs: number | undefined
  while (!signal.aborted) {
    let reason = 'the API ended it'
    try {
      const answer = await options.open(lastId, signal)
      handlers.onLink({ state: 'live' })
      brokenSinceMs = undefined
      await read(answer, options, (event) => {
        if (event.id !== '') lastId = event.id
        tries = 0
        dispatch(event, handlers)
      })
    } catch (error) {
      if (isWrongKey(error)) throw error
      reason = reasonOf(error)
    }
    if (signal.aborted) return
    brokenSinceMs ??= wallMs()
    handlers.onLink({ state: 'waiting', reason, sinceMs: brokenSinceMs })
    await sleep(backoffMs({ ...backoffBounds, random, sleep }, ++tries, 250), signal).catch(() => {})
  }
}

/** Reads one connection to its end. */
async function read(answer: Response, options: StreamOptions, onEvent: (event: SseEvent) => void): Promise<void> {
  const { silentMsMax = 30_000, sleep } = options
  const parser = new SseParser({ onEvent })
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  try {
    for (;;) {
      const quiet = new AbortController()
      const silence = sleep(silentMsMax, quiet.signal).then(() => 'silence' as const)
      // The loser of the race is not listened to any more.
      silence.catch(() => {})
      const piece = await Promise.race([reader.read(), silence]).finally(() => quiet.abort())
      if (piece === 'silence') throw new Error('nothing came any more')
      if (piece.done) return
      parser.feed(decoder.decode(piece.value, { stream: true }))
    }
  } finally {
    // Frees the connection; one that is broken already says so once more.
    reader.cancel().catch(() => {})
  }
}

function dispatch({ event, data }: SseEvent, handlers: StreamHandlers): void {
  if (event === 'records') handlers.onRecords(JSON.parse(data) as StreamRecord[])
  else if (event === 'message') handlers.onRecords([JSON.parse(data) as StreamRecord])
  else if (event === 'gap') handlers.onGap(JSON.parse(data) as StreamGap)
  else if (event === 'state') handlers.onState(JSON.parse(data) as StreamState)
}
