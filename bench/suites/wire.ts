/**
 * `npm run bench -- wire`: events a second through the parser of the event stream, and records a second through the whole
 * consumer, from bytes as the network gives them, on one core and without a network.
 *
 * The peer is what cannot be saved: decoding the same bytes to text and touching every line once.
 */

import { Client } from '#wire/client'
import { SseParser } from '#wire/sse'

import type { Bench } from '../measure.ts'

/** As `fetch` hands a busy stream over. */
const pieceBytes = 64 * 1024
const batchRecords = 500

export async function run(bench: Bench): Promise<void> {
  const records = bench.quick ? 200_000 : 500_000
  const rounds = bench.quick ? 3 : 7
  const streams = {
    // Text of one byte a character, and text that takes two in memory: V8 keeps them apart.
    ascii: makeStream(records, 'x'),
    unicode: makeStream(records, '→'),
  }
  for (const [text, pieces] of Object.entries(streams)) {
    const figures = { limit: [] as number[], parser: [] as number[], consumer: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      figures.limit.push(await rate(records, () => countLines(pieces)))
      figures.parser.push(await rate(records, () => parse(pieces)))
      figures.consumer.push(await rate(records, () => consume(pieces, records)))
    }
    const peerValue = median(figures.limit)
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const common = { peer: 'decode and find lines', peer_value: peerValue, bytes_a_record: Math.round(bytes / records) }
    bench.report({ work: `parse-${text}`, unit: 'events/s', value: median(figures.parser), ...common })
    bench.report({ work: `consume-${text}`, unit: 'records/s', value: median(figures.consumer), ...common })
  }
}

/** A stream of one log in batches, its events about 450 bytes, in pieces cut without regard to lines. */
function makeStream(records: number, filler: string): Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder()
  const width = Math.floor(400 / encoder.encode(filler).length)
  const lines = [': penstock 1 5d0c3f2a9b7e4416 telemetry 0 3 0\n']
  for (let offset = 0; offset < records; offset++) {
    const first = String(offset).padStart(16, '0')
    if (offset % batchRecords === 0) lines.push(`: batch ${first} 00000500 0000225000 01784550000000 - - 6f2f8c11\n`)
    lines.push(`id: 0/3/${offset}\ndata: {"kind":"gpu","value":${offset % 100},"x":"${filler.repeat(width)}"}\n\n`)
  }
  const bytes = encoder.encode(lines.join(''))
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.slice(at, at + pieceBytes))
  return pieces
}

/** Work a second. The work returns how much it saw, so that nothing of it can be left out. */
async function rate(records: number, work: () => number | Promise<number>): Promise<number> {
  const startMs = performance.now()
  const seen = await work()
  const seconds = (performance.now() - startMs) / 1000
  if (seen !== records) throw new Error(`saw ${seen} of ${records} records`)
  return records / seconds
}

function countLines(pieces: readonly Uint8Array[]): number {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let lines = 0
  for (const piece of pieces) {
    const text = decoder.decode(piece, { stream: true })
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines++
  }
  // One line heads the log, one each batch, and an event has three.
  const batches = Math.ceil((lines - 1) / (3 * batchRecords + 1))
  return (lines - 1 - batches) / 3
}

function parse(pieces: readonly Uint8Array[]): number {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let events = 0
  let characters = 0
  const parser = new SseParser({
    onEvent({ id, data }) {
      events++
      characters += id.length + data.length
    },
  })
  for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }))
  if (characters < events) throw new Error('the events are empty')
  return events
}

/** The whole consumer on an answer that is at hand: heads, ids taken apart, a message a record, cursors. */
async function consume(pieces: readonly Uint8Array<ArrayBuffer>[], records: number): Promise<number> {
  let turn = 0
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        const piece = pieces[turn++]
        if (piece !== undefined) controller.enqueue(piece)
      },
    },
    { highWaterMark: 0 },
  )
  const client = new Client({ url: 'http://bench', fetch: async () => new Response(body) })
  let seen = 0
  for await (const messages of client.consumer({ topic: 'telemetry' }).batches()) {
    for (const { offset } of messages) if (offset === seen) seen++
    if (seen === records) break
  }
  return seen
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}
