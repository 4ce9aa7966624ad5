import fc from 'fast-check'
import { test } from 'tap'
import { Batch, type Delivered, settlementOf } from './batch.ts'

const limits = { records: 1000, bytes: 1_000_000 }

function delivered(offset: number, partition = 0, data = JSON.stringify(gpu)): Delivered {
  return { id: `0/${partition}/${offset}`, broker: 0, partition, offset, data }
}

const gpu = { time: '2025-07-18T20:42:34Z', uuid: 'GPU-a', metric: 'DCGM_FI_DEV_GPU_UTIL', value: 1 }

test('parts of a batch rise in their offsets, and hold every record in the order of its log', async (t) => {
  const message = fc.record({ partition: fc.nat(2), offset: fc.nat(20) })
  const chunks = fc.array(fc.array(message, { maxLength: 8 }), { maxLength: 8 })
  fc.assert(
    fc.property(chunks, (given) => {
      const batch = new Batch(limits)
      for (const chunk of given)
        batch.add(
          chunk.map(({ offset, partition }) => delivered(offset, partition)),
          (place) => place,
        )
      const { write, upTo } = settlementOf(batch, 'telemetry', 'g', () => 0)
      const all = given.flat()
      if (batch.records !== all.length) return false
      for (const partition of [0, 1, 2]) {
        const arrived = all.filter((message) => message.partition === partition).map(({ offset }) => offset)
        const parts = write.parts.filter((part) => part.partition === partition)
        if (String(parts.flatMap(({ offsets }) => offsets)) !== String(arrived)) return false
        const newest = `0/${partition}/${Math.max(...arrived)}`
        if (upTo.includes(newest) !== arrived.length > 0) return false
      }
      return write.parts.every(
        ({ offsets, next }) =>
          offsets.every((offset, at) => at === 0 || offset > (offsets[at - 1] as number)) &&
          next > (offsets.at(-1) as number),
      )
    }),
  )
  t.pass()
})

test('a batch is full by its records or by their size', async (t) => {
  const batch = new Batch({ records: 2, bytes: 1000 })
  t.ok(batch.isEmpty)
  batch.add([delivered(0)], String)
  t.notOk(batch.isFull)
  batch.add([delivered(1)], String)
  t.ok(batch.isFull)
  const large = new Batch({ records: 100, bytes: 1000 })
  large.add([delivered(0, 0, 'x'.repeat(1000))], String)
  t.ok(large.isFull)
})

test('what is no record becomes a letter, once', async (t) => {
  const batch = new Batch(limits)
  batch.add([delivered(0, 0, 'no json'), delivered(1), delivered(2, 0, '{"kind":"gpu"}')], () => 'log')
  const first = settlementOf(batch, 'telemetry', 'g', () => 0)
  t.match(first.letters, [
    { reason: /^not JSON: /, row: 'no json', origin: '0/0/0', group: 'g' },
    { reason: /^time is missing: want /, row: '{"kind":"gpu"}', origin: '0/0/2', group: 'g' },
  ])
  t.match(first.write.parts, [{ logId: 'log', offsets: [1], dead: [0, 2], next: 3 }])
  t.same(first.upTo, ['0/0/2'])
  const again = settlementOf(batch, 'telemetry', 'g', () => 2)
  t.match(again.letters, [{ origin: '0/0/2' }], 'the ledger has counted what is below 2')
  t.same(again.write, first.write)
})

test('a log that was made anew begins a part of its own', async (t) => {
  const batch = new Batch(limits)
  batch.add([delivered(7)], () => 'old')
  batch.add([delivered(8)], () => 'new')
  const { write } = settlementOf(batch, 'telemetry', 'g', () => 0)
  t.match(write.parts, [
    { logId: 'old', next: 8 },
    { logId: 'new', next: 9 },
  ])
})
