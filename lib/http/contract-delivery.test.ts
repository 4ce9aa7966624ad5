/**
 * What every engine does with the bytes of endless answers under load: all of them arrive, once, in order, whatever their pieces
 * are, whoever reads slowly, and though their memory is used again as soon as `pendingBytes` allows it.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { ChunkReader, engines, openServer, RawClient } from '#test/http'
import type { Sink } from './http.ts'

const LF = 10
const KiB = 1024
const MiB = 1024 * KiB
const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

/** What each stream carries: the same text again and again, of a length that no piece divides. */
const text = Buffer.from(Array.from({ length: 65_521 }, (_, at) => (at * 31 + (at >> 8) * 7) & 0xff))

/** A sequence of pseudo-random numbers in [0, 1), the same each time. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Copies what a stream carries from a place on. */
function fill(target: Buffer, from: number): void {
  for (let at = 0; at < target.length;) {
    const place = (from + at) % text.length
    at += text.copy(target, at, place)
  }
}

/** How large the pieces are that are written: of the broker's they may be a record, or a chunk of memory. */
const sizes: Readonly<Record<string, (draw: () => number) => number>> = {
  small: (draw) => 1 + Math.floor(draw() * 300),
  // About what uWebSockets.js gathers before it writes (16 KiB).
  middle: (draw) => 15 * KiB + Math.floor(draw() * 3 * KiB),
  batches: (draw) => 20 * KiB + Math.floor(draw() * 20 * KiB),
  large: (draw) => 1 + Math.floor(draw() * 200 * KiB),
}

/**
 * Writes a stream as the broker does: some pieces, and more when they are gone. Their memory is written over as soon as nothing
 * is pending.
 */
function pour(sink: Sink, totalBytes: number, size: (draw: () => number) => number, draw: () => number): void {
  const memory = Buffer.alloc(2 * MiB)
  let [used, sent] = [0, 0]
  const more = (): void => {
    while (sent < totalBytes && sink.pendingBytes === 0) {
      used = 0
      memory.fill(0xdb)
      for (let pieces = 1 + Math.floor(draw() * 8); pieces > 0 && sent < totalBytes; pieces--) {
        const piece = memory.subarray(used, used + Math.min(size(draw), totalBytes - sent))
        fill(piece, sent)
        sent += piece.length
        used += piece.length
        sink.write(piece)
      }
    }
    if (sent === totalBytes) sink.end()
  }
  sink.onDrain(more)
  more()
}

/** Reads a stream to its end, now and then not at all. Returns how many bytes were right; fewer than came when one was wrong. */
async function compare(client: RawClient, draw: () => number, totalBytes: number, pauseMs: number): Promise<number> {
  await client.head()
  const chunks = new ChunkReader()
  const expected = Buffer.alloc(MiB)
  let right = 0
  const isRight = (part: Buffer): boolean => {
    const wanted = expected.subarray(0, part.length)
    fill(wanted, right)
    if (!wanted.equals(part)) return false
    right += part.length
    return true
  }
  for await (const data of client.rest()) {
    for (const part of chunks.feed(data)) {
      // A head may be sent by an empty line.
      const isEmptyLine = right === 0 && part.length === 1 && part[0] === LF
      if (!isEmptyLine && !isRight(part)) return right
    }
    if (right === totalBytes) break
    if (pauseMs > 0 && draw() < 0.05) await sleep(draw() * pauseMs)
  }
  return right
}

for (const { name, open } of engines) {
  for (const [kind, size] of Object.entries(sizes)) {
    test(`${name}: every byte of many streams arrives, in ${kind} pieces`, async (t) => {
      const totalBytes = (kind === 'small' ? 0.25 : isFull ? 24 : 8) * MiB
      let seed = 0
      const { port } = await openServer(t, open, [
        {
          method: 'GET',
          path: '/stream',
          handle: () => ({
            type: 'text/event-stream',
            stream: (sink) => pour(sink, totalBytes, size, random(++seed)),
          }),
        },
      ])
      const readers = Array.from({ length: 8 }, async (_, at) => {
        const client = new RawClient(t, port)
        await client.send('GET', '/stream')
        // Some read as fast as they can.
        return compare(client, random(1_000 + at), totalBytes, at % 3 === 0 ? 0 : 6)
      })
      for (const right of await Promise.all(readers)) t.equal(right, totalBytes)
    })
  }
}

for (const { name, open } of engines) {
  test(`${name}: answers of every size arrive whole`, async (t) => {
    const { port } = await openServer(t, open, [
      {
        method: 'GET',
        path: '/answer',
        handle: ({ query }) => ({ type: 'text/plain', bytes: text.subarray(0, Number(query.get('bytes'))) }),
      },
    ])
    const client = new RawClient(t, port)
    for (const around of [1, 300, 15 * KiB, 16 * KiB, 40 * KiB]) {
      for (let bytes = around; bytes < around + 1_200; bytes += around < 15 * KiB || around > 16 * KiB ? 400 : 40) {
        await client.send('GET', `/answer?bytes=${bytes}`)
        const { headers } = await client.head()
        t.equal(headers.get('content-length'), String(bytes))
        t.ok((await client.bytes(bytes)).equals(text.subarray(0, bytes)), `${bytes} bytes`)
      }
    }
  })
}
