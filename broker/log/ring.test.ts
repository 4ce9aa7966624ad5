import { test } from 'tap'

import { ChunkRing, logBytes } from './ring.ts'

const MiB = 1 << 20
const log = { spill: () => {} }

test('what logs take beside their batches is taken off the ring, in whole chunks, and never more than half', (t) => {
  const ring = new ChunkRing(64 * MiB)
  const chunkBytes = 4 * MiB
  const inOneChunk = Math.floor(chunkBytes / logBytes)
  const join = (count: number): void => {
    for (let at = 0; at < count; at++) ring.join(log, false)
  }
  join(inOneChunk)
  t.equal(ring.bytesMax, 64 * MiB, 'what fits into less than a chunk costs none')
  join(1)
  t.equal(ring.bytesMax, 60 * MiB)
  join(9 * inOneChunk)
  t.equal(ring.bytesMax, 32 * MiB)
  for (let at = 0; at < 9 * inOneChunk; at++) ring.leave(log)
  t.equal(ring.bytesMax, 60 * MiB, 'given back by those that close')
  t.end()
})

test('a ring that becomes smaller lets its oldest chunks go', (t) => {
  const ring = new ChunkRing(16 * MiB)
  const forgotten: number[] = []
  const fill = (): void => {
    for (let at = 0; at < 16; at++) {
      const room = ring.room(MiB)
      if (room === undefined) throw new Error('no room')
      ring.take(room, room.at + MiB)
      room.chunk.unwritten--
      room.chunk.tails.add({ forget: () => forgotten.push(room.chunk.serial) })
    }
  }
  fill()
  t.strictSame(forgotten, [])
  for (let at = 0; at < (8 * MiB) / logBytes; at++) ring.join(log, false)
  ring.room(MiB)
  t.strictSame(forgotten, [0, 1, 2, 3, 4, 5, 6, 7, 8])
  t.end()
})
