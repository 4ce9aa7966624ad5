import * as fc from 'fast-check'
import { test } from 'tap'
import { crc32 } from './crc32.ts'
import { hash32 } from './hash.ts'

/** The finalizer as its author writes it, with numbers that cannot overflow. */
function obvious(text: string): number {
  let hash = BigInt(crc32(text))
  hash ^= hash >> 16n
  hash = (hash * 0x85ebca6bn) & 0xffffffffn
  hash ^= hash >> 13n
  hash = (hash * 0xc2b2ae35n) & 0xffffffffn
  hash ^= hash >> 16n
  return Number(hash)
}

test('it is what MurmurHash3 makes of the checksum, without a sign', (t) => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => hash32(text) === obvious(text)))
  t.equal(hash32(''), 0)
  t.equal(hash32('telemetry/3'), 0x6dbf2ca1, 'a place on a ring stays where it was')
  t.end()
})

test('ranked by it, no consumer comes first for most of the partitions', (t) => {
  // What a checksum alone gets wrong: the texts differ in one place.
  const firsts = new Map<string, number>()
  const consumers = ['collector-0', 'collector-1', 'collector-2', 'collector-3']
  for (let partition = 0; partition < 1000; partition++) {
    const ranks = consumers.map((name) => ({ name, rank: hash32(`${partition} ${name}`) }))
    const { name } = ranks.reduce((best, each) => (each.rank > best.rank ? each : best))
    firsts.set(name, (firsts.get(name) ?? 0) + 1)
  }
  t.ok(
    consumers.every((name) => (firsts.get(name) ?? 0) > 180),
    JSON.stringify([...firsts]),
  )
  t.end()
})
