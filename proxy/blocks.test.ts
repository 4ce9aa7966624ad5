import fc from 'fast-check'
import { test } from 'tap'

import { formatBatchHead, formatCrc } from '#wire/frames'
import type { Offset } from '#wire/ids'
import { SseParser } from '#wire/sse'

import { BlockCutter, placeOf } from './blocks.ts'

const head = ': penstock 1 0011223344556677 telemetry 0 3 7\n'

function event(offset: number, ...lines: string[]): string {
  return `id: 0/3/${offset}\n${lines.map((line) => `data: ${line}\n`).join('')}\n`
}

function batch(first: number, ...events: string[]): string {
  const text = events.join('')
  const meta = {
    firstOffset: first as Offset,
    count: events.length,
    bytes: Buffer.byteLength(text),
    appendMs: 1,
    producer: undefined,
    sequence: undefined,
    fields: new Map(),
  }
  return `${formatBatchHead(meta)}${formatCrc(0)}\n${text}`
}

/** Feeds the text cut at these places. */
function cut(text: string, places: readonly number[] = []): string[] {
  const cutter = new BlockCutter()
  const bytes = Buffer.from(text)
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  const blocks: string[] = []
  for (let at = 0; at + 1 < edges.length; at++) {
    for (const block of cutter.feed(bytes.subarray(edges[at], edges[at + 1]))) blocks.push(block.toString())
  }
  return blocks
}

test('batches and events stay whole, what concerns the connection alone is dropped', (t) => {
  const one = batch(7, event(7, 'a'), event(8, 'b', '', 'c'))
  t.strictSame(cut(`${head}${one}: heartbeat\n\n${event(9, 'd')}`), [head, one, event(9, 'd')])
  t.end()
})

test('wherever the network cuts, the blocks are the same', (t) => {
  const text = `${head}${batch(7, event(7, 'é'), event(8, 'b'))}: heartbeat\n\n${event(9, 'd')}: attempt 3\n${event(7, 'é')}${event(8, 'b')}: attempt 1\n${batch(10, event(10, 'x'.repeat(300)))}`
  const whole = cut(text)
  fc.assert(
    fc.property(fc.array(fc.nat(Buffer.byteLength(text)), { maxLength: 12 }), (places) => {
      if (cut(text, places).join('|') !== whole.join('|')) throw new Error(`cut at ${places.join()}`)
    }),
  )
  t.end()
})

test('an attempt goes with its own events, so that others may come between', (t) => {
  t.strictSame(cut(`: attempt 3\n${event(7, 'a')}${event(8, 'b')}: attempt 1\n${event(9, 'c')}`), [
    `: attempt 3\n${event(7, 'a')}: attempt 1\n`,
    `: attempt 3\n${event(8, 'b')}: attempt 1\n`,
    event(9, 'c'),
  ])
  t.end()
})

test('blocks of two brokers in any order are one sound stream', (t) => {
  const left = cut(`${batch(0, event(0, 'l0'), event(1, 'l1'))}${event(2, 'l2')}`)
  const right = cut(`: attempt 2\n${event(0, 'r0')}: attempt 1\n${batch(5, event(5, 'r5'))}`)
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (choices) => {
      const rest: [string[], string[]] = [[...left], [...right]]
      let text = ''
      for (const choice of choices) text += rest[choice ? 0 : 1].shift() ?? rest[choice ? 1 : 0].shift() ?? ''
      const seen: string[] = []
      new SseParser({ onEvent: ({ data }) => void seen.push(data) }).feed(text)
      if ([...seen].sort().join() !== 'l0,l1,l2,r0,r5') throw new Error(seen.join())
    }),
  )
  t.end()
})

test('how far a block brings a reader', (t) => {
  t.match(placeOf(Buffer.from(head)), { broker: 0, partition: 3, offset: 6 })
  t.match(placeOf(Buffer.from(batch(7, event(7, 'a'), event(8, 'b')))), { offset: 8 })
  t.match(placeOf(Buffer.from(event(9, 'd'))), { broker: 0, partition: 3, offset: 9 })
  t.match(placeOf(Buffer.from(`: attempt 2\n${event(4, 'd')}: attempt 1\n`)), { offset: 4 })
  t.equal(placeOf(Buffer.from('event: gap\ndata: {}\n\n')), undefined)
  t.end()
})
