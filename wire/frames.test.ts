import * as fc from 'fast-check'
import { test } from 'tap'
import {
  formatBatchHead,
  formatCrc,
  formatLogHead,
  parseBatchHead,
  parseLogHead,
  traceFields,
  traceOf,
  type BatchHead,
} from './frames.ts'
import type { Offset, Ordinal, Partition } from './ids.ts'

const names = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}$/)
const numbers = fc.maxSafeNat()

const logHeads = fc.record({
  logId: fc.stringMatching(/^[0-9a-f]{16}$/),
  topic: names,
  broker: fc.nat(99_999).map((n) => n as Ordinal),
  partition: fc.nat(99_999).map((n) => n as Partition),
  firstOffset: numbers.map((n) => n as Offset),
})

const batchHeads: fc.Arbitrary<BatchHead> = fc
  .record({
    firstOffset: numbers.map((n) => n as Offset),
    count: fc.nat(99_999_999),
    bytes: fc.nat(2_000_000_000),
    appendMs: fc.nat(4e12),
    numbered: fc.option(fc.record({ producer: names, sequence: numbers })),
    fields: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), fc.stringMatching(/^[!-~]{0,12}$/), {
      maxKeys: 3,
    }),
  })
  .map(({ numbered, fields, ...head }) => ({
    ...head,
    producer: numbered?.producer,
    sequence: numbered?.sequence,
    fields: new Map(Object.entries(fields)),
  }))

const golden: BatchHead = {
  firstOffset: 1_234_567 as Offset,
  count: 2,
  bytes: 98,
  appendMs: 1_784_550_000_000,
  producer: 'streamer-1',
  sequence: 40,
  fields: new Map([['trace', '00-ab-cd-01']]),
}

/** In a form that can be compared. */
function plain(head: BatchHead): unknown {
  const { firstOffset, count, bytes, appendMs, producer, sequence } = head
  return JSON.stringify([firstOffset, count, bytes, appendMs, producer, sequence, [...head.fields]])
}

test('the trace of a batch is read as it was written, beside fields that are not known', (t) => {
  const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
  const head = { ...golden, fields: new Map([['later', 'x'], ...traceFields(trace)]) }
  const read = parseBatchHead(formatBatchHead(head) + formatCrc(1))
  t.same(read && traceOf(read), trace)
  for (const other of ['', '00-ab-cd-01', trace.traceId, `${trace.traceId}-${trace.spanId}-01`]) {
    t.equal(traceOf({ fields: new Map([['trace', other]]) }), undefined, other)
  }
  t.end()
})

test('a log head is read as it was written', (t) => {
  fc.assert(
    fc.property(logHeads, (head) => {
      const line = formatLogHead(head)
      return line.endsWith('\n') && JSON.stringify(parseLogHead(line.slice(0, -1))) === JSON.stringify(head)
    }),
  )
  t.end()
})

test('a batch head is read as it was written, a producer named - too', (t) => {
  const crcs = fc.nat(0xffffffff)
  fc.assert(
    fc.property(batchHeads, crcs, (head, crc) => {
      const covered = formatBatchHead(head)
      const read = parseBatchHead(covered + formatCrc(crc))
      return read !== undefined && read.crc === crc && read.covered === covered.length && plain(read) === plain(head)
    }),
    { examples: [[{ ...golden, producer: '-', sequence: 0 }, 0]] },
  )
  t.end()
})

test('the bytes of version 1 are these', (t) => {
  const head = { logId: '5d0c3f2a9b7e4416', topic: 'telemetry', broker: 0, partition: 3, firstOffset: 17 }
  t.equal(
    formatLogHead(head as Parameters<typeof formatLogHead>[0]),
    ': penstock 1 5d0c3f2a9b7e4416 telemetry 0 3 17\n',
  )
  t.equal(
    formatBatchHead(golden) + formatCrc(0x6f2f8c1),
    ': batch 0000000001234567 00000002 0000000098 01784550000000 streamer-1 0000000000000040 trace=00-ab-cd-01 06f2f8c1',
  )
  const bare = { ...golden, producer: undefined, sequence: undefined, fields: new Map<string, string>() }
  t.equal(formatBatchHead(bare), ': batch 0000000001234567 00000002 0000000098 01784550000000 - - ')
  t.end()
})

test('a foreign version is told from a line that is none', (t) => {
  t.same(parseLogHead(': penstock 2 whatever it may say'), { foreignVersion: 2 })
  t.same(parseLogHead(': penstock 10 5d0c3f2a9b7e4416 telemetry 0 3 17'), { foreignVersion: 10 })
  t.end()
})

test('fields that a reader does not know are kept apart, and in the checksum', (t) => {
  const line = ': batch 0000000000000000 00000001 0000000040 01784550000000 - - zip=lz4 x= y=a=b 00000000'
  const read = parseBatchHead(line)
  t.same(
    [...(read?.fields ?? [])],
    [
      ['zip', 'lz4'],
      ['x', ''],
      ['y', 'a=b'],
    ],
  )
  t.equal(read?.covered, line.length - 8)
  t.end()
})

test('other lines are no heads', (t) => {
  const log = ': penstock 1 5d0c3f2a9b7e4416 telemetry 0 3 17'
  const batch = ': batch 0000000000000000 00000001 0000000040 01784550000000 - - 6f2f8c11'
  const bad = [
    ['', ':', ': ', ': heartbeat', ': penstock', ': penstock 1 ', 'data: x', 'id: 0/3/17'],
    [log.slice(1), ` ${log}`, `${log} `, `${log}\n`, `${log}\r`, log.replace('5d0c', '5D0C'), log.replace('17', '-17')],
    [log.replace('17', '9999999999999999'), log.replace(' 3 ', ' '), log.replace('5d0c3f2a', '5d0c')],
    [batch.slice(1), ` ${batch}`, `${batch} `, `${batch}\n`, `${batch}0`, batch.slice(0, -1), batch.toUpperCase()],
    [batch.replace('00000001', '1'), batch.replace('0000000000000000', '9999999999999999')],
    [batch.replace('- -', 'p 9999999999999999'), batch.replace('- -', '-'), batch.replace('- -', '.x -')],
    [batch.replace('- -', '- - X=1'), batch.replace('- -', '- - word'), batch.replace('- -', '- -  a=1')],
  ].flat()
  t.same(
    bad.filter((line) => parseLogHead(line) !== undefined || parseBatchHead(line) !== undefined),
    [],
  )
  t.not(parseLogHead(log), undefined, 'what they were made of is good')
  t.not(parseBatchHead(batch), undefined)
  t.end()
})
